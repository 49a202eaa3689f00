import type { MachineShape, StateShape } from './shape.js';

export type StateKind = 'atomic' | 'compound' | 'parallel' | 'final' | 'history';

/** A state with its place among the others. */
export interface StateNode {
  readonly name: string;
  /** Dotted names from below the machine; empty for the machine itself. */
  readonly path: string;
  readonly kind: StateKind;
  readonly shape: StateShape;
  readonly parent: StateNode | undefined;
  readonly children: ReadonlyMap<string, StateNode>;
}

/** The states of a file as a tree, whose root is the machine. */
export function stateTree(machine: MachineShape): StateNode {
  return grow(machine, '', undefined);
}

function grow(shape: StateShape, name: string, parent: StateNode | undefined): StateNode {
  const children = new Map<string, StateNode>();
  const path = parent === undefined || parent.path === '' ? name : `${parent.path}.${name}`;
  const kind = shape.type ?? (Object.keys(shape.states ?? {}).length > 0 ? 'compound' : 'atomic');
  const node: StateNode = { name, path, kind, shape, parent, children };
  for (const [child, inner] of Object.entries(shape.states ?? {}))
    children.set(child, grow(inner, child, node));
  return node;
}

/** The node and all below it. */
export function allStates(node: StateNode): StateNode[] {
  return [node, ...[...node.children.values()].flatMap(allStates)];
}

/** The state below `node` with these dotted names. */
export function stateAt(node: StateNode, path: string): StateNode | undefined {
  let at: StateNode | undefined = node;
  for (const name of path.split('.')) at = at?.children.get(name);
  return at;
}

export const isWithin = (node: StateNode, ancestor: StateNode): boolean =>
  node === ancestor || (node.parent !== undefined && isWithin(node.parent, ancestor));

/**
 * What a transition of `node` means by a target: `name` and `name.inner` begin at its siblings, `.inner` at its own
 * states, `#machine.name` at the machine's. The machine has no siblings: there, a name means one of its states.
 */
export function resolveTarget(machineId: string, node: StateNode, target: string): StateNode | undefined {
  const root = rootOf(node);
  if (target.startsWith('#')) {
    const [id, ...path] = target.slice(1).split('.');
    return id === machineId && path.length > 0 ? stateAt(root, path.join('.')) : undefined;
  }
  return target.startsWith('.') ? stateAt(node, target.slice(1)) : stateAt(node.parent ?? root, target);
}

/** XState's id of a state, by which it is found from everywhere. */
export const absoluteId = (machineId: string, node: StateNode): string => `#${machineId}.${node.path}`;

export const rootOf = (node: StateNode): StateNode =>
  node.parent === undefined ? node : rootOf(node.parent);
