import * as A from '@automerge/automerge';
import { type Document, readRecord } from '../documents/document.js';
import type { CountMalformed } from '../documents/errors.js';
import type { Json } from '../documents/json.js';
import { kinds } from '../documents/schemas/kinds.js';
import { type Authorship, authorshipOf } from './authorship.js';
import { readingLogs } from './cut.js';
import type { Effect } from './effect.js';
import { type LoggedEvent, UPGRADE } from './event.js';
import type { Step } from './fold.js';
import { machineOf } from './key.js';
import type { ActorLog } from './log.js';
import type { Machines } from './machines.js';
import { type ActorSnapshot, snapshotOf } from './snapshot.js';

/** Where an event of an actor came from. */
export interface EventOrigin {
  /** Id of what the change was made for; often, and not always, the event's own id. */
  readonly cause: string;
  /** In which the event counts, from 0. */
  readonly generation: number;
  /** Absent where the change does not say it. */
  readonly replica?: string;
  readonly epoch?: number;
  /**
   * It was folded in its place after others that stand behind it: some event behind it was written without knowledge
   * of it, or it came when its generation had been cut already (PROTOCOL A6).
   */
  readonly late: boolean;
}

/** One event of an actor and what it did, by the fold as it is now. */
export interface HistoryEntry extends EventOrigin {
  readonly event: LoggedEvent;
  readonly from: ActorSnapshot;
  readonly to: ActorSnapshot;
  readonly outcome: Step['outcome'];
  /** What it told the outside to do. */
  readonly effects: readonly Effect[];
  /** What only later releases know of it; said of generations that were cut. */
  readonly unknown?: { readonly event?: Json; readonly fields?: Json };
}

/**
 * What every actor of one generation's document went through in it, by actor key, in the order of the fold. Pure:
 * replicas that hold the same changes and machines say the same. Pauses at each `yield`.
 */
export function* historyOf(
  document: Document,
  machines: Machines,
  generation: number,
  count: CountMalformed,
): Generator<void, Map<string, HistoryEntry[]>> {
  const authors = authorshipOf(A.getAllChanges(document), () => true, count);
  const history = new Map<string, HistoryEntry[]>();
  for (const [actor, log] of yield* readingLogs(document, machines, count)) {
    yield;
    const entries = entriesOf(log, machines, (id) => {
      const record = readRecord(document, 'event', `${kinds.event.prefix}${actor} ${id}`, count);
      return originOf(record?.get('event')?.cause ?? id, generation, authors.get(actor)?.get(id));
    });
    history.set(actor, entries);
  }
  return history;
}

export function originOf(cause: string, generation: number, author: Authorship | undefined): EventOrigin {
  return { cause, generation, ...(author ?? { late: false }) };
}

/** A log's events, each with what it did and where it came from. */
export function entriesOf(
  log: ActorLog,
  machines: Machines,
  origin: (eventId: string) => EventOrigin,
): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  let from = beginningOf(log, machines);
  for (const { event, to: position, outcome, effects } of log.transitions()) {
    const to =
      outcome === 'ignored' && position.status === 'active' ? from : snapshotOf(log.key, machines, position);
    const known = origin(event.id);
    entries.push({ ...known, event, from, to, outcome, effects, late: known.late || event.late === true });
    from = to;
  }
  return entries;
}

/**
 * Where an actor stood before the first event of its generation. One that had no event at all: in the initial state of
 * the version that its first event names, whatever versions came later.
 */
export function beginningOf(log: ActorLog, machines: Machines): ActorSnapshot {
  const { key, start } = log;
  if (start.status !== 'unbegun') return snapshotOf(key, machines, start);
  const [first] = log.events;
  const to = first?.type === UPGRADE ? first.data?.['to'] : undefined;
  const version = typeof to === 'number' ? to : 1;
  const [initial] = machines.version(machineOf(key), version)?.initial ?? [];
  return {
    key,
    status: 'active',
    machine: machineOf(key),
    version,
    value: (initial?.value ?? null) as Json,
    context: (initial?.context ?? null) as Json,
  };
}
