import type { Json } from '../documents/json.js';
import { kinds } from '../documents/schemas/kinds.js';
import { MAX_AHEAD_MS, nextStamp, type Stamp } from '../documents/stamp.js';
import type { Cause, Write } from '../documents/write.js';
import { checkedEvent, checkedId } from './checked-event.js';
import { machineOf } from './key.js';
import { ActorError } from './errors.js';
import { type LoggedEvent, RELEASE, UPGRADE } from './event.js';
import { step } from './fold.js';
import type { ActorLog } from './log.js';
import type { Machine, Machines } from './machines.js';
import type { Position } from './position.js';
import { releaseData, releasedTo } from './release.js';

/** An event as a caller gives it: its type and the fields its machine declares. */
export interface ActorEvent {
  readonly type: string;
  readonly [field: string]: Json;
}

/** One event to be written; without an id of its own it is known by its cause. */
export interface PlannedEvent {
  readonly event: ActorEvent;
  readonly id?: string;
  /** When it happened, milliseconds, where that is not when its cause did. */
  readonly ts?: number;
}

type Given = Pick<LoggedEvent, 'id' | 'type' | 'data'> & { readonly ts?: number | undefined };

/** Of a state and its context, as JSON, bytes: a base holds them, and more, in one record. */
const MOST_STATE_BYTES = 64 * 1024;

/** What events are planned on. */
export interface Planning {
  readonly log: ActorLog;
  readonly machines: Machines;
  /** The writer's clock, milliseconds. */
  readonly now: number;
  /** Events that will stand before these, and are not in the log yet. */
  readonly waiting: readonly LoggedEvent[];
}

/**
 * The writes for events of one actor, in order, to be made in one change (PROTOCOL A1); events that count already
 * give none.
 *
 * @throws {ActorError} `unknown-event`, `invalid-event`, `quarantined`, `newer-version`, `unknown-machine`, or what
 *   the transition itself runs into; nothing is written then.
 */
export function planEvents(on: Planning, planned: readonly PlannedEvent[], cause: Cause): Write[] {
  const { log, machines } = on;
  assertMoves(log.key, effectivePosition(log, machines), true);
  const given = planned.map(({ event, id = cause.id, ts }) => ({
    id,
    ts,
    ...checkedEvent(latestOf(log, machines), event),
  }));
  return planLogged(on, given, cause);
}

/**
 * The writes that let a quarantined actor go on, in a state or anew; none when that release counts already.
 *
 * @throws {ActorError} `unknown-state`, `not-quarantined`, `newer-version`, `unknown-machine`, `invalid-event`.
 */
export function planRelease(on: Planning, state: string | undefined, cause: Cause): Write[] {
  const { log, machines, waiting } = on;
  const id = checkedId(cause.id);
  if (log.has(id) || waiting.some((event) => event.id === id)) return [];
  const machine = latestOf(log, machines);
  const data = releaseData(machine, state);
  const position = effectivePosition(log, machines);
  releasedTo(machine, machines, data.state, undefined);
  if (position.status !== 'quarantined') assertMoves(log.key, position);
  if (position.status !== 'quarantined' || waiting.some(({ type }) => type === RELEASE)) {
    throw new ActorError('not-quarantined', `${log.key} does not stand still: there is nothing to release`);
  }
  return planLogged(on, [{ id, type: RELEASE, data }], cause);
}

/** {@link planEvents} for events of our own: timers, and releases, which bring their version themselves. */
export function planLogged(on: Planning, given: readonly Given[], cause: Cause): Write[] {
  const { log, machines, now } = on;
  const ids = new Set(on.waiting.map(({ id }) => id));
  const fresh = given.filter(({ id }) => !log.has(checkedId(id)) && !ids.has(id) && ids.add(id));
  if (fresh.length === 0) return [];
  const writes: Write[] = [];
  let { position, top } = behind(on);
  for (const { ts: own, ...event } of [...upgrades(log, machines, position), ...fresh] as Given[]) {
    const told = own ?? cause.ts;
    // A homeserver's word, and so not trusted.
    const happened = told !== undefined && Number.isFinite(told) ? told : now;
    const ts = Math.max(0, Math.min(Math.floor(happened), Math.floor(now) + MAX_AHEAD_MS));
    const stamp = nextStamp(happened, now, top);
    const logged: LoggedEvent = { ...event, ts, stamp };
    position = step(log.key, machines, position, logged).position;
    // An upgrade that quarantines stands before the release from it.
    if (event.type !== UPGRADE || fresh[0]?.type !== RELEASE) assertMoves(log.key, position);
    top = stamp;
    writes.push(eventWrite(log.key, logged));
  }
  return [...writes, stateWrite(log.key, position, top)];
}

/** Where the actor stands behind all that its log has and all that waits, and the highest stamp of it. */
function behind({ log, machines, waiting }: Planning): { position: Position; top: Stamp | undefined } {
  let position = log.position();
  let { top } = log;
  for (const event of waiting) {
    if (log.has(event.id)) continue;
    position = step(log.key, machines, position, event).position;
    top = Math.max(top ?? 0, event.stamp);
  }
  return { position, top };
}

/** A4: what is not at the latest version yet is upgraded first; what has not begun begins there. */
function upgrades(
  log: ActorLog,
  machines: Machines,
  position: Position,
): Pick<LoggedEvent, 'id' | 'type' | 'data'>[] {
  const latest = machines.latest(machineOf(log.key));
  if (latest === undefined) return [];
  const from =
    position.status === 'active'
      ? position.machine.version
      : position.status === 'unbegun'
        ? 1
        : latest.version;
  if (from >= latest.version) return [];
  let id = `upgrade/${latest.version}`;
  // One that came while the actor stood still counts and did nothing; a release to an older version let it go on.
  for (let again = 2; log.has(id); again += 1) id = `upgrade/${latest.version}/${again}`;
  return [{ id, type: UPGRADE, data: { to: latest.version } }];
}

function latestOf(log: ActorLog, machines: Machines): Machine {
  const id = machineOf(log.key);
  const latest = machines.latest(id);
  if (latest === undefined) throw new ActorError('unknown-machine', `no machine ${id} is registered`);
  return latest;
}

/**
 * Where an actor stands for this replica's versions: one that nobody upgraded yet is shown as its upgrade will leave
 * it, so that a state without a migration is found at the start and not with the first event.
 */
export function effectivePosition(log: ActorLog, machines: Machines): Position {
  const position = log.position();
  const [upgrade] = position.status === 'active' ? upgrades(log, machines, position) : [];
  if (upgrade === undefined) return position;
  return log.preview({ ...upgrade, ts: 0, stamp: (log.top ?? 0) + 1 }).position;
}

function assertMoves(key: string, position: Position, before = false): void {
  if (position.status === 'newer') {
    throw new ActorError(
      'newer-version',
      `${key} is at version ${position.version} of its machine, which is not registered here: update this replica`,
    );
  }
  if (position.status === 'archived') {
    throw new ActorError('archived', `${key} was over long ago: its history is in the audit documents`);
  }
  if (position.status !== 'quarantined') return;
  throw new ActorError(before ? 'quarantined' : position.code, `${key} stands still: ${position.reason}`);
}

function eventWrite(key: string, { id, type, ts, data, stamp }: LoggedEvent): Write {
  const event = { type, ts, ...(data && { data }) };
  return { kind: 'event', key: `${kinds.event.prefix}${key} ${id}`, fields: { event }, stamp };
}

function stateWrite(key: string, position: Position, stamp: number | undefined): Write {
  if (position.status !== 'active') throw new Error(`${key} came to no state`);
  const { machine, snapshot } = position;
  const current = {
    version: machine.version,
    hash: machine.hash,
    value: snapshot.value as Json,
    context: snapshot.context as Json,
    status: snapshot.status,
  };
  if (Buffer.byteLength(JSON.stringify(current)) > MOST_STATE_BYTES) {
    throw new ActorError(
      'invalid-context',
      `${key} would come to a state and context of more than ${MOST_STATE_BYTES} bytes: keep large things elsewhere, and their names in the context`,
    );
  }
  return {
    kind: 'actor',
    key: kinds.actor.prefix + key,
    fields: { current_state: current },
    ...(stamp !== undefined && { stamp }),
  };
}
