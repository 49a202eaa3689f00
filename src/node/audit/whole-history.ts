import { compareEvents } from '../../actors/event.js';
import type { HistoryEntry } from '../../actors/history.js';

/** A stretch of an actor's history: one generation of a shard. */
export interface HistorySegment {
  readonly shard: number;
  readonly generation: number;
  /** Cut off, and so in an audit document; else the generation that is written now. */
  readonly archived: boolean;
}

/** The events of one stretch. */
export interface HistoryPart<Entry extends Placed = HistoryEntry> {
  readonly segment: HistorySegment;
  readonly entries: readonly Entry[];
}

/** What an entry has of its place. */
interface Placed {
  readonly event: { readonly id: string; readonly stamp: number };
}

/**
 * The stretches of one actor's history together: what was cut off, and then what is written now, which is folded
 * after all that. An event that was cut off in one place and counts anew (after two foundings apart) stands where
 * it counts.
 */
export function wholeHistory<Entry extends Placed>(parts: readonly HistoryPart<Entry>[]): Entry[] {
  const now = parts.filter(({ segment }) => !segment.archived).flatMap(({ entries }) => [...entries]);
  const anew = new Set(now.map(({ event }) => event.id));
  const shards = new Map<number, Entry[]>();
  for (const { segment, entries } of parts) {
    if (!segment.archived) continue;
    const before = shards.get(segment.shard) ?? [];
    shards.set(segment.shard, [...before, ...entries.filter(({ event }) => !anew.has(event.id))]);
  }
  return [...mergedShards(shards.values()), ...now];
}

/**
 * The histories of one actor in several shards as one: each stays in the order of its folds, and between them the
 * earlier event, by (stamp, id), comes first. An event that was copied from shard to shard counts once.
 */
function mergedShards<Entry extends Placed>(shards: Iterable<readonly Entry[]>): Entry[] {
  const waiting = [...shards].filter((entries) => entries.length > 0).map((entries) => ({ entries, at: 0 }));
  const merged: Entry[] = [];
  const seen = new Set<string>();
  for (;;) {
    let first: { entry: Entry; from: { at: number } } | undefined;
    for (const from of waiting) {
      const entry = from.entries[from.at];
      if (entry === undefined) continue;
      if (first === undefined || compareEvents(entry.event, first.entry.event) < 0) first = { entry, from };
    }
    if (first === undefined) return merged;
    first.from.at += 1;
    const { entry } = first;
    if (!seen.has(entry.event.id)) merged.push(entry);
    seen.add(entry.event.id);
  }
}
