import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialTransition, transition, type AnyMachineSnapshot } from 'xstate';
import type { Json } from '../../../src/documents/json.js';
import { leafPaths } from '../../../src/actors/state-value.js';
import { machine } from './files.js';
import { Reference, type Branch, type Content, type Event, type Schema, type State } from './reference.js';

type Pick = (most: number) => number;
type Given = { event: Event; after?: { path: string; delay: string } };

/** Numbers and fields that guards, assignments and events share, so that they meet often. */
const TYPES = ['A', 'B', 'C'];
const DELAYS = ['5s', '1m'];
const MS: Record<string, number> = { '5s': 5_000, '1m': 60_000 };

describe('a machine from a file', () => {
  it('does what a reading of the file by hand says, for 300 random machines and lists of events', () => {
    const taken = { transitions: 0, guarded: 0, finished: 0, nested: 0 };
    fc.assert(
      fc.property(fc.gen(), (gen) => {
        const pick: Pick = (most) => gen(fc.nat, { max: most - 1 });
        const content = randomMachine(pick);
        const { machine: logic } = machine(content);
        const reference = new Reference(content);
        let [snapshot, actions] = initialTransition(logic) as unknown as [AnyMachineSnapshot, unknown[]];
        let effects = named(actions);
        const compare = (step: string): void => {
          const here = {
            leaf: leafPaths(snapshot.value as Json),
            context: snapshot.context as unknown,
            effects,
          };
          expect(here, step).toEqual({
            leaf: [reference.leaf],
            context: reference.context,
            effects: reference.effects,
          });
        };
        compare('at the beginning');
        for (let left = pick(12); left > 0 && snapshot.status === 'active'; left -= 1) {
          const { event, after } = randomEvent(pick, content);
          const before = snapshot;
          [snapshot, actions] = transition(logic, snapshot, event as never);
          effects = [...effects, ...named(actions)];
          reference.send(event, after);
          compare(JSON.stringify(event));
          if (snapshot !== before) taken.transitions += 1;
          if (reference.leaf.includes('.')) taken.nested += 1;
        }
        expect(snapshot.status === 'done').toBe(reference.done);
        if (reference.done) taken.finished += 1;
        if (JSON.stringify(content).includes('"guard"')) taken.guarded += 1;
      }),
      { numRuns: 300 },
    );
    // Machines in which nothing happens would agree on anything.
    expect(taken.transitions).toBeGreaterThan(300);
    expect(taken.nested).toBeGreaterThan(100);
    expect(taken.guarded).toBeGreaterThan(200);
    expect(taken.finished).toBeGreaterThan(5);
  });
});

/** What reaches outside: delayed and cancelled events are XState's own. */
function named(actions: readonly unknown[]): string[] {
  return (actions as { type: string; params?: unknown }[])
    .filter(({ type }) => !type.startsWith('xstate.') && !type.startsWith('assign:'))
    .map(({ type, params }) => `${type} ${JSON.stringify(params ?? null)}`);
}

function randomMachine(pick: Pick): Content {
  const paths: string[][] = [];
  const skeleton = (path: string[], depth: number): State => {
    if (path.length > 0) paths.push(path);
    if (depth === 0 || (path.length > 0 && pick(3) > 0))
      return path.length > 1 && pick(4) === 0 ? { type: 'final' } : {};
    const names = ['a', 'b', 'c', 'd'].slice(0, 1 + pick(4));
    const states = Object.fromEntries(names.map((name) => [name, skeleton([...path, name], depth - 1)]));
    return { initial: names[pick(names.length)]!, states };
  };
  const root = skeleton([], 3);
  if (pick(3) === 0) {
    root.states!['end'] = { type: 'final' };
    paths.push(['end']);
  }
  const at = (path: readonly string[]): State => path.reduce((state, name) => state.states![name]!, root);

  const target = (from: string[], among: string[][]): string => {
    const to = among[pick(among.length)]!;
    const isBelow = to.length > from.length && from.every((name, index) => to[index] === name);
    const around = from.slice(0, -1);
    const isBeside =
      from.length > 0 && to.length >= from.length && around.every((name, index) => to[index] === name);
    if (isBelow && pick(2) === 0) return `.${to.slice(from.length).join('.')}`;
    if (isBeside && pick(2) === 0) return to.slice(around.length).join('.');
    return `#m.${to.join('.')}`;
  };
  const branch = (from: string[], kind: 'on' | 'after' | 'always' | 'onDone', among: string[][]): Branch => ({
    ...((kind === 'always' || pick(4) > 0) && { target: target(from, among) }),
    ...(pick(2) === 0 && { guard: randomGuard(pick, kind === 'on') }),
    ...(pick(2) === 0 && { assign: randomAssign(pick, kind === 'on') }),
    ...(pick(2) === 0 && { actions: [pick(2) === 0 ? 'ring' : { type: 'show', params: { n: pick(3) } }] }),
  });
  const filled = (path: string[]): void => {
    const state = at(path);
    const name = path.join('-') || 'top';
    if (pick(2) === 0) state.entry = [`enter-${name}`];
    if (state.type === 'final') return;
    if (pick(2) === 0) state.exit = [`leave-${name}`];
    state.on = {};
    for (const type of TYPES) {
      if (pick(2) === 0) continue;
      const list = [branch(path, 'on', paths), branch(path, 'on', paths)].slice(0, 1 + pick(2));
      // Only the last one may stand without a guard.
      for (const one of list.slice(0, -1)) one.guard ??= randomGuard(pick, true);
      for (const one of list) if (Object.keys(one).every((key) => key === 'guard')) one.actions = ['ring'];
      for (const one of list)
        if (one.target !== undefined && path.length > 0 && pick(4) === 0) one.reenter = true;
      state.on[type] = list.length === 1 ? list[0]! : list;
    }
    if (path.length > 0 && pick(3) === 0) state.after = { [DELAYS[pick(2)]!]: branch(path, 'after', paths) };
    // What no event causes leads to leaves further on, so that it ends.
    const leaves = paths.filter((one) => at(one).states === undefined);
    const last = leaves.findLastIndex((leaf) => path.every((name, index) => leaf[index] === name));
    const further = leaves.slice(last + 1);
    if (path.length === 0 || further.length === 0) return;
    if (leaves.includes(path) && pick(4) === 0) state.always = [branch(path, 'always', further)];
    const hasFinal = Object.values(state.states ?? {}).some(({ type }) => type === 'final');
    if (hasFinal && pick(2) === 0) state.onDone = branch(path, 'onDone', further);
  };
  filled([]);
  for (const path of paths) filled(path);
  const used = TYPES.filter((type) =>
    [root, ...paths.map(at)].some(({ on }) => [on?.[type] ?? []].flat().length > 0),
  );
  const events = Object.fromEntries(used.map((type) => [type, ['amount', 'flag']]));
  return { id: 'm', version: 1, context: { n: 0, k: 1, flag: false }, events, ...root };
}

function randomGuard(pick: Pick, withEvent: boolean): NonNullable<Branch['guard']> {
  const context: Schema[] = [
    { properties: { n: { minimum: pick(4) } } },
    { properties: { n: { maximum: pick(4) } } },
    { properties: { flag: { const: pick(2) === 0 } } },
    { not: { properties: { k: { minimum: pick(3), type: 'number' } } } },
    { anyOf: [{ properties: { n: { const: pick(3) } } }, { properties: { flag: { const: true } } }] },
  ];
  const chosen = context[pick(context.length)]!;
  if (!withEvent || pick(2) === 0) return chosen;
  const event: Schema = { required: ['amount'], properties: { amount: { minimum: pick(3) } } };
  return pick(2) === 0 ? { event } : { context: chosen, event };
}

function randomAssign(pick: Pick, withEvent: boolean): NonNullable<Branch['assign']> {
  const choices: NonNullable<Branch['assign']>[] = [
    { n: { add: 1 } },
    { n: { set: pick(4) }, k: { add: 2 } },
    { flag: { set: pick(2) === 0 } },
    { k: { subtract: 1 } },
  ];
  if (withEvent)
    choices.push({ n: { event: 'amount' } }, { n: { add: { event: 'amount' } }, flag: { event: 'flag' } });
  return choices[pick(choices.length)]!;
}

function randomEvent(pick: Pick, content: Content): Given {
  if (pick(4) === 0) {
    const waiting = delays(content, []);
    const one = waiting[pick(Math.max(waiting.length, 1))];
    if (one) return { event: { type: `xstate.after.${MS[one.delay]}.m.${one.path}` }, after: one };
  }
  return {
    event: {
      type: TYPES[pick(TYPES.length)]!,
      ...(pick(3) > 0 && { amount: pick(4) }),
      ...(pick(2) === 0 && { flag: pick(2) === 0 }),
    },
  };
}

function delays(state: State, path: string[]): { path: string; delay: string }[] {
  const own = Object.keys(state.after ?? {}).map((delay) => ({ path: path.join('.'), delay }));
  return [
    ...own,
    ...Object.entries(state.states ?? {}).flatMap(([name, child]) => delays(child, [...path, name])),
  ];
}
