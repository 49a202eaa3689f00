import * as A from '@automerge/automerge';
import { splitActorKey } from '../documents/actor-key.js';
import { decodeChangeMessage } from '../documents/change-message.js';
import { recordsWrittenBy } from '../documents/document.js';
import type { CountMalformed } from '../documents/errors.js';
import { kinds } from '../documents/schemas/kinds.js';
import type { Stamp } from '../documents/stamp.js';
import { CausalClocks, type CausalClock } from './causal-clocks.js';

/** Who put an event into the document, and whether it came late. */
export interface Authorship {
  /** Absent where the change does not say it: a stranger made it. */
  readonly replica?: string;
  readonly epoch?: number;
  /**
   * Some event of the same actor that stands behind it, by (stamp, id), was written without knowledge of it: at
   * whoever wrote that one, this one arrived late and was folded in its place.
   */
  readonly late: boolean;
}

/** One change that holds an event. */
interface Put {
  readonly hash: string;
  readonly author: number;
  readonly seq: number;
  readonly clock: CausalClock;
  readonly message: string | null;
  readonly stamp: Stamp;
}

interface PutEvent {
  readonly id: string;
  readonly puts: Put[];
}

/**
 * The authorship of every event in a document, by actor key and event id, from its changes alone: replicas that hold
 * the same changes say the same. An event that several changes put counts where it has the lowest stamp, and among
 * those in the one that the others rest on, else the one with the lowest hash; whoever had any of them knew it.
 *
 * An event that was taken over from an earlier generation (PROTOCOL A6) has the replica that took it over.
 *
 * @param changes all changes of the document, none before one it rests on (as Automerge gives them).
 * @param wanted the actors that are asked for.
 */
export function authorshipOf(
  changes: Iterable<Uint8Array>,
  wanted: (actor: string) => boolean,
  count: CountMalformed,
): Map<string, Map<string, Authorship>> {
  const authorship = new Map<string, Map<string, Authorship>>();
  for (const [actor, events] of putsOf(changes, wanted, count)) {
    authorship.set(actor, judged([...events].map(([id, puts]) => ({ id, puts }))));
  }
  return authorship;
}

function putsOf(
  changes: Iterable<Uint8Array>,
  wanted: (actor: string) => boolean,
  count: CountMalformed,
): Map<string, Map<string, Put[]>> {
  const clocks = new CausalClocks();
  const actors = new Map<string, Map<string, Put[]>>();
  for (const bytes of changes) {
    const change = A.decodeChange(bytes);
    const { hash, seq, message } = change;
    const { author, clock } = clocks.add(change);
    for (const { kind, key, record } of recordsWrittenBy('actors', change, count)) {
      if (kind !== 'event') continue;
      const split = splitActorKey(key.slice(kinds.event.prefix.length));
      const entry = record.get('event');
      if (split === undefined || entry === undefined || !wanted(split.actor)) continue;
      const events = actors.get(split.actor) ?? new Map<string, Put[]>();
      const puts = events.get(split.id) ?? [];
      puts.push({ hash, author, seq, clock, message, stamp: entry.stamp });
      actors.set(split.actor, events.set(split.id, puts));
    }
  }
  return actors;
}

/** From the last event to the first: what stands behind each was seen before. */
function judged(events: PutEvent[]): Map<string, Authorship> {
  const counting = events.map((event) => ({ ...event, put: countingPut(event.puts) }));
  counting.sort((a, b) => b.put.stamp - a.put.stamp || (a.id < b.id ? 1 : -1));
  const result = new Map<string, Authorship>();
  const behind: CausalClock[] = [];
  /** What everything behind knew. */
  let known: CausalClock | undefined;
  for (const { id, puts, put } of counting) {
    const late = puts.length === 1 ? !isKnown(puts, known) : behind.some((clock) => !isKnown(puts, clock));
    const message = decodeChangeMessage(put.message);
    result.set(id, { ...(message && { replica: message.replica, epoch: message.epoch }), late });
    behind.push(put.clock);
    known = known === undefined ? put.clock : CausalClocks.both(known, put.clock);
  }
  return result;
}

function countingPut(puts: readonly Put[]): Put {
  const lowest = Math.min(...puts.map(({ stamp }) => stamp));
  const candidates = puts.filter(({ stamp }) => stamp === lowest);
  const first = candidates.filter(
    (one) => !candidates.some((other) => other !== one && isKnown([other], one.clock)),
  );
  return (first.length > 0 ? first : candidates).reduce((a, b) => (a.hash < b.hash ? a : b));
}

/** One of the puts stands in what a clock stands for; nothing stands behind the last event. */
function isKnown(puts: readonly Put[], clock: CausalClock | undefined): boolean {
  return clock === undefined || puts.some(({ author, seq }) => (clock[author] ?? 0) >= seq);
}
