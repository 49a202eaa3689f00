import fc from 'fast-check';

/** A transition; nodes are named by their index. */
export interface TransitionSpec {
  /** Without one the actions run and the state stays. */
  target?: number | undefined;
  guard?: GuardSpec | undefined;
  actions: ActionSpec[];
  reenter: boolean;
}
export type GuardSpec = 'few' | 'odd' | 'big' | 'not few' | 'odd and big' | { atLeast: number };
export type ActionSpec = 'raise' | 'later' | 'cancel' | { add: number } | { ring: number } | { ask: number };

/** One state, below an earlier one or the root. What a place does not allow is left out when the machine is built. */
export interface NodeSpec {
  parent: number;
  kind: 'plain' | 'parallel' | 'final' | 'shallow' | 'deep';
  initial: number;
  entry: ActionSpec[];
  exit: ActionSpec[];
  on: { event: string; transition: TransitionSpec }[];
  always: TransitionSpec | undefined;
  after: { delay: string; transition: TransitionSpec } | undefined;
  onDone: TransitionSpec | undefined;
}

/** A random machine, as numbers that shrink; {@link machineConfig} makes a statechart of any. */
export interface MachineSpec {
  parallel: boolean;
  on: { event: string; transition: TransitionSpec }[];
  nodes: NodeSpec[];
}

export const MOST_STATES = 12;
/** What callers send. `R` is raised, `D` comes delayed; both may be sent too. */
export const EVENTS = ['A', 'B', 'C', 'R', 'D'];
export const MINUTE = 60_000;
/** Long beside the error of the clocks: a replica an hour ahead fires a few timers early, and not thousands. */
export const DELAYS: Readonly<Record<string, number>> = { short: 20 * MINUTE, long: 45 * MINUTE };
export const LATER_MS = 30 * MINUTE;

const guard: fc.Arbitrary<GuardSpec> = fc.oneof(
  fc.constantFrom<GuardSpec>('few', 'odd', 'big', 'not few', 'odd and big'),
  fc.record({ atLeast: fc.nat(4) }),
);
/** On entry and exit nothing is raised: that would come round again for ever. */
const plainAction: fc.Arbitrary<ActionSpec> = fc.oneof(
  fc.record({ add: fc.nat(3) }),
  fc.record({ ring: fc.nat(2) }),
  fc.record({ ask: fc.nat(2) }),
  fc.constantFrom<ActionSpec>('later', 'cancel'),
);
const anyAction: fc.Arbitrary<ActionSpec> = fc.oneof(
  { weight: 4, arbitrary: plainAction },
  { weight: 1, arbitrary: fc.constant<ActionSpec>('raise') },
);
const transitionSpec: fc.Arbitrary<TransitionSpec> = fc.record({
  target: fc.option(fc.nat(MOST_STATES - 1), { nil: undefined, freq: 5 }),
  guard: fc.option(guard, { nil: undefined, freq: 1 }),
  actions: fc.array(anyAction, { maxLength: 2 }),
  reenter: fc.boolean(),
});
const handler = fc.record({ event: fc.constantFrom(...EVENTS), transition: transitionSpec });
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq }).map((value) => value);

const node: fc.Arbitrary<NodeSpec> = fc.record({
  parent: fc.nat(MOST_STATES),
  kind: fc.constantFrom<NodeSpec['kind']>(
    'plain',
    'plain',
    'plain',
    'plain',
    'parallel',
    'parallel',
    'final',
    'shallow',
    'deep',
  ),
  initial: fc.nat(3),
  entry: fc.array(plainAction, { maxLength: 1 }),
  exit: fc.array(plainAction, { maxLength: 1 }),
  on: fc.array(handler, { minLength: 1, maxLength: 4 }),
  always: fc.oneof(
    { weight: 5, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: transitionSpec },
  ),
  after: sometimes(
    fc.record({ delay: fc.constantFrom(...Object.keys(DELAYS)), transition: transitionSpec }),
    1,
  ),
  onDone: sometimes(transitionSpec, 1),
});

export const machineSpec: fc.Arbitrary<MachineSpec> = fc.record({
  parallel: fc.boolean(),
  on: fc.array(handler, { maxLength: 2 }),
  nodes: fc.array(node, { minLength: 2, maxLength: MOST_STATES }),
});
