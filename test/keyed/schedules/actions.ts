import fc from 'fast-check';

export const REPLICAS = ['a', 'b', 'c'] as const;
export const KEYS = ['k1', 'k2', 'k3', 'k4'] as const;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What kind of namespace a schedule is about; `step` is the longest time that passes at once, milliseconds. */
export const NAMESPACES = [
  { class: 'cache', ttl: 30 * MINUTE, maxEntries: 3, step: 4 * HOUR },
  { class: 'durable', ttl: DAY, maxEntries: 3, step: 2 * DAY },
  { class: 'durable', maxEntries: 3, step: 120 * DAY },
  { class: 'cache', maxEntries: 3, step: 120 * DAY },
] as const;

/** What happens in a schedule; what is not possible as things stand does nothing. */
export type Action =
  /** `age` is how old the thing is, as a part of its life; 0 for now. */
  | { do: 'register'; replica: number; key: number; age: number }
  | { do: 'registerIfAbsent'; replica: number; key: number }
  | { do: 'consume'; replica: number; key: number }
  | { do: 'delete'; replica: number; key: number }
  | { do: 'clear'; replica: number }
  /** Two replicas do so before either hears of the other. */
  | { do: 'both'; what: 'register' | 'consume'; key: number; one: number; other: number }
  /** Consumed, and killed before it is on the disk. */
  | { do: 'consume and die'; replica: number; key: number }
  /** Everything that two have open goes both ways. */
  | { do: 'sync'; one: number; other: number }
  | { do: 'relay'; replica: number }
  /** Time passes, as a part of the longest step; some replicas are frozen meanwhile and do not look after themselves. */
  | { do: 'pass'; part: number; awake: readonly boolean[] }
  | { do: 'kill'; replica: number }
  | { do: 'start'; replica: number }
  | { do: 'stall'; replica: number }
  | { do: 'thaw'; replica: number };

export interface Schedule {
  namespace: number;
  /** What the clocks show too much, milliseconds: up to an hour. */
  clockErrors: readonly number[];
  actions: readonly Action[];
}

const replica = fc.nat(REPLICAS.length - 1);
const key = fc.nat(KEYS.length - 1);

function of<D extends Action['do']>(
  what: D,
  fields: {
    [F in Exclude<keyof Extract<Action, { do: D }>, 'do'>]: fc.Arbitrary<Extract<Action, { do: D }>[F]>;
  },
): fc.Arbitrary<Action> {
  return fc.record({ do: fc.constant(what), ...fields }) as unknown as fc.Arbitrary<Action>;
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: of('register', { replica, key, age: fc.constantFrom(0, 0, 0, 0.1, 0.9) }) },
  { weight: 6, arbitrary: of('registerIfAbsent', { replica, key }) },
  { weight: 7, arbitrary: of('consume', { replica, key }) },
  { weight: 3, arbitrary: of('delete', { replica, key }) },
  { weight: 1, arbitrary: of('clear', { replica }) },
  {
    weight: 3,
    arbitrary: of('both', {
      what: fc.constantFrom('register', 'consume'),
      key,
      one: replica,
      other: replica,
    }),
  },
  { weight: 1, arbitrary: of('consume and die', { replica, key }) },
  { weight: 9, arbitrary: of('sync', { one: replica, other: replica }) },
  { weight: 5, arbitrary: of('relay', { replica }) },
  {
    weight: 6,
    arbitrary: of('pass', {
      part: fc.constantFrom(0.01, 0.01, 0.01, 0.05, 0.05, 0.1, 0.25, 0.5, 1),
      awake: fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)), {
        minLength: 3,
        maxLength: 3,
      }),
    }),
  },
  { weight: 1, arbitrary: of('kill', { replica }) },
  { weight: 4, arbitrary: of('start', { replica }) },
  { weight: 1, arbitrary: of('stall', { replica }) },
  { weight: 2, arbitrary: of('thaw', { replica }) },
);

export const schedule: fc.Arbitrary<Schedule> = fc.record({
  // Those without a ttl have three times the documents, and cost as much.
  namespace: fc.constantFrom(0, 0, 0, 1, 1, 1, 2, 3),
  clockErrors: fc.array(fc.integer({ min: -HOUR, max: HOUR }), { minLength: 3, maxLength: 3 }),
  actions: fc.array(action, { minLength: 10, maxLength: 50, size: 'max' }),
});
