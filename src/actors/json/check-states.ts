import type { Report } from './errors.js';
import { didYouMean } from './names.js';
import type { MachineShape, StateShape } from './shape.js';
import { isWithin, resolveTarget, stateAt, type StateKind, type StateNode } from './state-tree.js';

/** Fields that a kind of state cannot have, and why. */
const EXCLUDED: Record<StateKind, { fields: readonly (keyof StateShape)[]; why: string }> = {
  atomic: { fields: ['initial', 'onDone', 'history', 'target'], why: 'a state without states of its own' },
  compound: { fields: ['history', 'target'], why: 'a state that is no history state' },
  parallel: {
    fields: ['initial', 'history', 'target'],
    why: 'a parallel state, which is in all of its states',
  },
  final: {
    fields: ['initial', 'states', 'on', 'after', 'always', 'onDone', 'exit', 'history', 'target'],
    why: 'a final state, which nothing leaves',
  },
  history: {
    fields: ['initial', 'states', 'on', 'after', 'always', 'onDone', 'entry', 'exit'],
    why: 'a history state, in which no actor ever is',
  },
};

/** Reports a state whose fields do not fit together. */
export function checkState(machine: MachineShape, node: StateNode, report: Report): void {
  const { kind, path, shape } = node;
  const { fields, why } = EXCLUDED[kind];
  for (const field of fields) {
    if (shape[field] !== undefined) report('bad-state', path, field, `may not stand in ${why}`);
  }
  if (node.parent === undefined && (kind === 'atomic' || kind === 'final')) {
    report('bad-state', path, 'states', 'is missing: a machine needs states');
  }
  if (shape.states !== undefined && node.children.size === 0) {
    report('bad-state', path, 'states', 'is empty');
  } else if (kind === 'parallel' && regionsOf(node) === 0) {
    report('bad-state', path, 'states', 'is missing: a parallel state is made of states');
  }
  if (shape.onDone !== undefined && node.parent === undefined) {
    report('bad-state', path, 'onDone', 'may not stand in the machine itself: its actors are done then');
  } else if (shape.onDone !== undefined && kind === 'compound' && !hasFinal(node)) {
    report('never-taken', path, 'onDone', 'none of the states here is final');
  }
  if (kind === 'compound') checkInitial(node, report);
  if (kind === 'history') checkHistory(machine.id, node, report);
}

const hasFinal = (node: StateNode): boolean =>
  [...node.children.values()].some(({ kind }) => kind === 'final');

const regionsOf = (node: StateNode): number =>
  [...node.children.values()].filter(({ kind }) => kind !== 'history').length;

function checkInitial(node: StateNode, report: Report): void {
  const { path, shape, children } = node;
  const { initial } = shape;
  const states = [...children.values()].filter(({ kind }) => kind !== 'history').map(({ name }) => name);
  if (initial === undefined) {
    report('unknown-initial', path, 'initial', `is missing; one of ${states.join(', ')}`);
  } else if (children.get(initial)?.kind === 'history') {
    report('unknown-initial', path, 'initial', `"${initial}" is a history state: name the state to begin in`);
  } else if (!children.has(initial)) {
    report(
      'unknown-initial',
      path,
      'initial',
      `there is no state "${initial}" here${didYouMean(initial, states)}`,
    );
  }
}

function checkHistory(machineId: string, node: StateNode, report: Report): void {
  const { parent, path, shape } = node;
  if (parent?.parent === undefined) {
    report(
      'bad-history',
      path,
      'type',
      'a history state needs a state around it that can be left and come back to',
    );
    return;
  }
  if (shape.target === undefined) return;
  const target = resolveTarget(machineId, node, shape.target);
  if (target === undefined) {
    report(
      'unknown-target',
      path,
      'target',
      `there is no state "${shape.target}" here${meant(node, shape.target)}`,
    );
  } else if (!isWithin(target, parent) || target === parent || target.kind === 'history') {
    report('bad-history', path, 'target', `"${shape.target}" is no state inside "${parent.path}"`);
  }
}

/** `; did you mean "…"?` for a target that is not there: a name alike, or the same name elsewhere. */
export function meant(node: StateNode, target: string, machineId?: string): string {
  const near = didYouMean(target, (node.parent ?? node).children.keys());
  if (near !== '' || machineId === undefined) return near;
  const own = stateAt(node, target);
  if (own !== undefined) return `; did you mean ".${target}"?`;
  const elsewhere = find(node, target.replace(/^[.#]/u, ''));
  return elsewhere === undefined ? '' : `; did you mean "#${machineId}.${elsewhere.path}"?`;
}

function find(from: StateNode, name: string): StateNode | undefined {
  let top = from;
  while (top.parent !== undefined) top = top.parent;
  const queue = [top];
  for (const node of queue) {
    if (node.name === name && node !== top) return node;
    queue.push(...node.children.values());
  }
  return undefined;
}
