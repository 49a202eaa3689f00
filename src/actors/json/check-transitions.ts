import type { Json } from '../../documents/json.js';
import { meant } from './check-states.js';
import { delayMs } from './delay.js';
import type { Report } from './errors.js';
import { membersNamed, type GuardSchema } from './guard-schema.js';
import { didYouMean } from './names.js';
import type { Branch, MachineShape, Operation, StateShape } from './shape.js';
import { isWithin, resolveTarget, type StateNode } from './state-tree.js';

/** What every event has besides its declared fields. */
export const ALWAYS_THERE = ['ts', 'id'];

/** What a transition of some kind may read of the event; undefined for one that no event of the actor causes. */
interface Trigger {
  readonly field: string;
  readonly reads: readonly string[] | undefined;
}

/** Reports transitions of a state that lead nowhere or read what is not there. */
export function checkTransitions(machine: MachineShape, node: StateNode, report: Report): void {
  const { on = {}, after = {}, always, onDone } = node.shape;
  const each = (trigger: Trigger, list: readonly Branch[]): void => {
    checkOrder(node, trigger, list, report);
    for (const [index, branch] of list.entries()) {
      const field = list.length === 1 ? trigger.field : `${trigger.field}.${index}`;
      checkBranch(machine, node, { ...trigger, field }, branch, report);
    }
  };
  for (const [type, list] of Object.entries(on)) {
    const declared = Object.hasOwn(machine.events, type) ? machine.events[type] : undefined;
    if (declared === undefined) {
      const names = Object.keys(machine.events);
      report('unknown-event', node.path, `on.${type}`, `is no event of "events"${didYouMean(type, names)}`);
    }
    each({ field: `on.${type}`, reads: [...(declared ?? []), ...ALWAYS_THERE] }, list);
  }
  checkDelays(node, after, report);
  for (const [delay, list] of Object.entries(after))
    each({ field: `after.${delay}`, reads: ALWAYS_THERE }, list);
  if (always) {
    each({ field: 'always', reads: undefined }, always);
    checkEnd(machine, node, always, report);
  }
  if (onDone) each({ field: 'onDone', reads: undefined }, onDone);
}

function checkBranch(
  machine: MachineShape,
  node: StateNode,
  { field, reads }: Trigger,
  branch: Branch,
  report: Report,
): void {
  const { target, guard = {}, assign = {} } = branch;
  if (target !== undefined && resolveTarget(machine.id, node, target) === undefined) {
    const hint = meant(node, target, machine.id);
    report('unknown-target', node.path, `${field}.target`, `there is no state "${target}" here${hint}`);
  }
  if (branch.reenter !== undefined && target === undefined) {
    report('bad-state', node.path, `${field}.reenter`, 'means nothing without a target');
  }
  const known = Object.keys(machine.context);
  const checkMembers = (schema: GuardSchema, place: string, names: readonly string[], what: string): void => {
    for (const { name, at } of membersNamed(schema)) {
      if (names.includes(name)) continue;
      report(
        'unknown-field',
        node.path,
        `${place}.${at}`,
        `"${name}" is no field of ${what}${didYouMean(name, names)}`,
      );
    }
  };
  if (guard.context !== undefined)
    checkMembers(
      guard.context,
      `${field}.guard${guard.event === undefined ? '' : '.context'}`,
      known,
      'the context',
    );
  if (guard.event !== undefined) {
    const place = `${field}.guard.event`;
    if (reads === undefined) report('bad-guard', node.path, place, NO_EVENT);
    else checkMembers(guard.event, place, ['type', ...reads], 'this event');
  }
  for (const [name, operation] of Object.entries(assign)) {
    const place = `${field}.assign.${name}`;
    if (!known.includes(name)) {
      const hint = didYouMean(name, known);
      report(
        'unknown-field',
        node.path,
        place,
        `"${name}" is no field of the context: give it a first value there${hint}`,
      );
    } else checkOperation(node, place, operation, machine.context[name] ?? null, reads, report);
  }
}

const NO_EVENT =
  'there is no event to read here: read it in a transition under "on" and keep it in the context';

function checkOperation(
  node: StateNode,
  place: string,
  operation: Operation,
  first: Json,
  reads: readonly string[] | undefined,
  report: Report,
): void {
  if (('add' in operation || 'subtract' in operation) && typeof first !== 'number') {
    report(
      'bad-assign',
      node.path,
      place,
      'only a number can be counted: its first value in "context" is none',
    );
  }
  const read = fieldRead(operation);
  if (read === undefined) return;
  if (reads === undefined) report('bad-assign', node.path, place, NO_EVENT);
  else if (!reads.includes(read)) {
    const hint = didYouMean(read, reads);
    report(
      'unknown-field',
      node.path,
      place,
      `"${read}" is no field of this event, as "events" declares it${hint}`,
    );
  }
}

function fieldRead(operation: Operation): string | undefined {
  if ('set' in operation) return undefined;
  if ('event' in operation) return operation.event;
  const amount = 'add' in operation ? operation.add : operation.subtract;
  return typeof amount === 'number' ? undefined : amount.event;
}

function checkOrder(node: StateNode, { field }: Trigger, list: readonly Branch[], report: Report): void {
  const first = list.findIndex(({ guard }) => guard === undefined);
  if (first < 0 || first === list.length - 1) return;
  report(
    'never-taken',
    node.path,
    `${field}.${first + 1}`,
    `${field}.${first} has no guard, so it is always taken first`,
  );
}

function checkDelays(node: StateNode, after: NonNullable<StateShape['after']>, report: Report): void {
  const seen = new Map<number, string>();
  for (const delay of Object.keys(after)) {
    const ms = delayMs(delay);
    const field = `after.${delay}`;
    if (ms === undefined) {
      report(
        'bad-delay',
        node.path,
        field,
        `"${delay}" is no delay: "250ms", "5s", "10m", "2h", "7d", up to ten years`,
      );
    } else if (seen.has(ms)) {
      report('bad-delay', node.path, field, `is the same time as "${seen.get(ms)}": make one list of both`);
    } else seen.set(ms, delay);
  }
}

/** Without a guard, and back in or around the same state, an eventless transition is taken again at once. */
function checkEnd(machine: MachineShape, node: StateNode, always: readonly Branch[], report: Report): void {
  for (const [index, { guard, target }] of always.entries()) {
    if (guard !== undefined) continue;
    const to = target === undefined ? node : resolveTarget(machine.id, node, target);
    if (to === undefined || !isWithin(to, node)) continue;
    const field = always.length === 1 ? 'always' : `always.${index}`;
    report(
      'endless',
      node.path,
      field,
      'would be taken for ever: give it a guard, or a target outside of this state',
    );
  }
}
