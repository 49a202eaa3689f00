import type { Json } from '../documents/json.js';
import { machineOf } from './key.js';
import type { ActorErrorCode } from './errors.js';
import type { Machines } from './machines.js';
import { contextOf, type Position, stateValue } from './position.js';

/** Where an actor stands, for callers. */
export interface ActorSnapshot {
  readonly key: string;
  /**
   * `active`, `done` (in a final state), `quarantined` (stands still until released), `newer` (upgraded to a version
   * that is not registered here),
   * `archived` (over long ago: where it stood is in its history).
   */
  readonly status: 'active' | 'done' | 'quarantined' | 'newer' | 'archived';
  readonly machine: string;
  readonly version: number;
  /** XState's state value: a name, or an object of regions. */
  readonly value: Json;
  readonly context: Json;
  /** Why it is quarantined. */
  readonly reason?: { readonly code: ActorErrorCode; readonly message: string; readonly event: string };
}

/** An actor without an event stands in the initial state of its machine's latest version. */
export function snapshotOf(key: string, machines: Machines, position: Position): ActorSnapshot {
  const machine = machineOf(key);
  switch (position.status) {
    case 'active': {
      const status = position.snapshot.status === 'done' ? 'done' : 'active';
      const { version } = position.machine;
      return { key, status, machine, version, value: stateValue(position), context: contextOf(position) };
    }
    case 'quarantined': {
      const { code, reason: message, event, last } = position;
      const { version = 0, value = null, context = null } = last ?? {};
      return {
        key,
        status: 'quarantined',
        machine,
        version,
        value,
        context,
        reason: { code, message, event },
      };
    }
    case 'newer':
    case 'archived':
      return { key, status: position.status, machine, version: position.version, value: null, context: null };
    case 'unbegun': {
      const latest = machines.latest(machine);
      const [initial] = latest?.initial ?? [];
      const value = (initial?.value ?? null) as Json;
      const context = (initial?.context ?? null) as Json;
      return { key, status: 'active', machine, version: latest?.version ?? 0, value, context };
    }
  }
}
