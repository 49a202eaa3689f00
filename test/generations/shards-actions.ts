import fc from 'fast-check';

export const REPLICAS = ['a', 'b', 'c'] as const;
export const SHARDS = 3;
export const ROOMS = 2;

/** What replicas may hear of each other at one time. */
export type Heard = 'all' | 'cluster' | 'routing' | 'actors';

/** What happens in a schedule of several shards; what is not possible as things stand does nothing. */
export type Action =
  /** An event under a new cause, or under one that was used before: then it is that same event. */
  | { do: 'send'; replica: number; room: number; again: number | undefined; ageMs: number }
  /** The room gets a person, whose shard is one of three: its actor stays where it is. */
  | { do: 'map'; replica: number; room: number; person: number }
  /** One hears what another holds, of all documents or of one family. */
  | { do: 'sync'; from: number; to: number; what: Heard }
  /** Some of it, in another order; may come again. */
  | { do: 'trickle'; from: number; to: number; order: readonly number[] }
  | { do: 'partition'; sides: readonly boolean[] }
  | { do: 'heal' }
  | { do: 'kill'; replica: number }
  | { do: 'start'; replica: number }
  | { do: 'restart'; replica: number }
  | { do: 'stall'; replica: number }
  | { do: 'thaw'; replica: number }
  | { do: 'acts'; replica: number; acts: boolean }
  /** A member renews its record, as it does once a day. */
  | { do: 'seen'; replica: number }
  /** The operator retires another. */
  | { do: 'retire'; replica: number; who: number }
  | { do: 'pass'; ms: number }
  /** Shards are cut one after the other, in this order; the history of each takes a while to be written. */
  | { do: 'cut'; replica: number; shards: readonly number[]; archiveMs: number }
  /** Two that do not hear of each other each cut these shards twice, with events between. */
  | { do: 'cuts apart'; one: number; other: number; room: number; shards: readonly number[] };

export interface Schedule {
  /** What the clocks show too much, milliseconds. */
  clockErrors: readonly number[];
  actions: readonly Action[];
}

const MINUTE = 60_000;
const replica = fc.nat(REPLICAS.length - 1);
const room = fc.nat(ROOMS - 1);
const person = fc.nat(SHARDS - 1);
const shards = fc.uniqueArray(fc.nat(SHARDS - 1), { minLength: 1, maxLength: SHARDS });
const what = fc.constantFrom<Heard>('all', 'all', 'cluster', 'routing', 'actors');

function anyAction(): fc.Arbitrary<Action> {
  const of = <D extends Action['do']>(
    name: D,
    fields: {
      [F in Exclude<keyof Extract<Action, { do: D }>, 'do'>]: fc.Arbitrary<Extract<Action, { do: D }>[F]>;
    },
  ): fc.Arbitrary<Action> =>
    fc.record({ do: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Action>;
  const again = fc.option(fc.nat(20), { nil: undefined, freq: 3 });
  const ageMs = fc.constantFrom(0, 0, 1000, 10 * MINUTE);
  const weighted: [number, fc.Arbitrary<Action>][] = [
    [30, of('send', { replica, room, again, ageMs })],
    [8, of('map', { replica, room, person })],
    [16, of('sync', { from: replica, to: replica, what })],
    [
      4,
      of('trickle', {
        from: replica,
        to: replica,
        order: fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }),
      }),
    ],
    [4, of('partition', { sides: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()) })],
    [3, of('heal', {})],
    [2, of('kill', { replica })],
    [3, of('start', { replica })],
    [3, of('restart', { replica })],
    [3, of('stall', { replica })],
    [3, of('thaw', { replica })],
    [3, of('acts', { replica, acts: fc.boolean() })],
    [7, of('pass', { ms: fc.constantFrom(1, 200, 1000, MINUTE) })],
    [12, of('cut', { replica, shards, archiveMs: fc.constantFrom(0, 0, 0, 300, 2000) })],
    [3, of('cuts apart', { one: replica, other: replica, room, shards })],
  ];
  return fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const clockError = fc.oneof(fc.constant(0), fc.integer({ min: -60 * MINUTE, max: 60 * MINUTE }));

export const schedule: fc.Arbitrary<Schedule> = fc.record({
  clockErrors: fc.tuple(clockError, clockError, clockError),
  actions: fc.array(anyAction(), { minLength: 8, maxLength: 45, size: 'max' }),
});
