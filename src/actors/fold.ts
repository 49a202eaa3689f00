import type { AnyEventObject as EventObject, AnyMachineSnapshot } from 'xstate';
import { isJson, type Json } from '../documents/json.js';
import { type Effect, effectOf } from './effect.js';
import { ActorError, type ActorErrorCode } from './errors.js';
import { type LoggedEvent, RELEASE, TIMER, UPGRADE } from './event.js';
import { isFrozenJson } from './frozen.js';
import type { Action, Machine, Machines } from './machines.js';
import { migrate } from './migration.js';
import { type Active, contextOf, type Position, type Quarantined, stateValue } from './position.js';
import { transitionFrom } from './pure-transition.js';
import { releasedTo } from './release.js';
import { hasState } from './state-value.js';
import { type Timer, timerOf } from './timer.js';

/** What one event did. */
export interface Step {
  readonly position: Position;
  readonly effects: readonly Effect[];
  /**
   * `taken`: a transition, perhaps without a change of state. `ignored`: counted, and nothing follows from it: no
   * transition here, a timer whose entry is over, or the actor stands still.
   */
  readonly outcome: 'taken' | 'ignored';
}

interface Entry {
  readonly id: string;
  readonly stamp: number;
}

/** Cause of what the entry of the initial state yields. */
const INIT = 'init';
/** Begins XState's names of the delayed events that a state has by its definition. */
const AFTER = 'xstate.after.';
const NOTHING: readonly Effect[] = [];

/**
 * Folds one event into an actor's position: pure, so that every replica that folds the same events in the same
 * order stands at the same place with the same effects and timers (PROTOCOL A1). Never throws: what goes wrong
 * quarantines this actor alone.
 */
export function step(actor: string, machines: Machines, position: Position, event: LoggedEvent): Step {
  try {
    if (position.status === 'unbegun') return begin(actor, machines, position.machine, event);
    return next(actor, machines, position, event);
  } catch (error) {
    return { position: quarantine(position, event, error), effects: NOTHING, outcome: 'ignored' };
  }
}

/** The first event of all: the initial state is entered, and then the event taken. */
function begin(actor: string, machines: Machines, id: string, event: LoggedEvent): Step {
  const upgrade = event.type === UPGRADE;
  const version = upgrade ? targetOf(event) : 1;
  const machine = machines.version(id, version);
  if (machine === undefined) {
    if (upgrade) return { position: { status: 'newer', version }, effects: NOTHING, outcome: 'ignored' };
    throw missing(id, version);
  }
  const [snapshot, actions] = machine.initial;
  const entered = follow(actor, { id: INIT, stamp: event.stamp }, snapshot, actions, new Map());
  const active: Active = { status: 'active', machine, snapshot, timers: entered.timers };
  if (upgrade) return { position: active, effects: entered.effects, outcome: 'taken' };
  const after = next(actor, machines, active, event);
  return entered.effects.length === 0 ? after : { ...after, effects: [...entered.effects, ...after.effects] };
}

function next(actor: string, machines: Machines, position: Position, event: LoggedEvent): Step {
  if (position.status === 'quarantined' && event.type === RELEASE) {
    return release(actor, machines, position, event);
  }
  // A second release in the merged order finds an actor that goes on already, and takes nothing from it.
  if (position.status !== 'active' || event.type === RELEASE) return ignored(position);
  if (event.type === UPGRADE) return upgrade(actor, machines, position, event);
  if (event.type === TIMER) return fire(actor, position, event);
  return take(actor, position, event, { ...event.data, type: event.type, ts: event.ts, id: event.id });
}

/** A4: a timer belongs to one entry of its state; a later entry has a timer of its own. */
function fire(actor: string, position: Active, event: LoggedEvent): Step {
  const { name, entry } = event.data ?? {};
  const timer = typeof name === 'string' ? position.timers.get(name) : undefined;
  if (timer === undefined || timer.entry !== entry) return ignored(position);
  const timers = new Map(position.timers);
  timers.delete(timer.name);
  return take(actor, { ...position, timers }, event, { ...timer.event, ts: event.ts, id: event.id });
}

function take(actor: string, position: Active, event: LoggedEvent, given: EventObject): Step {
  const { machine, snapshot, timers } = position;
  // XState's pure function goes on behind a final state, its actors do not.
  if (snapshot.status !== 'active') return ignored(position);
  const [to, actions] = transitionFrom(machine.logic, snapshot, given);
  if (to.status === 'error') throw failed(machine, event, String(to.error));
  if (to.context !== snapshot.context && !isFrozenJson(to.context)) {
    throw new ActorError(
      'invalid-context',
      `machine ${machine.id}: event ${event.type} leaves a context that is not plain JSON`,
    );
  }
  if (to === snapshot && actions.length === 0) return ignored(position);
  if (to.value !== snapshot.value) isFrozenJson(to.value);
  const followed = follow(actor, event, to, actions, timers);
  return {
    position: { status: 'active', machine, snapshot: to, timers: followed.timers },
    effects: followed.effects,
    outcome: 'taken',
  };
}

/** Sorts what a transition yields into effects and timers. */
function follow(
  actor: string,
  entry: Entry,
  snapshot: AnyMachineSnapshot,
  actions: readonly Action[],
  before: ReadonlyMap<string, Timer>,
): { effects: readonly Effect[]; timers: ReadonlyMap<string, Timer> } {
  if (actions.length === 0 && (snapshot.status !== 'done' || before.size === 0)) {
    return { effects: NOTHING, timers: before };
  }
  const timers = new Map(before);
  const effects = new Map<string, Effect>();
  for (const action of actions) {
    const params = (action.params ?? {}) as {
      delay?: unknown;
      id?: string;
      sendId?: string;
      event?: Timer['event'];
    };
    if (action.type === 'xstate.cancel') {
      timers.delete(String(params.sendId));
    } else if (action.type === 'xstate.raise') {
      // Without a delay it was processed in this transition already (DESIGN §4).
      if (params.delay === undefined || params.event === undefined) continue;
      if (typeof params.delay !== 'number' || !isJson(params.event)) {
        throw new ActorError('transition-failed', `a delayed event of ${actor} is not plain JSON`);
      }
      const name = params.id ?? params.event.type;
      timers.set(name, timerOf(actor, entry, name, params.delay, params.event));
    } else if (action.type.startsWith('xstate.')) {
      throw new ActorError('transition-failed', `${action.type} reaches outside the actor`);
    } else {
      const effect = effectOf(actor, entry.id, action);
      effects.set(effect.id, effect);
    }
  }
  if (snapshot.status === 'done') timers.clear();
  return { effects: [...effects.values()], timers };
}

/** A4: an upgrade is an event in the log, taken version by version. */
function upgrade(actor: string, machines: Machines, position: Active, event: LoggedEvent): Step {
  const to = targetOf(event);
  let { machine, snapshot } = position;
  if (to <= machine.version) return ignored(position);
  if (machines.version(machine.id, to) === undefined) {
    return { position: { status: 'newer', version: to }, effects: NOTHING, outcome: 'ignored' };
  }
  while (machine.version < to) {
    const newer = machines.version(machine.id, machine.version + 1);
    if (newer === undefined) throw missing(machine.id, machine.version + 1);
    const value = snapshot.value as Json;
    snapshot = migrate(newer, value, snapshot.context as Json, hasState(machine.logic, value));
    machine = newer;
  }
  const timers = rearmed(actor, machine, snapshot, event, position.timers);
  return { position: { status: 'active', machine, snapshot, timers }, effects: NOTHING, outcome: 'taken' };
}

/** An operator's word: the actor goes on in the state given, or anew; what it did before stays done. */
function release(actor: string, machines: Machines, position: Quarantined, event: LoggedEvent): Step {
  const { state, version } = event.data ?? {};
  if (typeof version !== 'number') return ignored(position);
  const machine = machines.version(actor.slice(0, actor.indexOf('/')), version);
  if (machine === undefined) {
    return { position: { status: 'newer', version }, effects: NOTHING, outcome: 'ignored' };
  }
  const snapshot = releasedTo(machine, machines, state, position.last);
  const timers = rearmed(actor, machine, snapshot, event, new Map());
  return { position: { status: 'active', machine, snapshot, timers }, effects: NOTHING, outcome: 'taken' };
}

/**
 * The timers of a snapshot when no transition entered its states: those that run go on, unless their state is gone;
 * those that the states have by definition and that do not run begin now. Entry actions do not run again (REQUIREMENTS R5).
 */
function rearmed(
  actor: string,
  machine: Machine,
  snapshot: AnyMachineSnapshot,
  entry: Entry,
  before: ReadonlyMap<string, Timer>,
): ReadonlyMap<string, Timer> {
  const timers = new Map<string, Timer>();
  if (snapshot.status === 'done') return timers;
  // A delayed event that an action raised belongs to no state.
  for (const [name, timer] of before) if (!name.startsWith(AFTER)) timers.set(name, timer);
  const delays = machine.logic.implementations.delays as Record<string, unknown>;
  for (const node of snapshot._nodes as { id: string; config: { after?: object } }[]) {
    for (const named of Object.keys(node.config.after ?? {})) {
      const delay = /^\d+$/u.test(named) ? Number(named) : (delays[named] as number);
      const name = `${AFTER}${named}.${node.id}`;
      timers.set(name, before.get(name) ?? timerOf(actor, entry, name, delay, { type: name }));
    }
  }
  return timers;
}

function quarantine(position: Position, event: LoggedEvent, error: unknown): Position {
  const code: ActorErrorCode = error instanceof ActorError ? error.code : 'transition-failed';
  const reason = error instanceof Error ? error.message : String(error);
  const last =
    position.status === 'active'
      ? { version: position.machine.version, value: stateValue(position), context: contextOf(position) }
      : undefined;
  return { status: 'quarantined', code, reason, event: event.id, last };
}

const ignored = (position: Position): Step => ({ position, effects: NOTHING, outcome: 'ignored' });

function targetOf(event: LoggedEvent): number {
  const to = event.data?.['to'];
  if (typeof to !== 'number' || !Number.isSafeInteger(to) || to < 1) {
    throw new ActorError('invalid-event', 'an upgrade that names no version');
  }
  return to;
}

function missing(id: string, version: number): ActorError {
  return new ActorError(
    'unknown-machine',
    `machine ${id} version ${version} is not registered, and this actor has events of it: register it beside the later one`,
  );
}

function failed(machine: Machine, event: LoggedEvent, message: string): ActorError {
  return new ActorError('transition-failed', `machine ${machine.id}, event ${event.type}: ${message}`);
}
