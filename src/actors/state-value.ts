import type { AnyStateMachine, AnyStateNode } from 'xstate';
import type { Json } from '../documents/json.js';

/** A state value's leaves as dotted paths, sorted: `{ a: { b: 'c', d: 'e' } }` is `a.b.c` and `a.d.e`. */
export function leafPaths(value: Json, prefix = ''): string[] {
  if (typeof value === 'string') return [prefix + value];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value as Record<string, Json>)
    .flatMap(([name, inner]) =>
      typeof inner === 'object' && inner !== null && Object.keys(inner).length === 0
        ? [prefix + name]
        : leafPaths(inner, `${prefix}${name}.`),
    )
    .sort();
}

/**
 * Whether a machine has a state value, by own properties only: XState takes `constructor` for a state and then
 * silently begins anew (DESIGN §4). A `whole` value names every region of a parallel state and one child of any
 * other; XState itself may come to more or fewer behind a history, and goes on so.
 */
export function hasState(machine: AnyStateMachine, value: Json, whole = true): boolean {
  // A machine without states stands as an empty object, as such a region does.
  return fits(machine.root, value, whole) || (isLeaf(machine.root) && isEmpty(value));
}

/** All states of a machine by XState's ids. */
export function statesById(machine: AnyStateMachine): ReadonlyMap<string, AnyStateNode> {
  const byId = new Map<string, AnyStateNode>();
  const walk = (node: AnyStateNode): void => {
    byId.set(node.id, node);
    for (const child of Object.values(node.states as Record<string, AnyStateNode>)) walk(child);
  };
  walk(machine.root);
  return byId;
}

function fits(node: AnyStateNode, value: Json, whole: boolean): boolean {
  const states = node.states as Record<string, AnyStateNode>;
  const childOf = (name: string) => (Object.hasOwn(states, name) ? states[name] : undefined);
  if (typeof value === 'string') {
    const child = childOf(value);
    return child !== undefined && node.type === 'compound' && isLeaf(child);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const members = Object.entries(value as Record<string, Json>);
  if (node.type === 'parallel') {
    const names = Object.keys(states).filter((name) => states[name]?.type !== 'history');
    return (
      (members.length === names.length || !whole) &&
      members.every(([name, inner]) => names.includes(name) && fitsChild(childOf(name), inner, whole))
    );
  }
  return (
    node.type === 'compound' &&
    (members.length === 1 || !whole) &&
    members.every(([name, inner]) => fitsChild(childOf(name), inner, whole))
  );
}

/** A region without states of its own stands as an empty object. */
function fitsChild(child: AnyStateNode | undefined, value: Json, whole: boolean): boolean {
  if (child === undefined || child.type === 'history') return false;
  const empty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return empty ? isLeaf(child) || !whole : fits(child, value, whole);
}

const isLeaf = (node: AnyStateNode): boolean => node.type === 'atomic' || node.type === 'final';

/** The state value with these leaves, its regions as the machine has them; undefined when it has no such state. */
export function valueOf(
  machine: AnyStateMachine,
  paths: readonly string[],
  whole: boolean,
): Json | undefined {
  const value = build(
    machine.root,
    paths.map((path) => path.split('.')),
  );
  return value !== undefined && hasState(machine, value, whole) ? value : undefined;
}

function build(node: AnyStateNode, paths: readonly (readonly string[])[]): Json | undefined {
  const heads = [...new Set(paths.map(([head]) => head))];
  if (heads.length === 0 || heads.includes(undefined)) return heads.length === 1 ? {} : undefined;
  const states = node.states as Record<string, AnyStateNode>;
  const members: [string, Json][] = [];
  const names = Object.keys(states);
  for (const head of (heads as string[]).sort((a, b) => names.indexOf(a) - names.indexOf(b))) {
    const child = Object.hasOwn(states, head) ? states[head] : undefined;
    const inner =
      child &&
      build(
        child,
        paths.filter(([first]) => first === head).map((path) => path.slice(1)),
      );
    if (inner === undefined) return undefined;
    members.push([head, inner]);
  }
  const [only] = members;
  if (node.type === 'compound' && members.length === 1 && only !== undefined) {
    return isEmpty(only[1]) ? only[0] : { [only[0]]: only[1] };
  }
  return Object.fromEntries(members);
}

const isEmpty = (value: Json): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
