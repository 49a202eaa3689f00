import type { AnyMachineSnapshot } from 'xstate';
import type { Json } from '../documents/json.js';
import { ActorError } from './errors.js';
import { isFrozenJson } from './frozen.js';
import type { Machine } from './machines.js';
import { leafPaths, valueOf } from './state-value.js';

/** How an actor comes to a version from the one before. */
export interface Migration {
  /** Leaf of the old state to leaf of the new one, dotted; a leaf that is not named keeps its path. */
  readonly state?: Readonly<Record<string, string>>;
  /** The new context from the old one; without it the context stays. */
  readonly context?: (old: Json) => Json;
}

/**
 * A snapshot of `to` for a state and context of the version before. No entry action runs; history states begin
 * anew. A state to which XState came with more or fewer children than a state has (`whole` false, see `hasState`) goes
 * on as it is, as it did in the version before.
 *
 * @throws {ActorError} `unknown-state`, `invalid-context`, `transition-failed` when the context map throws.
 */
export function migrate(to: Machine, value: Json, context: Json, whole: boolean): AnyMachineSnapshot {
  const { state: map = {}, context: mapContext } = to.migrate ?? {};
  const paths = leafPaths(value).map((path) => (Object.hasOwn(map, path) ? (map[path] ?? path) : path));
  return snapshotAt(to, paths, mapContext === undefined ? context : mapped(to, mapContext, context), whole);
}

/**
 * A snapshot of a machine in the state with these leaves.
 *
 * @throws {ActorError} `unknown-state`, `invalid-context`.
 */
export function snapshotAt(
  machine: Machine,
  paths: readonly string[],
  context: Json,
  whole: boolean,
): AnyMachineSnapshot {
  const value = valueOf(machine.logic, paths, whole);
  if (value === undefined) {
    throw new ActorError(
      'unknown-state',
      `machine ${machine.id} version ${machine.version} has no state ${JSON.stringify(paths.join(' + '))}, and no migration names another`,
    );
  }
  if (!isFrozenJson(context))
    throw new ActorError('invalid-context', `machine ${machine.id}: the context is not plain JSON`);
  const snapshot = machine.logic.resolveState({ value: value as string, context }) as AnyMachineSnapshot;
  isFrozenJson(snapshot.value);
  return snapshot;
}

function mapped(to: Machine, map: (old: Json) => Json, context: Json): Json {
  try {
    return map(context);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ActorError(
      'transition-failed',
      `machine ${to.id}: the context map to version ${to.version} failed: ${message}`,
      { cause: error },
    );
  }
}
