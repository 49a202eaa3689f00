import { z } from 'zod';
import { type Document, readRecord } from '../documents/document.js';
import type { CountMalformed } from '../documents/errors.js';
import { canonicalJson, type Json } from '../documents/json.js';
import { kinds } from '../documents/schemas/kinds.js';
import { storedBase, type StoredBase } from './base.js';
import { historyOf, type HistoryEntry } from './history.js';
import { machineOf } from './key.js';
import type { Machines } from './machines.js';
import type { ActorSnapshot } from './snapshot.js';

/**
 * The lines of an audit document (DESIGN §3): for each actor, in the order of their keys, one that says where it stood
 * when the generation began, and one for each event with the state that it led to. With the states, because a
 * history must stay readable when a machine's version is registered no more.
 */
const state = z.object({
  status: z.enum(['active', 'done', 'quarantined', 'newer', 'archived']),
  version: z.int().nonnegative(),
  value: z.json(),
  /** Left out while it stays as it was. */
  context: z.json().optional(),
  reason: z.object({ code: z.string(), message: z.string(), event: z.string() }).optional(),
});
type State = z.output<typeof state>;

const beginning = z.object({ actor: z.string().min(1), begins: state, base: storedBase.optional() });
const happening = z.object({
  actor: z.string().min(1),
  id: z.string().min(1),
  type: z.string(),
  stamp: z.int().nonnegative(),
  ts: z.number(),
  data: z.record(z.string(), z.json()).optional(),
  cause: z.string(),
  replica: z.string().optional(),
  epoch: z.int().optional(),
  late: z.boolean().optional(),
  outcome: z.enum(['taken', 'ignored']),
  effects: z
    .array(z.object({ id: z.string(), name: z.string(), params: z.json(), cause: z.string() }))
    .optional(),
  /** Left out while it stays as it was. */
  to: state.optional(),
  /** Members of the event, and fields of its record, that only later releases know. */
  unknown: z.object({ event: z.json().optional(), fields: z.json().optional() }).optional(),
});
const line = z.union([happening, beginning]);

/**
 * What a generation's document says of its actors that had events, as lines for the audit documents. Pure: replicas
 * that hold the same changes and machines write the same. Pauses at each `yield`.
 */
export function* auditLines(
  document: Document,
  machines: Machines,
  generation: number,
  count: CountMalformed,
): Generator<void, { actor: string; text: string }[]> {
  const history = yield* historyOf(document, machines, generation, count);
  const lines: { actor: string; text: string }[] = [];
  const add = (actor: string, value: object): void => {
    lines.push({ actor, text: canonicalJson(value as Json) });
  };
  for (const actor of [...history.keys()].sort()) {
    const entries = history.get(actor) ?? [];
    yield;
    const [first] = entries;
    if (first === undefined) continue;
    add(actor, { actor, begins: stateOf(first.from, undefined), ...baseOf(document, actor, count) });
    for (const entry of entries) {
      add(actor, { ...lineOf(actor, entry), ...unknownOf(document, actor, entry.event.id, count) });
    }
  }
  return lines;
}

/** Without the ids of what it took in, which is the longest part and stands in the document before. */
function baseOf(document: Document, actor: string, count: CountMalformed): { base?: StoredBase } {
  const stored = readRecord(document, 'base', kinds.base.prefix + actor, count)?.get('base')?.value;
  const parsed = storedBase.safeParse(stored);
  return parsed.success ? { base: { ...parsed.data, absorbed: [] } } : {};
}

/** A cut drops the events, and an archive is what stays of them: also of what is not understood here. */
function unknownOf(document: Document, actor: string, id: string, count: CountMalformed): object {
  const record = readRecord(document, 'event', `${kinds.event.prefix}${actor} ${id}`, count);
  const { shape } = kinds.event.fields.event.schema;
  const value = record?.get('event')?.value as { readonly [key: string]: Json } | undefined;
  const event = Object.entries(value ?? {}).filter(([name]) => !Object.hasOwn(shape, name));
  const fields = [...(record ?? [])].filter(([name]) => !Object.hasOwn(kinds.event.fields, name));
  if (event.length === 0 && fields.length === 0) return {};
  return {
    unknown: {
      ...(event.length > 0 && { event: Object.fromEntries(event) }),
      ...(fields.length > 0 && { fields: Object.fromEntries(fields) }),
    },
  };
}

function lineOf(actor: string, entry: HistoryEntry): object {
  const { event, cause, replica, epoch, late, outcome, effects, from, to } = entry;
  const { id, type, stamp, ts, data } = event;
  return {
    actor,
    ...{ id, type, stamp, ts, cause, outcome },
    ...(data !== undefined && { data }),
    ...(replica !== undefined && { replica }),
    ...(epoch !== undefined && { epoch }),
    ...(late && { late }),
    ...(effects.length > 0 && { effects }),
    ...(to !== from && { to: stateOf(to, from) }),
  };
}

function stateOf(to: ActorSnapshot, from: ActorSnapshot | undefined): State {
  const { status, version, value, context, reason } = to;
  const same = from !== undefined && canonicalJson(from.context) === canonicalJson(context);
  return {
    status,
    version,
    value: value as State['value'],
    ...(!same && { context: context as NonNullable<State['context']> }),
    ...(reason !== undefined && { reason }),
  };
}

/** The history of one actor, or of each, from the lines of an audit document; what is no such line is counted. */
export function readAuditLines(
  texts: Iterable<string>,
  generation: number,
  count: CountMalformed,
  wanted?: string,
): Map<string, HistoryEntry[]> {
  const history = new Map<string, HistoryEntry[]>();
  const standing = new Map<string, ActorSnapshot>();
  for (const text of texts) {
    const parsed = parse(text);
    if (parsed === undefined) {
      count('value');
      continue;
    }
    const { actor } = parsed;
    if (wanted !== undefined && actor !== wanted) continue;
    const from = standing.get(actor);
    if ('begins' in parsed) {
      standing.set(actor, snapshotFrom(actor, parsed.begins, undefined));
      continue;
    }
    if (from === undefined) {
      count('value');
      continue;
    }
    const to = parsed.to === undefined ? from : snapshotFrom(actor, parsed.to, from);
    standing.set(actor, to);
    const entries = history.get(actor) ?? [];
    entries.push(entryOf(parsed, generation, from, to));
    history.set(actor, entries);
  }
  return history;
}

function parse(text: string): z.output<typeof line> | undefined {
  try {
    return line.safeParse(JSON.parse(text)).data;
  } catch (error) {
    // A peer's text that is no JSON is counted by the caller; anything else is ours and goes on up.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function snapshotFrom(key: string, to: State, from: ActorSnapshot | undefined): ActorSnapshot {
  const { status, version, value, context = from?.context ?? null, reason } = to;
  return {
    key,
    status,
    machine: machineOf(key),
    version,
    value,
    context,
    ...(reason !== undefined && { reason: reason as NonNullable<ActorSnapshot['reason']> }),
  };
}

function entryOf(
  parsed: z.output<typeof happening>,
  generation: number,
  from: ActorSnapshot,
  to: ActorSnapshot,
): HistoryEntry {
  const {
    id,
    type,
    stamp,
    ts,
    data,
    cause,
    replica,
    epoch,
    late = false,
    outcome,
    effects = [],
    unknown,
  } = parsed;
  return {
    generation,
    cause,
    ...(replica !== undefined && { replica }),
    ...(epoch !== undefined && { epoch }),
    late,
    event: { id, type, stamp, ts, ...(data !== undefined && { data }) },
    from,
    to,
    outcome,
    effects,
    ...(unknown !== undefined && { unknown: unknown as NonNullable<HistoryEntry['unknown']> }),
  };
}
