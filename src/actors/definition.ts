import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { digest } from '../documents/digest.js';
import { canonicalJson, isJson, type Json } from '../documents/json.js';
import { ActorError } from './errors.js';
import type { Migration } from './migration.js';

/** Builtin actions that only change context or raise events; everything else reaches outside the actor. */
const ALLOWED_BUILTINS = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel']);

/** What a machine's definition uses, by name. */
export interface DefinitionNames {
  actions: ReadonlySet<string>;
  guards: ReadonlySet<string>;
  delays: ReadonlySet<string>;
}

/**
 * The names that a definition uses, or an error for what no replica could repeat: inline functions, invoked and
 * spawned actors, context made by a function, a guard or delay without implementation (DESIGN §4).
 *
 * @throws {ActorError} `invalid-machine`; the message names the state and the field.
 */
export function checkDefinition(machine: AnyStateMachine): DefinitionNames {
  const names = { actions: new Set<string>(), guards: new Set<string>(), delays: new Set<string>() };
  const config = machine.config as unknown as Node;
  const refuse = refuser(machine.id);
  if (config['context'] !== undefined && typeof config['context'] === 'function') {
    refuse('', 'context', 'is made by a function; give a JSON value');
  }
  if (config['output'] !== undefined) refuse('', 'output', 'is not supported; keep results in the context');
  if (!isJson(machine.config.context ?? {})) {
    throw new ActorError('invalid-context', `machine ${machine.id}: the initial context is not plain JSON`);
  }
  checkNode(config, '', names, refuse);
  checkTargets(machine.root, refuse);
  const { actions, guards, delays } = machine.implementations as unknown as Implementations;
  for (const [name, action] of Object.entries(actions)) checkImplementation(name, action, refuse);
  for (const name of names.guards) {
    if (guards[name] === undefined) refuse('', `guard "${name}"`, 'has no implementation');
  }
  for (const name of names.delays) {
    const delay = delays[name];
    if (typeof delay !== 'number') refuse('', `delay "${name}"`, 'must be a number of milliseconds');
  }
  return names;
}

/**
 * The same on every replica that runs the same definition: hex, 16 characters. How an actor comes here belongs to it;
 * of the function for its context, whether there is one.
 */
export function definitionHash(machine: AnyStateMachine, declared: Json, migration?: Migration): string {
  const { delays } = machine.implementations as unknown as Implementations;
  const moved = { ...migration?.state };
  const comes = { state: moved, context: migration?.context !== undefined };
  const migrates = comes.context || Object.keys(moved).length > 0;
  const definition = [
    hashable(machine.config),
    declared,
    hashable(delays),
    ...(migrates ? [comes] : []),
  ] as Json;
  return digest('understudy-machine', canonicalJson(definition)).toString('hex').slice(0, 16);
}

type Node = Record<string, unknown>;
type Refuse = (state: string, field: string, what: string) => never;
interface Implementations {
  actions: Record<string, unknown>;
  guards: Record<string, unknown>;
  delays: Record<string, unknown>;
}
type Names = { actions: Set<string>; guards: Set<string>; delays: Set<string> };

function refuser(machine: string): (state: string, field: string, what: string) => never {
  return (state, field, what) => {
    const place = state === '' ? '' : `, state "${state}"`;
    throw new ActorError('invalid-machine', `machine ${machine}${place}: ${field} ${what}`);
  };
}

function checkNode(node: Node, path: string, names: Names, refuse: Refuse): void {
  if (node['invoke'] !== undefined) {
    refuse(path, 'invoke', 'is not supported: make long work an effect whose result comes back as an event');
  }
  if (node['onDone'] !== undefined) checkTransitions(node['onDone'], path, 'onDone', names, refuse);
  for (const field of ['entry', 'exit']) checkActions(node[field], path, field, names, refuse);
  checkTransitions(node['always'], path, 'always', names, refuse);
  checkTransitions(node['initial'], path, 'initial', names, refuse);
  for (const [event, transition] of entries(node['on'])) {
    if (event.startsWith('understudy.')) refuse(path, `on.${event}`, 'is an event of our own');
    checkTransitions(transition, path, `on.${event}`, names, refuse);
  }
  for (const [delay, transition] of entries(node['after'])) {
    if (!/^\d+$/u.test(delay)) names.delays.add(delay);
    checkTransitions(transition, path, `after.${delay}`, names, refuse);
  }
  for (const [name, child] of entries(node['states'])) {
    checkNode(child as Node, path === '' ? name : `${path}.${name}`, names, refuse);
  }
}

/** XState looks targets up by plain property access, so that every machine seems to have a state `constructor`. */
function checkTargets(root: AnyStateNode, refuse: Refuse): void {
  const nodes = new Set<unknown>();
  const collect = (node: AnyStateNode): void => {
    nodes.add(node);
    for (const child of Object.values(node.states as Record<string, AnyStateNode>)) collect(child);
  };
  collect(root);
  for (const node of nodes as Set<AnyStateNode>) {
    const path = node.path.join('.');
    const check = (field: string, targets: readonly unknown[] | undefined) => {
      if (targets?.some((target) => !nodes.has(target)) === true)
        refuse(path, field, 'has an unknown target');
    };
    for (const [event, transitions] of node.transitions) {
      for (const { target } of transitions) check(`on.${event}`, target);
    }
    for (const { target } of node.always ?? []) check('always', target);
    if (node.type === 'compound') check('initial', initialTargets(node, path, refuse));
  }
}

function initialTargets(node: AnyStateNode, path: string, refuse: Refuse): readonly unknown[] | undefined {
  try {
    return node.initial.target;
  } catch (error) {
    return refuse(
      path,
      'initial',
      `cannot be resolved: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function checkTransitions(value: unknown, path: string, field: string, names: Names, refuse: Refuse): void {
  for (const transition of listOf(value)) {
    if (typeof transition !== 'object' || transition === null) continue;
    const { guard, actions } = transition as Node;
    if (guard !== undefined) checkGuard(guard, path, `${field}.guard`, names, refuse);
    checkActions(actions, path, `${field}.actions`, names, refuse);
  }
}

function checkGuard(guard: unknown, path: string, field: string, names: Names, refuse: Refuse): void {
  if (typeof guard === 'string') {
    names.guards.add(guard);
  } else if (typeof guard === 'function') {
    // and(), or(), not() are functions that list what they combine; stateIn() lists nothing.
    const { guards } = guard as { guards?: unknown };
    if (!Array.isArray(guards)) refuse(path, field, 'is an inline function: name it in setup({ guards })');
    else for (const inner of guards) checkGuard(inner, path, field, names, refuse);
  } else if (isNamed(guard)) {
    names.guards.add(guard.type);
    checkParams(guard.params, path, field, refuse);
  } else {
    refuse(path, field, 'is no name of a guard');
  }
}

function checkActions(value: unknown, path: string, field: string, names: Names, refuse: Refuse): void {
  for (const action of listOf(value)) {
    if (typeof action === 'string') names.actions.add(action);
    else if (typeof action === 'function') {
      refuse(path, field, 'holds an inline function: name it in setup({ actions })');
    } else if (isNamed(action)) {
      names.actions.add(action.type);
      checkParams(action.params, path, field, refuse);
    } else refuse(path, field, 'holds what is no name of an action');
  }
}

function checkParams(params: unknown, path: string, field: string, refuse: Refuse): void {
  if (params !== undefined && typeof params !== 'function' && !isJson(params)) {
    refuse(path, field, 'has params that are not plain JSON');
  }
  if (typeof params === 'function') refuse(path, field, 'has params made by an inline function');
}

function checkImplementation(name: string, action: unknown, refuse: Refuse): void {
  const type = (action as { type?: unknown } | undefined)?.type;
  if (typeof type === 'string' && type.startsWith('xstate.') && !ALLOWED_BUILTINS.has(type)) {
    refuse('', `action "${name}"`, `is ${type.slice('xstate.'.length)}(), which reaches outside the actor`);
  }
}

/** The definition as JSON: it holds no function but combined guards, which list what they combine. */
function hashable(value: unknown): Json {
  if (typeof value === 'function') {
    const { guards, check } = value as { guards?: unknown[]; check?: { name?: string } };
    return { combined: check?.name ?? '', guards: (guards ?? []).map(hashable) };
  }
  if (Array.isArray(value)) return value.map(hashable);
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, inner]) => inner !== undefined);
    return Object.fromEntries(members.map(([key, inner]) => [key, hashable(inner)]));
  }
  return value === undefined ? null : (value as Json);
}

function isNamed(value: unknown): value is { type: string; params?: unknown } {
  return (
    typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
  );
}

const listOf = (value: unknown): unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
const entries = (value: unknown): [string, unknown][] =>
  typeof value === 'object' && value !== null ? Object.entries(value) : [];
