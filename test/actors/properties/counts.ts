import type { World } from './world.js';

/** What happened in a run of schedules: to see that it was what the tests are about. */
export class Counts {
  schedules = 0;
  events = 0;
  kills = 0;
  partitions = 0;
  cuts = 0;
  /** Schedules in which two sides each cut twice while apart. */
  doubleCutsApart = 0;
  timersFired = 0;
  effects = 0;
  /** Told to a subscriber as late: they came after an event that they precede. */
  lateEvents = 0;
  /** Written anew into a later generation, because the cut before it did not know them. */
  savedFromCuts = 0;

  add({ ledger, kills, partitions, late, carriedInAll }: World): void {
    this.schedules += 1;
    this.kills += kills;
    this.partitions += partitions;
    this.cuts += ledger.cuts.size;
    if (ledger.hasDoubleCutsApart()) this.doubleCutsApart += 1;
    this.effects += carriedInAll;
    this.lateEvents += late;
    const events = new Map<string, string>();
    const saved = new Set<string>();
    for (const { actor, id, type, late: moved } of ledger.events()) {
      events.set(`${actor} ${id}`, type);
      if (moved) saved.add(`${actor} ${id}`);
    }
    this.events += events.size;
    this.timersFired += [...events.values()].filter((type) => type === 'understudy.timer').length;
    this.savedFromCuts += saved.size;
  }

  toString(): string {
    const words = (name: string): string => name.replace(/[A-Z]/gu, (letter) => ` ${letter.toLowerCase()}`);
    return Object.entries(this)
      .map(([name, count]) => `${words(name)} ${String(count)}`)
      .join(', ');
  }
}
