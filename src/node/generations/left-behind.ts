import { splitActorKey } from '../../documents/actor-key.js';
import { keysOf, readRecord, type Document, type WrittenRecord } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { kinds, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import type { Records } from '../records.js';
import { compareBases } from './base-order.js';
import { COPIED } from './late.js';

const KINDS: readonly Kind[] = ['base', 'event', 'done'];

/**
 * What a generation held, at the heads of the cut after it too, of actors that another shard counts now: that shard's
 * documents may not be here yet, or may have been cut apart from this one, so that neither has all of it
 * (docs/decisions/0009). Of an actor whose base in the current generation counts, nothing.
 */
export function* leftBehind(
  earlier: Document,
  current: Document,
  records: Pick<Records, 'joined' | 'roams'>,
  count: CountMalformed,
): Iterable<WrittenRecord> {
  const looked = new Map<string, boolean>();
  const isCountedHere = (actor: string): boolean => {
    const known = looked.get(actor);
    if (known !== undefined) return known;
    const counted = !records.roams(actor) || hasCountingBase(actor, current, records, count);
    looked.set(actor, counted);
    return counted;
  };
  for (const kind of KINDS) {
    for (const key of keysOf(earlier, kind, count)) {
      const name = key.slice(tableOf(kind).prefix.length);
      const actor = kind === 'base' ? name : splitActorKey(name)?.actor;
      if (actor === undefined || isCountedHere(actor)) continue;
      const record = readRecord(earlier, kind, key, count);
      if (record === undefined) continue;
      const base = kind === 'base' ? record.get('base') : undefined;
      yield {
        kind,
        key,
        record: base === undefined ? record : new Map([['base', { ...base, cause: COPIED }]]),
      };
    }
  }
}

/** Whether a base in this document does not count, because another shard has one of the same actor that does. */
export function hasOverruledBase(
  document: Document,
  records: Pick<Records, 'joined' | 'roams'>,
  count: CountMalformed,
): boolean {
  return keysOf(document, 'base', count).some((key) => {
    const actor = key.slice(kinds.base.prefix.length);
    return records.roams(actor) && !hasCountingBase(actor, document, records, count);
  });
}

function hasCountingBase(
  actor: string,
  current: Document,
  records: Pick<Records, 'joined'>,
  count: CountMalformed,
): boolean {
  const key = kinds.base.prefix + actor;
  const here = readRecord(current, 'base', key, count)?.get('base');
  const counts = records.joined('base', key)?.get('base');
  return here !== undefined && counts !== undefined && compareBases(here, counts) === 0;
}
