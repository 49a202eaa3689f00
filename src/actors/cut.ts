import { splitActorKey } from '../documents/actor-key.js';
import { type Document, keysOf, readRecord } from '../documents/document.js';
import type { CountMalformed } from '../documents/errors.js';
import type { Json } from '../documents/json.js';
import { kinds } from '../documents/schemas/kinds.js';
import { machineOf } from './key.js';
import { ABSORBED_MS, absorbedId, MOST_ABSORBED, readBase, type StoredBase } from './base.js';
import { ActorError } from './errors.js';
import type { LoggedEvent } from './event.js';
import { ActorLog } from './log.js';
import type { Machines } from './machines.js';

/**
 * Where every actor of a shard stands, for the next generation's first bytes (PROTOCOL A6): by actor key. Pure:
 * the same document, machines and time give the same on every replica.
 *
 * @param at time of the cut, milliseconds: ids absorbed more than {@link ABSORBED_MS} before it are dropped.
 * @throws {ActorError} `newer-version` or `unknown-machine` where an actor cannot be folded here: then whoever
 *   knows its machine makes the cut (A4).
 */
export function basesOf(
  document: Document,
  machines: Machines,
  at: number,
  count: CountMalformed,
): Map<string, Json> {
  const done = new Set<string>();
  for (const key of keysOf(document, 'done', count)) done.add(key.slice(kinds.done.prefix.length));
  const bases = new Map<string, Json>();
  for (const [actor, log] of logsOf(document, machines, count)) bases.set(actor, baseOf(log, done, at));
  return bases;
}

/** Every actor of a document that has a base or events. */
export function logsOf(document: Document, machines: Machines, count: CountMalformed): Map<string, ActorLog> {
  const logs = new Map<string, ActorLog>();
  for (const key of keysOf(document, 'base', count)) {
    const actor = key.slice(kinds.base.prefix.length);
    const stored = readRecord(document, 'base', key, count)?.get('base')?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(actor), machines, stored);
    logs.set(actor, new ActorLog(actor, machines, base));
  }
  for (const key of keysOf(document, 'event', count)) {
    const split = splitActorKey(key.slice(kinds.event.prefix.length));
    const event = split && readEvent(document, key, split.id, count);
    if (split === undefined || event === undefined) continue;
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

function baseOf(log: ActorLog, done: ReadonlySet<string>, at: number): Json {
  const position = log.position();
  const { base } = log;
  const id = machineOf(log.key);
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
  const absorbed = [
    ...(base?.absorbedIds ?? []),
    ...log.events.map(({ id: event, stamp }): [string, number] => [absorbedId(event), stamp]),
  ].filter(([, stamp]) => stamp >= at - ABSORBED_MS);
  const stored: StoredBase = {
    ...(position.status === 'active'
      ? {
          version: position.machine.version,
          hash: position.machine.hash,
          snapshot: savedSnapshot(position),
        }
      : { version: position.last?.version ?? 1, hash: 'quarantined', quarantined: quarantinedOf(position) }),
    stamp: log.top ?? 0,
    timers: position.status === 'active' ? [...position.timers.values()] : [],
    effects: [...log.effects()].filter(({ id: effect }) => !done.has(`${log.key} ${effect}`)),
    absorbed: absorbed.slice(-MOST_ABSORBED),
  } as StoredBase;
  return stored as unknown as Json;
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
