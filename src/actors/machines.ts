import { type AnyMachineSnapshot, type AnyStateMachine, initialTransition } from 'xstate';
import type { ArchiveRule } from './archive.js';
import { checkDefinition, definitionHash } from './definition.js';
import { isJson } from '../documents/json.js';
import { ActorError } from './errors.js';
import { isFrozenJson } from './frozen.js';
import type { Migration } from './migration.js';

export interface MachineOptions {
  /** Whole number from 1; without it the machine's own `version`, else 1. */
  version?: number;
  /** The fields that guards and assignments read of each event; an event carries no others (PROTOCOL A2). */
  events?: Readonly<Record<string, readonly string[]>>;
  /** How an actor comes here from the version before. */
  migrate?: Migration;
  /** When its actors leave the hot documents; without it they stay. Not part of the definition. */
  archive?: ArchiveRule;
}

/** A registered machine: one version of one statechart. */
export interface Machine {
  readonly id: string;
  readonly version: number;
  /** Of the definition and the migration to it: replicas with one version and different hashes must not work together. */
  readonly hash: string;
  readonly logic: AnyStateMachine;
  /** Types of events with a transition in some state, and the fields they carry. */
  readonly events: ReadonlyMap<string, readonly string[]>;
  readonly migrate: Migration | undefined;
  readonly archive: ArchiveRule | undefined;
  /** Its actors may have something to do later: effects or timers. */
  readonly active: boolean;
  /** The snapshot that an actor without events has, and the actions of its entry. */
  readonly initial: readonly [AnyMachineSnapshot, readonly Action[]];
}

/** An action as XState's pure functions return it. */
export interface Action {
  readonly type: string;
  readonly params?: unknown;
}

/** Microsteps of one transition; two eventless transitions in a circle would hang for ever (DESIGN §4). */
const MOST_MICROSTEPS = 1000;
const RESERVED = /^(understudy|xstate)\./u;

/** The machines that this process knows. Versions of one machine stand side by side while a generation holds their events. */
export class Machines {
  readonly #versions = new Map<string, Map<number, Machine>>();

  /**
   * Registers a machine. The same definition again is the same machine.
   *
   * @param admit the last word on it; nothing is registered when it throws.
   * @throws {ActorError} `invalid-machine`, `invalid-context`, `duplicate-machine`.
   */
  register(
    logic: AnyStateMachine,
    options: MachineOptions = {},
    admit: (machine: Machine) => void = () => {},
  ): Machine {
    const machine = build(logic, options);
    const versions = this.#versions.get(machine.id) ?? new Map<number, Machine>();
    const known = versions.get(machine.version);
    if (known !== undefined) {
      if (known.hash === machine.hash) return known;
      throw new ActorError(
        'duplicate-machine',
        `machine ${machine.id} version ${machine.version} is registered with another definition: raise the version`,
      );
    }
    admit(machine);
    versions.set(machine.version, machine);
    this.#versions.set(machine.id, versions);
    return machine;
  }

  /** The highest registered version. */
  latest(id: string): Machine | undefined {
    const versions = this.#versions.get(id);
    return versions && versions.get(Math.max(...versions.keys()));
  }

  version(id: string, version: number): Machine | undefined {
    return this.#versions.get(id)?.get(version);
  }

  all(): Machine[] {
    return [...this.#versions.values()].flatMap((versions) => [...versions.values()]);
  }
}

function build(given: AnyStateMachine, options: MachineOptions): Machine {
  const { id } = given;
  if (id === '' || /[\s/]/u.test(id) || id === '(machine)') {
    throw new ActorError(
      'invalid-machine',
      `a machine needs an id without white space and "/"; this is "${id}"`,
    );
  }
  const version = options.version ?? Number(given.version ?? 1);
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new ActorError('invalid-machine', `machine ${id}: the version must be a whole number from 1`);
  }
  const names = checkDefinition(given);
  const logic = given.provide({});
  logic.options.maxIterations = MOST_MICROSTEPS;
  const events = new Map<string, readonly string[]>();
  for (const type of logic.events as string[]) {
    // A wildcard stands for events that other states name.
    if (!RESERVED.test(type) && !type.endsWith('*')) events.set(type, options.events?.[type] ?? []);
  }
  for (const type of Object.keys(options.events ?? {})) {
    if (!events.has(type)) {
      throw new ActorError(
        'invalid-machine',
        `machine ${id}: fields are declared for ${type}, which no state takes`,
      );
    }
  }
  const declared = Object.fromEntries([...events].map(([type, fields]) => [type, [...fields].sort()]));
  return {
    id,
    version,
    hash: definitionHash(given, declared, options.migrate),
    logic,
    events,
    migrate: options.migrate,
    archive: checkedRule(id, logic, options.archive),
    active:
      [...names.actions].some((name) => !isInner(given.implementations.actions[name])) ||
      (logic.events as string[]).some((type) => type.startsWith('xstate.after.')),
    initial: initialOf(logic),
  };
}

function checkedRule(
  id: string,
  { root }: AnyStateMachine,
  rule: ArchiveRule | undefined,
): ArchiveRule | undefined {
  if (rule === undefined) return undefined;
  if (!(rule.afterMs >= 0)) {
    throw new ActorError('invalid-machine', `machine ${id}: archive.afterMs must be a number from 0`);
  }
  const missing = rule.states?.find((state) => root.states[state] === undefined);
  if (missing === undefined) return rule;
  throw new ActorError(
    'invalid-machine',
    `machine ${id}: archive names a state ${missing}, which it does not have`,
  );
}

/** It changes the context, or takes a timer away: nothing is left to do after it. */
function isInner(action: unknown): boolean {
  const type = (action as { type?: unknown } | undefined)?.type;
  return type === 'xstate.assign' || type === 'xstate.cancel';
}

function initialOf(logic: AnyStateMachine): Machine['initial'] {
  const refuse = (message: string, error?: unknown): never => {
    throw new ActorError('invalid-machine', `machine ${logic.id}: it cannot begin: ${message}`, {
      cause: error,
    });
  };
  try {
    const initial = initialTransition(logic);
    const [snapshot] = initial;
    if (snapshot.status === 'error') refuse(String(snapshot.error), snapshot.error);
    if (!isJson(snapshot.context)) {
      throw new ActorError(
        'invalid-context',
        `machine ${logic.id}: its entry leaves a context that is not plain JSON`,
      );
    }
    // A copy: the definition's own context stays its owner's.
    snapshot.context = structuredClone(snapshot.context) as unknown;
    isFrozenJson(snapshot.context);
    isFrozenJson(snapshot.value);
    return initial;
  } catch (error) {
    if (error instanceof ActorError) throw error;
    return refuse(error instanceof Error ? error.message : String(error), error);
  }
}
