import { splitActorKey } from '../../documents/actor-key.js';
import { digest } from '../../documents/digest.js';
import { keysOf, readRecord, type Document, type Touched } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { kinds, tableOf, type Kind } from '../../documents/schemas/kinds.js';

/** Kinds of records by which an actor counts. */
const COUNTING: readonly Kind[] = ['base', 'event', 'done'];

/** The records by which actors count in a document, by actor; pauses at each `yield`. */
export function* holdings(
  document: Document,
  isWanted: (actor: string) => boolean,
  count: CountMalformed,
): Generator<void, Map<string, Touched[]>> {
  const held = new Map<string, Touched[]>();
  for (const kind of COUNTING) {
    for (const key of keysOf(document, kind, count)) {
      yield;
      const name = key.slice(tableOf(kind).prefix.length);
      const actor = kind === 'base' ? name : splitActorKey(name)?.actor;
      if (actor === undefined || !isWanted(actor)) continue;
      const records = held.get(actor) ?? [];
      held.set(actor, records);
      records.push({ kind, key });
    }
  }
  return held;
}

/** Stands for what a document holds of one actor: which records, and the stamps of its events and its base. */
export function digestOf(document: Document, records: readonly Touched[], count: CountMalformed): string {
  const parts = records.map(({ kind, key }) => {
    const record = kind === 'done' ? undefined : readRecord(document, kind, key, count);
    return `${key} ${record?.get(kind)?.stamp ?? ''}`;
  });
  return digest('understudy-held', ...parts.sort())
    .toString('base64url')
    .slice(0, 16);
}

/**
 * Actors of a shard's document that another shard folds, as the document itself says it, so that every replica says
 * the same (docs/decisions/0009): a cut carries their records as they are, or drops them where the other shard has
 * all of them on disk.
 */
export function* foreignActors(
  document: Document,
  shard: number,
  count: CountMalformed,
): Generator<void, Map<string, 'carried' | 'dropped'>> {
  const counted = new Map<string, string | undefined>();
  for (const key of keysOf(document, 'actor', count)) {
    yield;
    const home = homeIn(document, key, count);
    if (home !== undefined && home.shard !== shard) {
      counted.set(key.slice(kinds.actor.prefix.length), home.counted);
    }
  }
  const foreign = new Map<string, 'carried' | 'dropped'>();
  if (counted.size === 0) return foreign;
  const held = yield* holdings(document, (actor) => counted.has(actor), count);
  for (const [actor, said] of counted) {
    yield;
    const isCounted = said !== undefined && said === digestOf(document, held.get(actor) ?? [], count);
    foreign.set(actor, isCounted ? 'dropped' : 'carried');
  }
  return foreign;
}

/** Where an actor is at home, as its record in this document says. */
export function homeIn(
  document: Document,
  key: string,
  count: CountMalformed,
): { shard: number; counted?: string | undefined; stamp: number } | undefined {
  const entry = readRecord(document, 'actor', key, count)?.get('home');
  const home = kinds.actor.fields.home.schema.safeParse(entry?.value).data;
  return home && entry && { ...home, stamp: entry.stamp };
}
