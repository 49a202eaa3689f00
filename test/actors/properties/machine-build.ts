import { and, assign, cancel, not, raise, setup, type AnyStateMachine } from 'xstate';
import type { Migration } from '../../../src/actors/migration.js';
import type { Json } from '../../../src/documents/json.js';
import {
  type ActionSpec,
  DELAYS,
  type GuardSpec,
  LATER_MS,
  type MachineSpec,
  type NodeSpec,
  type TransitionSpec,
} from './machine-spec.js';

/** What a random machine remembers: `trail` differs for every other order and number of events. */
export interface Context {
  [field: string]: Json;
  n: number;
  trail: number;
  taken: number;
  version: number;
}

interface Event {
  type: string;
  id?: string;
  ts?: number;
  x?: number;
}

type Config = Record<string, unknown>;
type Place = { spec: NodeSpec; index: number; parent: number; kind: NodeSpec['kind']; children: number[] };

const ROOT = -1;
const DEEPEST = 3;
export const MACHINE = 'm';
export const FIELDS: Readonly<Record<string, readonly string[]>> = { A: ['x'], B: ['x'] };

/** In plain XState a delayed event has neither id nor time: such a machine does not look at them. */
const PLAIN = 13;
const FACTORS = { 1: 7, 2: 11, plain: PLAIN };

const trailOf = (context: Context, { type, id = '', ts = 0, x }: Event, factor: number): number => {
  let trail = (context.trail * factor + (factor === PLAIN ? 0 : ts)) % 999_983;
  for (const letter of factor === PLAIN ? `${type} ${x ?? ''}` : `${type} ${id} ${x ?? ''}`) {
    trail = (trail * 31 + letter.charCodeAt(0)) % 999_983;
  }
  return trail;
};

function parts(factor: number) {
  return setup({
    types: { context: {} as Context, events: {} as Event },
    actions: {
      note: assign(({ context, event }) => ({
        trail: trailOf(context, event, factor),
        taken: context.taken + 1,
      })),
      add: assign({
        n: ({ context, event }, { by }: { by: number }) => (context.n + by + (event.x ?? 0)) % 7,
      }),
      raise: raise({ type: 'R' }),
      later: raise({ type: 'D' }, { id: 'later', delay: LATER_MS }),
      cancel: cancel('later'),
      ring: (_, _params: { loud: number }) => {},
      ask: (_, _params: { what: number }) => {},
    },
    guards: {
      few: ({ context }) => context.n < 4,
      odd: ({ context }) => context.n % 2 === 1,
      big: ({ event }) => (event.x ?? 0) > 1,
      atLeast: ({ context }, { n }: { n: number }) => context.n >= n,
    },
    delays: { ...DELAYS },
  });
}

/** The statechart of a specification. Version 2 is the same chart, and remembers otherwise. */
export function buildMachine(spec: MachineSpec, version: 1 | 2 | 'plain' = 1): AnyStateMachine {
  const config = machineConfig(version === 'plain' ? renewed(spec) : spec, version);
  return parts(FACTORS[version]).createMachine(config as never) as unknown as AnyStateMachine;
}

/**
 * Ours, like SCXML, knows one delayed event of a name, and a later one takes its place; plain XState lets both come. With
 * the earlier one cancelled they are alike.
 */
function renewed(spec: MachineSpec): MachineSpec {
  const text = JSON.stringify(spec, (_, value: unknown) =>
    Array.isArray(value)
      ? value.flatMap((one: unknown) => (one === 'later' ? ['cancel', one] : [one]))
      : value,
  );
  return JSON.parse(text) as MachineSpec;
}

export const toSecond: Migration = {
  context: (old) => ({ ...(old as Context), version: 2 }),
};

export function machineConfig(spec: MachineSpec, version: 1 | 2 | 'plain'): Config {
  const places = placed(spec);
  const tops = places.filter(({ parent }) => parent === ROOT);
  const parallel =
    spec.parallel &&
    ordinary(
      places,
      tops.map(({ index }) => index),
    ).length > 1;
  return {
    id: MACHINE,
    context: { n: 0, trail: 1, taken: 0, version: 1 } satisfies Context,
    ...(version === 2 && { meta: { version } }),
    ...(parallel
      ? { type: 'parallel' }
      : {
          initial: initialOf(
            places,
            tops.map(({ index }) => index),
            0,
          ),
        }),
    on: handlers(spec.on, places),
    states: Object.fromEntries(tops.map((place) => [nameOf(place.index), stateConfig(place, places)])),
  };
}

const nameOf = (index: number): string => `s${index}`;
const idOf = (index: number): string => `#id${index}`;

/** Puts each node below an earlier one that may bear children, and takes from it what its place does not allow. */
function placed(spec: MachineSpec): Place[] {
  const places: (Place & { depth: number })[] = [];
  spec.nodes.forEach((node, index) => {
    const homes = places.filter(
      ({ kind, depth }) => (kind === 'plain' || kind === 'parallel') && depth < DEEPEST,
    );
    const home = node.parent === 0 ? undefined : homes[(node.parent - 1) % (homes.length + 1)];
    home?.children.push(index);
    const depth = (home?.depth ?? 0) + 1;
    places.push({ spec: node, index, parent: home?.index ?? ROOT, kind: node.kind, children: [], depth });
  });
  const groups = new Map<number, Place[]>();
  for (const place of places) groups.set(place.parent, [...(groups.get(place.parent) ?? []), place]);
  for (const [parent, group] of groups) {
    const isParallel = parent === ROOT ? spec.parallel : places[parent]?.kind === 'parallel';
    for (const place of group) if (isParallel && place.kind === 'final') place.kind = 'plain';
    // Someone must be there to begin in.
    if (!group.some(({ kind }) => kind === 'plain' || kind === 'parallel'))
      (group[0] as Place).kind = 'plain';
  }
  return places;
}

function ordinary(places: readonly Place[], children: readonly number[]): number[] {
  return children.filter((child) => !['shallow', 'deep'].includes(places[child]?.kind ?? ''));
}

function initialOf(places: readonly Place[], children: readonly number[], wish: number): string {
  const begun = children.filter((child) => ['plain', 'parallel'].includes(places[child]?.kind ?? ''));
  return nameOf(begun[wish % begun.length] as number);
}

function stateConfig(place: Place, places: readonly Place[]): Config {
  const { spec, index, kind, children } = place;
  const id = idOf(index).slice(1);
  if (kind === 'shallow' || kind === 'deep') return { id, type: 'history', history: kind };
  const actions = { entry: spec.entry.map(actionConfig), exit: spec.exit.map(actionConfig) };
  if (kind === 'final') return { id, type: 'final', ...actions };
  const parallel = kind === 'parallel' && ordinary(places, children).length > 1;
  const ends = children.some((child) => places[child]?.kind === 'final') || parallel;
  return {
    id,
    ...actions,
    on: handlers(spec.on, places),
    ...(spec.always &&
      isSafe(spec.always, place, places) && { always: transitionConfig(spec.always, places) }),
    ...(spec.after && { after: { [spec.after.delay]: transitionConfig(spec.after.transition, places) } }),
    ...(children.length > 0 && {
      ...(parallel ? { type: 'parallel' } : { initial: initialOf(places, children, spec.initial) }),
      ...(ends && spec.onDone && { onDone: transitionConfig(spec.onDone, places) }),
      states: Object.fromEntries(
        children.map((child) => [nameOf(child), stateConfig(places[child] as Place, places)]),
      ),
    }),
  };
}

/** Eventless transitions lead forward, out of their state, under a guard: few go in a circle, and some do. */
function isSafe({ target, guard }: TransitionSpec, from: Place, places: readonly Place[]): boolean {
  const to = target === undefined ? undefined : places[target % places.length];
  if (to === undefined || guard === undefined || to.index <= from.index) return false;
  for (let one: Place | undefined = to; one !== undefined; one = places[one.parent]) {
    if (one.index === from.index) return false;
  }
  return true;
}

function handlers(on: NodeSpec['on'], places: readonly Place[]): Config {
  const config: Record<string, Config[]> = {};
  for (const { event, transition } of on) {
    // What is raised raises nothing.
    const actions = event === 'R' ? transition.actions.filter((one) => one !== 'raise') : transition.actions;
    (config[event] ??= []).push(transitionConfig({ ...transition, actions }, places));
  }
  return config;
}

function transitionConfig(
  { target, guard, actions, reenter }: TransitionSpec,
  places: readonly Place[],
): Config {
  return {
    ...(target !== undefined && { target: idOf(target % places.length), reenter }),
    ...(guard !== undefined && { guard: guardConfig(guard) }),
    actions: ['note', ...actions.map(actionConfig)],
  };
}

function guardConfig(guard: GuardSpec): unknown {
  if (typeof guard === 'object') return { type: 'atLeast', params: { n: guard.atLeast } };
  if (guard === 'not few') return not('few');
  if (guard === 'odd and big') return and(['odd', 'big']);
  return guard;
}

function actionConfig(action: ActionSpec): unknown {
  if (typeof action === 'string') return action;
  if ('add' in action) return { type: 'add', params: { by: action.add } };
  if ('ring' in action) return { type: 'ring', params: { loud: action.ring } };
  return { type: 'ask', params: { what: action.ask } };
}
