import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { z } from 'zod';
import { digest } from '../documents/digest.js';
import type { Json } from '../documents/json.js';
import type { Stamp } from '../documents/stamp.js';
import { type ArchiveMark, readArchiveMark } from './archive.js';
import type { Effect } from './effect.js';
import { ActorError } from './errors.js';
import type { Machines } from './machines.js';
import type { Position } from './position.js';
import { hasState, statesById } from './state-value.js';
import type { Timer } from './timer.js';

/**
 * Ids kept of what a base took in, once every member has moved on to it: the newest of its actor, not older than a
 * member may be away (PROTOCOL A6, C4).
 */
export const MOST_ABSORBED = 4096;
export const ABSORBED_MS = 7 * 24 * 3600_000;

/** Where an actor stood when its generation began, read. */
export interface Base {
  readonly position: Position;
  /** The highest stamp taken in. */
  readonly stamp: Stamp;
  /** Not done when the generation began. */
  readonly effects: readonly Effect[];
  /** Oldest first. */
  readonly absorbedIds: readonly AbsorbedId[];
  /** The highest stamp of the ids that were dropped; undefined while all are there. */
  readonly horizon: Stamp | undefined;
  /** What a later release has put into it: carried along by every cut. */
  readonly unknown: Readonly<Record<string, Json>>;
  /** An event that the base counts already; without a stamp, as far as its ids say. */
  absorbed(eventId: string, stamp?: Stamp): boolean;
}

/**
 * {@link absorbedId}, stamp, and the generation that took it in while the cut of that is not settled: until then a
 * member may still bring the event, and its id is not dropped.
 */
export type AbsorbedId = readonly [id: string, stamp: Stamp, ...generation: number[]];

const text = z.string().min(1);
const timer = z.object({
  id: text,
  name: text,
  entry: text,
  due: z.number(),
  event: z.object({ type: text }).catchall(z.json()),
});
const snapshot = z.looseObject({
  status: z.enum(['active', 'done']),
  value: z.json(),
  context: z.json(),
  /** By id of the history state, ids of the states it leads back to. */
  historyValue: z.record(z.string(), z.array(z.looseObject({ id: text }))),
  /**
   * Ids of the states that XState has it in, in XState's order: of two regions that an event would lead apart the first
   * decides. Behind a history inside a parallel state it may lack some that the value implies.
   */
  nodes: z.array(text).optional(),
  /** The value as JSON with its regions in XState's order too: that of the value itself is lost where JSON is compared. */
  ordered: text.optional(),
});

/** A base as it stands in a document. */
export const storedBase = z.object({
  version: z.int().min(1),
  hash: text,
  stamp: z.int().nonnegative(),
  snapshot: snapshot.optional(),
  quarantined: z
    .object({
      code: text,
      reason: z.string(),
      event: text,
      last: z.object({ version: z.int(), value: z.json(), context: z.json() }).optional(),
    })
    .optional(),
  timers: z.array(timer),
  effects: z.array(z.object({ id: text, name: text, params: z.json(), cause: text })),
  /** {@link AbsorbedId}, oldest first. */
  absorbed: z.array(z.tuple([z.string(), z.number()], z.number())),
  horizon: z.number().optional(),
});
export type StoredBase = z.output<typeof storedBase>;

/** Stands for an event id among the absorbed: 12 characters. */
export function absorbedId(eventId: string): string {
  return digest('understudy-absorbed', eventId).toString('base64url').slice(0, 12);
}

/** What a base says of an event: its id is listed, its stamp is not above what was dropped of them, or neither. */
export type Absorbed = 'listed' | 'below horizon' | 'not';

/**
 * Whether a base counts an event. Ids are dropped only when every member has moved on, and whoever has writes above
 * all stamps of the base: what comes at or below the horizon was counted (docs/decisions/0007).
 */
export function absorbedBy(
  stored: Pick<StoredBase, 'absorbed' | 'horizon'>,
): (eventId: string, stamp?: Stamp) => Absorbed {
  const ids = new Set(stored.absorbed.map(([id]) => id));
  const { horizon = -1 } = stored;
  return (eventId, stamp) => {
    if (ids.has(absorbedId(eventId))) return 'listed';
    return stamp !== undefined && stamp <= horizon ? 'below horizon' : 'not';
  };
}

/**
 * Reads the base of an actor. A state that the machine does not have, or a version that is not registered,
 * quarantines this actor alone (REQUIREMENTS R5); what is no base at all too.
 */
export function readBase(machineId: string, machines: Machines, stored: Json): Base {
  const mark = readArchiveMark(stored);
  if (mark !== undefined) return archivedHere(mark);
  const parsed = storedBase.safeParse(stored);
  if (!parsed.success) {
    return still(
      { code: 'unknown-state', reason: 'the base of this actor cannot be read', event: 'base' },
      0,
    );
  }
  const { data } = parsed;
  const absorbed = absorbedBy(data);
  const rest = {
    absorbedIds: data.absorbed,
    horizon: data.horizon,
    unknown: unknownIn(stored),
    stamp: data.stamp,
    effects: data.effects,
    absorbed: (id: string, stamp?: Stamp) => absorbed(id, stamp) !== 'not',
  };
  try {
    return { ...rest, position: positionOf(machineId, machines, data) };
  } catch (error) {
    if (!(error instanceof ActorError)) throw error;
    const { snapshot: saved } = data;
    const last = saved && { version: data.version, value: saved.value, context: saved.context };
    return {
      ...rest,
      position: quarantined({ code: error.code, reason: error.message, event: 'base', last }),
    };
  }
}

function unknownIn(stored: Json): Record<string, Json> {
  const members = Object.entries(stored as { readonly [key: string]: Json });
  return Object.fromEntries(members.filter(([name]) => !Object.hasOwn(storedBase.shape, name)));
}

function archivedHere({ version, stamp, archived: since }: ArchiveMark): Base {
  return {
    position: { status: 'archived', version, since },
    stamp,
    effects: [],
    absorbedIds: [],
    horizon: stamp,
    unknown: {},
    absorbed: (_, of) => of !== undefined && of <= stamp,
  };
}

function positionOf(id: string, machines: Machines, data: StoredBase): Position {
  if (data.quarantined !== undefined)
    return quarantined(data.quarantined as Parameters<typeof quarantined>[0]);
  const machine = machines.version(id, data.version);
  if (machine === undefined) {
    const latest = machines.latest(id);
    if (latest === undefined || latest.version < data.version)
      return { status: 'newer', version: data.version };
    throw new ActorError(
      'unknown-machine',
      `machine ${id} version ${data.version} is not registered, and the base of this actor is of it`,
    );
  }
  if (machine.hash !== data.hash) {
    throw new ActorError(
      'definition-changed',
      `machine ${id} version ${data.version} has another definition than when this actor was saved: raise the version`,
    );
  }
  const saved = data.snapshot;
  if (saved === undefined || !hasState(machine.logic, saved.value, saved.nodes === undefined)) {
    throw new ActorError(
      'unknown-state',
      `machine ${id} version ${data.version} has no state ${JSON.stringify(saved?.value)}`,
    );
  }
  const timers = new Map<string, Timer>(data.timers.map((one) => [one.name, one as Timer]));
  return { status: 'active', machine, snapshot: restore(id, machine.logic, saved), timers };
}

function restore(id: string, logic: AnyStateMachine, saved: z.output<typeof snapshot>): AnyMachineSnapshot {
  const gone = lostHistory(logic, saved);
  if (gone !== undefined) {
    throw new ActorError(
      'unknown-state',
      `a history of machine ${id} leads to ${gone}, which it does not have`,
    );
  }
  try {
    const value = saved.ordered === undefined ? saved.value : orderedValue(logic, saved.ordered);
    const whole = { ...saved, value, children: {} } as unknown as Parameters<typeof logic.restoreSnapshot>[0];
    // The scope is for children, and there are none.
    const restored = logic.restoreSnapshot(
      whole,
      {} as Parameters<typeof logic.restoreSnapshot>[1],
    ) as AnyMachineSnapshot;
    // XState leaves a history out that leads to no state, and would go to its default instead.
    for (const [id, states] of Object.entries(saved.historyValue)) {
      if (states.length === 0) (restored.historyValue as Record<string, unknown>)[id] ??= [];
    }
    return saved.nodes === undefined ? restored : inStates(logic, restored, value, saved.nodes);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ActorError('unknown-state', `the saved state of machine ${id} does not fit it: ${message}`, {
      cause: error,
    });
  }
}

function orderedValue(logic: AnyStateMachine, ordered: string): Json {
  const value = JSON.parse(ordered) as Json;
  if (!hasState(logic, value, false)) throw new Error(`there is no state ${ordered}`);
  return value;
}

/** The snapshot in just these states, and with just this value: XState would fill in a region that it had left out. */
function inStates(
  logic: AnyStateMachine,
  snapshot: AnyMachineSnapshot,
  value: Json,
  names: readonly string[],
): AnyMachineSnapshot {
  const states = statesById(logic);
  const nodes = names.map((name) => {
    const node = states.get(name);
    if (node === undefined) throw new Error(`there is no state ${name}`);
    return node;
  });
  return Object.assign(snapshot, { value, _nodes: nodes, tags: new Set(nodes.flatMap(({ tags }) => tags)) });
}

/** A state named by a history that the machine does not have: XState leaves it out without a word. */
function lostHistory(
  logic: AnyStateMachine,
  { historyValue }: z.output<typeof snapshot>,
): string | undefined {
  const named = Object.entries(historyValue).flatMap(([id, states]) => [
    id,
    ...states.map((state) => state.id),
  ]);
  if (named.length === 0) return undefined;
  const ids = statesById(logic);
  return named.find((id) => !ids.has(id));
}

function quarantined(found: {
  code: ActorError['code'];
  reason: string;
  event: string;
  last?: Extract<Position, { status: 'quarantined' }>['last'];
}): Position {
  return {
    status: 'quarantined',
    code: found.code,
    reason: found.reason,
    event: found.event,
    last: found.last,
  };
}

function still(found: { code: ActorError['code']; reason: string; event: string }, stamp: Stamp): Base {
  const nothing = { effects: [], absorbedIds: [], horizon: undefined, unknown: {} };
  return { ...nothing, position: quarantined(found), stamp, absorbed: () => false };
}
