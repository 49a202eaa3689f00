import { assign, createMachine, type AnyStateMachine } from 'xstate';
import { digest } from '../../documents/digest.js';
import { canonicalJson, type Json } from '../../documents/json.js';
import type { MachineOptions } from '../machines.js';
import { assigned } from './assignment.js';
import { delayMs } from './delay.js';
import { predicateOf } from './guard-schema.js';
import type { Branch, Guard, MachineShape, NamedEffect, Operation } from './shape.js';
import { absoluteId, resolveTarget, stateTree, type StateNode } from './state-tree.js';

type Config = Record<string, unknown>;
type Given = { context: Readonly<Record<string, Json>>; event: Readonly<Record<string, Json>> };

/** A checked file as XState's definition. */
export function build(shape: MachineShape): { machine: AnyStateMachine; options: MachineOptions } {
  const builder = new Builder(shape);
  const config = { id: shape.id, context: shape.context, ...builder.state(stateTree(shape)) };
  const { actions, guards } = builder;
  // What the file says is checked by check.ts; XState's types describe definitions that are known when compiling.
  const machine = createMachine(config as never, { actions, guards } as never) as unknown as AnyStateMachine;
  const migrate = migrationOf(shape);
  return { machine, options: { version: shape.version, events: shape.events, ...(migrate && { migrate }) } };
}

class Builder {
  readonly actions: Record<string, unknown> = {};
  readonly guards: Record<string, (given: Given) => boolean> = {};
  readonly #id: string;

  constructor({ id }: MachineShape) {
    this.#id = id;
  }

  state(node: StateNode): Config {
    const { shape, kind, children } = node;
    const config: Config = { type: kind, initial: shape.initial };
    if (kind === 'history') config['history'] = shape.history ?? 'shallow';
    if (shape.target !== undefined) config['target'] = this.#target(node, shape.target);
    if (shape.on) config['on'] = this.#lists(node, Object.entries(shape.on));
    if (shape.after) {
      const delays = Object.entries(shape.after).map(
        ([delay, list]) => [String(delayMs(delay)), list] as const,
      );
      config['after'] = this.#lists(node, delays);
    }
    if (shape.always) config['always'] = this.#list(node, shape.always);
    if (shape.onDone) config['onDone'] = this.#list(node, shape.onDone);
    if (shape.entry) config['entry'] = shape.entry.map(actionOf);
    if (shape.exit) config['exit'] = shape.exit.map(actionOf);
    if (children.size > 0) {
      config['states'] = Object.fromEntries([...children].map(([name, child]) => [name, this.state(child)]));
    }
    return without(config);
  }

  #lists(node: StateNode, lists: readonly (readonly [string, readonly Branch[]])[]): Config {
    return Object.fromEntries(lists.map(([name, list]) => [name, this.#list(node, list)]));
  }

  #list(node: StateNode, list: readonly Branch[]): Config[] {
    return list.map(({ target, guard, assign: operations, actions = [], reenter }) => {
      const named: unknown[] = actions.map(actionOf);
      if (operations) named.unshift(this.#assignment(operations));
      return without({
        target: target === undefined ? undefined : this.#target(node, target),
        guard: guard && this.#guard(guard),
        actions: named.length > 0 ? named : undefined,
        reenter,
      });
    });
  }

  #target(node: StateNode, target: string): string {
    const state = resolveTarget(this.#id, node, target);
    if (state === undefined) throw new Error(`target ${target} of a checked machine is not there`);
    return absoluteId(this.#id, state);
  }

  /** The name holds a hash of the content, so that the hash of the definition covers what the guard says. */
  #guard(guard: Guard): string {
    const name = `guard:${hashOf(without({ context: guard.context, event: guard.event }) as Json)}`;
    const context = predicateOf(guard.context ?? true);
    const event = predicateOf(guard.event ?? true);
    this.guards[name] = (given) => context(given.context) && event(given.event);
    return name;
  }

  #assignment(operations: Readonly<Record<string, Operation>>): string {
    const name = `assign:${hashOf(operations)}`;
    this.actions[name] = assign(({ context, event }: Given) => assigned(operations, context, event));
    return name;
  }
}

const actionOf = ({ type, params }: NamedEffect): Config => without({ type, params });

const hashOf = (content: Json): string =>
  digest('understudy-json-machine', canonicalJson(content)).toString('hex').slice(0, 16);

const without = (config: Config): Config =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));

/**
 * From the version before: each field of the new context is what the file says, else what it was, else its first
 * value. Fields that are gone are dropped. The first version has nothing to migrate.
 */
function migrationOf({ version, context, migrate }: MachineShape): MachineOptions['migrate'] {
  if (version === 1) return undefined;
  const fields = migrate?.context ?? {};
  return {
    state: migrate?.state ?? {},
    context: (old) => {
      const before = isFields(old) ? old : {};
      const entries = Object.entries(context).map(([name, first]) => {
        const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
        if (rule && 'set' in rule) return [name, rule.set] as const;
        const source = rule?.from ?? name;
        return [name, Object.hasOwn(before, source) ? (before[source] ?? null) : first] as const;
      });
      return Object.fromEntries(entries);
    },
  };
}

const isFields = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
