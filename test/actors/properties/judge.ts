import * as A from '@automerge/automerge';
import { expect } from 'vitest';
import type { ActorChange } from '../../../src/actors/subscribers.js';
import { storedBase } from '../../../src/actors/base.js';
import { basesOf } from '../../../src/actors/cut.js';
import { ACTORS } from './actions.js';
import { type EffectIds, type Expected, Oracle, sortedHistory, type Standings } from './oracle.js';
import type { Process } from './process.js';
import type { World } from './world.js';

const NOBODY_COUNTS = (what: string): void => expect.fail(`malformed: ${what}`);

/** Says whether replicas at rest stand where they must. */
export class Judge {
  readonly #oracle: Oracle;
  /** Where a subscriber was told last that its actor stands, by replica and actor. */
  readonly #told = new Map<string, ActorChange['to']>();

  constructor(
    private readonly world: World,
    effectId: EffectIds,
  ) {
    this.#oracle = new Oracle(world.ledger, world.machines, effectId);
  }

  lookAtErrors(): void {
    for (const { name, errors } of this.world.replicas) {
      const [first] = errors;
      if (first !== undefined) throw new Error(`replica ${name} has an error`, { cause: first });
    }
  }

  told(replica: string, { key, from, to }: ActorChange): void {
    const name = `${replica} ${key}`;
    const before = this.#told.get(name);
    if (before !== undefined) expect(from, `what ${replica} was told hangs together`).toEqual(before);
    this.#told.set(name, to);
  }

  /** A new process tells from where it finds its actors. */
  forget(replica: string): void {
    for (const key of ACTORS) this.#told.delete(`${replica} ${key}`);
  }

  /** What the oracle says is owed, as `<actor> <cause name params>`. */
  owed(): string[] {
    const [process] = this.#processes();
    return [...this.#expected(process)]
      .filter(([, { effective }]) => ['active', 'done'].includes(effective.status))
      .flatMap(([actor, { folded }]) => folded.effects.map((effect) => `${actor} ${effect}`));
  }

  judge(): void {
    const processes = this.#processes();
    const [first] = processes;
    const expected = this.#expected(first);
    const heads = processes.map((process) => [process.document('actors').id, headsOf(process)]);
    expect(heads, 'all replicas hold the same').toEqual(heads.map(() => heads[0]));
    for (const process of processes) this.#judgeOne(process, expected);
    for (const name of this.world.durable) {
      const [actor = '', event = ''] = name.split(' ');
      expect([...(expected.get(actor)?.counted ?? [])], `${name} was lost`).toContain(event);
      expect(first.actors.counts(actor, event), `${name} does not count`).toBe(true);
    }
  }

  #judgeOne(process: Process, expected: Map<string, Standings>): void {
    const document = process.document('actors').handle.doc();
    const [once, twice] = [1, 2].map(() => basesOf(document, process.machines, 0, NOBODY_COUNTS));
    expect(twice, 'folding twice gives the same').toEqual(once);
    expect([...(once?.keys() ?? [])].sort()).toEqual([...expected.keys()].sort());
    let waiting = 0;
    for (const [actor, { folded, effective: wanted }] of expected) {
      expect(shown(once?.get(actor)), `where ${actor} stands`).toEqual(folded);
      const snapshot = process.actors.snapshot(actor);
      expect(snapshot).toMatchObject({
        status: ['active', 'done'].includes(wanted.status) ? wanted.status : 'quarantined',
        value: wanted.value ?? null,
        context: wanted.context ?? null,
        version: wanted.version,
      });
      const told = this.#told.get(`${process.name} ${actor}`);
      if (told !== undefined) expect(told, 'what a subscriber was told last').toEqual(snapshot);
      if (snapshot.status !== 'quarantined') waiting += folded.timers.length + folded.effects.length;
    }
    expect(process.actors.pending(), 'what waits').toBe(waiting);
  }

  #expected(process: Process): Map<string, Standings> {
    const { name } = process.document('actors');
    return this.#oracle.expected(name.cut ?? '', headsOf(process), process.newest);
  }

  #processes(): [Process, ...Process[]] {
    const [first, ...rest] = this.world.replicas
      .map(({ process }) => process)
      .filter((one) => one !== undefined);
    if (first === undefined || rest.length !== 2) throw new Error('somebody is dead');
    return [first, ...rest];
  }
}

const headsOf = (process: Process): string[] => A.getHeads(process.document('actors').handle.doc()).sort();

/** A base, in the form of the oracle. */
function shown(base: unknown): Expected {
  const { version, snapshot, quarantined, timers, effects } = storedBase.parse(base);
  return {
    version: quarantined?.last?.version ?? version,
    status: quarantined?.code ?? snapshot?.status ?? '',
    value: quarantined?.last?.value ?? snapshot?.value,
    context: quarantined?.last?.context ?? snapshot?.context,
    history: sortedHistory(snapshot?.historyValue ?? {}),
    timers: timers.map(({ name, entry, due }) => `${name} ${entry} ${due}`).sort(),
    effects: effects.map(({ cause, name, params }) => `${cause} ${name} ${JSON.stringify(params)}`).sort(),
  };
}
