import { splitActorKey } from '../documents/actor-key.js';
import { type Document, keysOf, readRecord } from '../documents/document.js';
import type { CountMalformed } from '../documents/errors.js';
import type { Json } from '../documents/json.js';
import { kinds } from '../documents/schemas/kinds.js';
import { atOnce } from '../time/slices.js';
import { archivedBase } from './archive.js';
import { machineOf } from './key.js';
import {
  ABSORBED_MS,
  type AbsorbedId,
  absorbedId,
  MOST_ABSORBED,
  readBase,
  type StoredBase,
} from './base.js';
import { ActorError } from './errors.js';
import type { LoggedEvent } from './event.js';
import { ActorLog } from './log.js';
import type { Machines } from './machines.js';

/** What a cut's bases depend on besides the document and the machines; its record says it (PROTOCOL A6). */
export interface CutInputs {
  /** That the cut begins. */
  readonly generation: number;
  /** The last one whose cut is settled: ids that bases took in up to it may be dropped. */
  readonly settled: number;
}

const ALONE: CutInputs = { generation: 0, settled: 0 };

/**
 * The generation that is cut holds all that members had of earlier ones: nothing of it comes late any more. Until
 * then what tells a late event from a new one stays: ids, marks of actors that left, marks of effects that are done.
 */
export const isWhole = ({ generation, settled }: CutInputs): boolean => settled >= generation - 1;

/** Longer text of a base than a record may have is refused, characters. */
const MOST_BASE_LENGTH = 240 * 1024;

/**
 * Where every actor of a shard stands, for the next generation's first bytes (PROTOCOL A6): by actor key. Pure:
 * the same document, machines, time and inputs give the same on every replica. Pauses at each `yield`.
 *
 * @param at time of the cut, milliseconds: ids absorbed more than {@link ABSORBED_MS} before it are dropped.
 * @throws {ActorError} `newer-version` or `unknown-machine` where an actor cannot be folded here: then whoever
 *   knows its machine makes the cut (A4). `invalid-context` where a base would be too large for a record, because
 *   ids of events must be kept until a member that is away is back.
 */
export function* foldingBases(
  document: Document,
  machines: Machines,
  at: number,
  count: CountMalformed,
  inputs: CutInputs = ALONE,
): Generator<void, Map<string, Json>> {
  const done = new Set<string>();
  for (const key of keysOf(document, 'done', count)) done.add(key.slice(kinds.done.prefix.length));
  const bases = new Map<string, Json>();
  for (const [actor, log] of yield* readingLogs(document, machines, count)) {
    bases.set(actor, baseOf(log, done, at, inputs));
    yield;
  }
  return bases;
}

/** {@link foldingBases} in one go. */
export function basesOf(...given: Parameters<typeof foldingBases>): Map<string, Json> {
  return atOnce(foldingBases(...given));
}

/** Every actor of a document that has a base or events. */
export function logsOf(document: Document, machines: Machines, count: CountMalformed): Map<string, ActorLog> {
  return atOnce(readingLogs(document, machines, count));
}

/** {@link logsOf}; pauses at each `yield`. */
export function* readingLogs(
  document: Document,
  machines: Machines,
  count: CountMalformed,
): Generator<void, Map<string, ActorLog>> {
  const logs = new Map<string, ActorLog>();
  for (const key of keysOf(document, 'base', count)) {
    const actor = key.slice(kinds.base.prefix.length);
    yield;
    const stored = readRecord(document, 'base', key, count)?.get('base')?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(actor), machines, stored);
    logs.set(actor, new ActorLog(actor, machines, base));
  }
  for (const key of keysOf(document, 'event', count)) {
    const split = splitActorKey(key.slice(kinds.event.prefix.length));
    yield;
    if (split === undefined) continue;
    const event = readEvent(document, key, split.id, count);
    if (event === undefined) continue;
    const log = logs.get(split.actor) ?? new ActorLog(split.actor, machines, undefined);
    logs.set(split.actor, log);
    log.insert(event);
  }
  return logs;
}

function readEvent(
  document: Document,
  key: string,
  id: string,
  count: CountMalformed,
): LoggedEvent | undefined {
  const entry = readRecord(document, 'event', key, count)?.get('event');
  return entry && eventOf(id, entry, count);
}

/** An event as it stands in a record; undefined, and counted, for what is none. */
export function eventOf(
  id: string,
  entry: { value: Json; stamp: number },
  count: CountMalformed,
): LoggedEvent | undefined {
  const parsed = kinds.event.fields.event.schema.safeParse(entry.value);
  if (!parsed.success) {
    count('field');
    return undefined;
  }
  const { type, ts, data, late } = parsed.data;
  return { id, type, ts, stamp: entry.stamp, data: data as LoggedEvent['data'], late };
}

function baseOf(log: ActorLog, done: ReadonlySet<string>, at: number, inputs: CutInputs): Json {
  const position = log.position();
  const { base } = log;
  const id = machineOf(log.key);
  const archived = archivedBase(log, (effect) => done.has(`${log.key} ${effect}`), at, isWhole(inputs));
  if (archived !== undefined || position.status === 'archived') return archived ?? null;
  if (position.status === 'newer') {
    throw new ActorError(
      'newer-version',
      `${log.key} is at version ${position.version}, which is not registered here`,
    );
  }
  if (
    position.status === 'unbegun' ||
    (position.status === 'quarantined' && position.code === 'unknown-machine')
  ) {
    throw new ActorError(
      'unknown-machine',
      `${log.key} cannot be folded here: machine ${id} is not registered`,
    );
  }
  const { absorbed, horizon } = absorbedUpTo(log, at, inputs);
  const stored: StoredBase = {
    ...base?.unknown,
    ...(position.status === 'active'
      ? {
          version: position.machine.version,
          hash: position.machine.hash,
          snapshot: savedSnapshot(position),
        }
      : { version: position.last?.version ?? 1, hash: 'quarantined', quarantined: quarantinedOf(position) }),
    stamp: Math.max(log.top ?? 0, base?.stamp ?? 0),
    timers: position.status === 'active' ? [...position.timers.values()] : [],
    effects: [...log.effects()].filter(({ id: effect }) => !done.has(`${log.key} ${effect}`)),
    absorbed,
    ...(horizon !== undefined && { horizon }),
  } as StoredBase;
  if (JSON.stringify(stored).length > MOST_BASE_LENGTH) {
    throw new ActorError(
      'invalid-context',
      `the base of ${log.key} would be larger than a record may be: it must keep ${absorbed.length} ids of events while a member is away`,
    );
  }
  return stored as unknown as Json;
}

/** What a base took in: of what is settled the newest ids, all of what is not, and where what was dropped ends. */
function absorbedUpTo(
  { base, events }: ActorLog,
  at: number,
  { generation, settled }: CutInputs,
): { absorbed: AbsorbedId[]; horizon: number | undefined } {
  const before = (base?.absorbedIds ?? []).map(([id, stamp, since]): AbsorbedId =>
    since === undefined || since <= settled ? [id, stamp] : [id, stamp, since],
  );
  const now = generation <= settled ? [] : [generation];
  const all = [...before, ...events.map(({ id, stamp }): AbsorbedId => [absorbedId(id), stamp, ...now])];
  const excess = all.length - MOST_ABSORBED;
  let { horizon } = base ?? {};
  const absorbed = all.filter(([, stamp, since], index) => {
    if (since !== undefined || (index >= excess && stamp >= at - ABSORBED_MS)) return true;
    horizon = Math.max(horizon ?? 0, stamp);
    return false;
  });
  return { absorbed, horizon };
}

/** A position's snapshot as a base has it: XState goes on from it as it would have without. */
export function savedSnapshot({
  machine,
  snapshot,
}: Extract<ReturnType<ActorLog['position']>, { status: 'active' }>): object {
  const { status, value, historyValue, context } = machine.logic.getPersistedSnapshot(
    snapshot,
  ) as unknown as Record<'status' | 'value' | 'historyValue' | 'context', unknown>;
  const nodes = (snapshot._nodes as { id: string }[]).map(({ id }) => id);
  return { status, value, historyValue, context, nodes, ordered: JSON.stringify(value) };
}

function quarantinedOf({
  code,
  reason,
  event,
  last,
}: Extract<ReturnType<ActorLog['position']>, { status: 'quarantined' }>): object {
  return { code, reason, event, ...(last && { last }) };
}
