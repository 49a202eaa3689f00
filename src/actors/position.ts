import type { AnyMachineSnapshot } from 'xstate';
import type { Json } from '../documents/json.js';
import type { ActorErrorCode } from './errors.js';
import type { Machine } from './machines.js';
import type { Timer } from './timer.js';

/** In a state of its machine. */
export interface Active {
  readonly status: 'active';
  readonly machine: Machine;
  readonly snapshot: AnyMachineSnapshot;
  /** By name: a later delayed event of one name takes the place of the earlier. */
  readonly timers: ReadonlyMap<string, Timer>;
}

/** Stands still, alone, until it is released; what comes meanwhile counts and changes nothing. */
export interface Quarantined {
  readonly status: 'quarantined';
  readonly code: ActorErrorCode;
  readonly reason: string;
  /** Id of the event at which it came to this. */
  readonly event: string;
  /** Where it stood before, for people. */
  readonly last: { readonly version: number; readonly value: Json; readonly context: Json } | undefined;
}

/** Upgraded to a version that is not registered here: others know where it stands (PROTOCOL A4). */
export interface Ahead {
  readonly status: 'newer';
  readonly version: number;
}

/** It was over, and left the hot documents: what comes for it changes nothing (REQUIREMENTS R3). */
export interface Archived {
  readonly status: 'archived';
  readonly version: number;
  /** Time of the cut at which it left, milliseconds. */
  readonly since: number;
}

/** Without an event: it will begin at version 1, or where its first event, an upgrade, says. */
export interface Unbegun {
  readonly status: 'unbegun';
  readonly machine: string;
}

/** Where an actor stands after some of its events. */
export type Position = Active | Quarantined | Ahead | Archived | Unbegun;

export const stateValue = ({ snapshot }: Active): Json => snapshot.value as Json;
export const contextOf = ({ snapshot }: Active): Json => snapshot.context as Json;
