import fc from 'fast-check';
import { EVENTS, MINUTE } from './machine-spec.js';

export const REPLICAS = ['a', 'b', 'c'] as const;
export const ACTORS = ['m/1', 'm/2'] as const;

/** What happens in a schedule; what is not possible as things stand does nothing. */
export type Action =
  /** An event under a new cause, or under one that was used before: then it is that same event. */
  | {
      do: 'send';
      replica: number;
      actor: number;
      event: string;
      x: number;
      again: number | undefined;
      ageMs: number;
    }
  /** Everything that one holds goes to another. */
  | { do: 'sync'; from: number; to: number }
  /** Some of it, in another order; may come again. */
  | { do: 'trickle'; from: number; to: number; order: readonly number[] }
  /** One change of long ago arrives. */
  | { do: 'message'; which: number; to: number }
  | { do: 'partition'; sides: readonly boolean[] }
  | { do: 'heal' }
  | { do: 'kill'; replica: number }
  | { do: 'start'; replica: number }
  | { do: 'restart'; replica: number }
  | { do: 'stall'; replica: number }
  | { do: 'thaw'; replica: number }
  | { do: 'acts'; replica: number; acts: boolean }
  | { do: 'pass'; ms: number }
  | { do: 'cut'; replica: number }
  /** Two that do not hear of each other each cut twice, with events between. */
  | { do: 'cuts apart'; one: number; other: number; actor: number; event: string }
  | { do: 'upgrade'; replica: number };

export interface Schedule {
  /** What the clocks show too much, milliseconds: up to an hour. */
  clockErrors: readonly number[];
  /** Who carries out what is owed at first. */
  acts: readonly boolean[];
  actions: readonly Action[];
}

const replica = fc.nat(REPLICAS.length - 1);
const actor = fc.nat(ACTORS.length - 1);
const event = fc.constantFrom(...EVENTS);
const to = replica;
const from = replica;

function anyAction(): fc.Arbitrary<Action> {
  const of = <D extends Action['do']>(
    what: D,
    fields: {
      [F in Exclude<keyof Extract<Action, { do: D }>, 'do'>]: fc.Arbitrary<Extract<Action, { do: D }>[F]>;
    },
  ): fc.Arbitrary<Action> =>
    fc.record({ do: fc.constant(what), ...fields }) as unknown as fc.Arbitrary<Action>;
  const weighted: [number, fc.Arbitrary<Action>][] = [
    [
      40,
      of('send', {
        replica,
        actor,
        event,
        x: fc.nat(3),
        again: fc.option(fc.nat(20), { nil: undefined, freq: 3 }),
        ageMs: fc.constantFrom(0, 0, 1, 1000, 10 * MINUTE),
      }),
    ],
    [10, of('sync', { from, to })],
    [6, of('trickle', { from, to, order: fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }) })],
    [4, of('message', { which: fc.nat(40), to })],
    [4, of('partition', { sides: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()) })],
    [3, of('heal', {})],
    [2, of('kill', { replica })],
    [3, of('start', { replica })],
    [4, of('restart', { replica })],
    [2, of('stall', { replica })],
    [2, of('thaw', { replica })],
    [6, of('acts', { replica, acts: fc.boolean() })],
    [9, of('pass', { ms: fc.constantFrom(1, 1000, MINUTE, 21 * MINUTE, 46 * MINUTE) })],
    [2, of('upgrade', { replica })],
    [5, of('cut', { replica })],
    [2, of('cuts apart', { one: replica, other: replica, actor, event })],
  ];
  return fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const HOUR = 60 * MINUTE;
const clockError = fc.oneof(fc.constant(0), fc.integer({ min: -HOUR, max: HOUR }));

export const schedule: fc.Arbitrary<Schedule> = fc.record({
  clockErrors: fc.tuple(clockError, clockError, clockError),
  acts: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
  actions: fc.array(anyAction(), { minLength: 5, maxLength: 40 }),
});
