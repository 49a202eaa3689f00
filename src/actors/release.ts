import type { AnyMachineSnapshot } from 'xstate';
import type { Json } from '../documents/json.js';
import { ActorError } from './errors.js';
import type { Machine, Machines } from './machines.js';
import { migrate, snapshotAt } from './migration.js';
import type { Quarantined } from './position.js';
import { leafPaths } from './state-value.js';

/** What a release names: a state by the paths of its leaves, or none: then the actor begins anew. */
export function releaseData(
  machine: Machine,
  state: string | undefined,
): { version: number; state?: string } {
  const paths = state?.split(/[\s+]+/u).filter((path) => path !== '');
  return { version: machine.version, ...(paths !== undefined && { state: paths.join(' ') }) };
}

/**
 * Where an operator's word leads. In a state that it names the actor keeps the context it stood still with, taken
 * through the migrations up to this version; where it had none, or it cannot be taken there, and for an actor that
 * begins anew, the context is the initial one.
 *
 * @throws {ActorError} `unknown-state`.
 */
export function releasedTo(
  machine: Machine,
  machines: Machines,
  state: unknown,
  last: Quarantined['last'],
): AnyMachineSnapshot {
  const [initial] = machine.initial;
  if (typeof state !== 'string') {
    return snapshotAt(machine, leafPaths(initial.value as Json), initial.context as Json, false);
  }
  const kept = last && keptContext(machine, machines, last);
  return snapshotAt(machine, state.split(' '), kept === undefined ? (initial.context as Json) : kept, true);
}

function keptContext(
  machine: Machine,
  machines: Machines,
  last: NonNullable<Quarantined['last']>,
): Json | undefined {
  let { context } = last;
  if (last.version > machine.version) return undefined;
  for (let version = last.version + 1; version <= machine.version; version += 1) {
    const to = machines.version(machine.id, version);
    if (to === undefined) return undefined;
    const mapped = mappedContext(to, context);
    if (mapped === undefined) return undefined;
    ({ context } = mapped);
  }
  return context;
}

/** Undefined when the migration fails: that may be why the actor stands still. */
function mappedContext(to: Machine, context: Json): { context: Json } | undefined {
  try {
    const value = to.initial[0].value as Json;
    // In a state that it has, so that only the context can fail.
    const there = { ...to, migrate: to.migrate?.context && { context: to.migrate.context } };
    return { context: migrate(there, value, context, false).context as Json };
  } catch (error) {
    if (error instanceof ActorError) return undefined;
    throw error;
  }
}
