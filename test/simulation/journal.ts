import { applyJournal, emptyJournal, journalEntry, type JournalEntry } from '../../src/bot/journal.js';
import type { Disk } from './disk.js';
import type { SimulatedProcess } from './process.js';

/** The journal of one process over its disk: in memory at once, an append resolves when it is durable; a kill before that loses it. */
export class SimulatedJournal {
  readonly state = emptyJournal();

  constructor(
    private readonly disk: Disk,
    private readonly process: SimulatedProcess,
  ) {
    for (const entry of disk.journal.flat()) applyJournal(this.state, entry);
  }

  async append(entries: JournalEntry[]): Promise<void> {
    if (!this.process.alive) return new Promise(() => {});
    const parsed = entries.map((entry) => journalEntry.parse(structuredClone(entry)));
    for (const entry of parsed) applyJournal(this.state, entry);
    await this.process.outside(this.disk.writeMs);
    if (!this.process.alive) return new Promise(() => {});
    this.disk.journal.push(parsed);
    await this.process.gate();
  }
}
