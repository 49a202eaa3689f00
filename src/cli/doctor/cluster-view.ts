import { keysOf, readRecord } from '../../documents/document.js';
import { joinRecords } from '../../documents/merge/join.js';
import type { FieldMap } from '../../documents/record.js';
import { kindNames, ruleOf, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import { chainOf } from '../../node/generations/chain.js';
import { readCut, type Cut } from '../../node/generations/cut.js';
import type { Stored, StoredDocument } from './stored.js';

/** The records of all documents that count, joined where one stands in two. */
export interface ClusterView {
  records: ReadonlyMap<Kind, ReadonlyMap<string, FieldMap>>;
  /** By shard, oldest first: the cuts that count (PROTOCOL A6). */
  chains: ReadonlyMap<number, readonly Cut[]>;
  /** What was not well formed, by document. */
  malformed: { name: string; what: string }[];
}

export const recordsOf = (view: ClusterView, kind: Kind): ReadonlyMap<string, FieldMap> =>
  view.records.get(kind) ?? new Map<string, FieldMap>();

export const clusterRecord = (view: ClusterView): FieldMap | undefined =>
  recordsOf(view, 'cluster').get('cluster');

export function viewOf({ documents }: Stored): ClusterView {
  const malformed: ClusterView['malformed'] = [];
  const records = new Map<Kind, Map<string, FieldMap>>(kindNames.map((kind) => [kind, new Map()]));
  const add = (kind: Kind, { name, document }: StoredDocument): void => {
    const known = records.get(kind) ?? new Map<string, FieldMap>();
    const count = (what: string): void => void malformed.push({ name, what });
    for (const key of keysOf(document, kind, count)) {
      const record = readRecord(document, kind, key, count);
      if (record === undefined) continue;
      const earlier = known.get(key);
      known.set(key, earlier === undefined ? record : joinRecords(earlier, record, ruleOf(kind)));
    }
  };
  const addAll = (one: StoredDocument): void => {
    for (const kind of kindNames) if (tableOf(kind).document === one.kind) add(kind, one);
  };
  for (const one of documents) if (one.kind !== 'actors') addAll(one);
  const chains = chainsIn(records.get('cut') ?? new Map());
  // What lies beside the generation that counts is on its way out, and would be counted twice.
  for (const one of documents) {
    if (one.kind === 'actors' && one === currentOf(documents, one.index, chains)) addAll(one);
  }
  return { records, chains, malformed };
}

/** Of an actors shard the newest generation that stands here. */
export function currentOf(
  documents: readonly StoredDocument[],
  index: number,
  chains: ClusterView['chains'],
): StoredDocument | undefined {
  const last = (chains.get(index) ?? []).length;
  return documents
    .filter((one) => one.kind === 'actors' && one.index === index && one.generation <= last)
    .sort((a, b) => b.generation - a.generation)[0];
}

function chainsIn(cuts: ReadonlyMap<string, FieldMap>): Map<number, Cut[]> {
  const byShard = new Map<number, Cut[]>();
  for (const [key, record] of cuts) {
    const cut = readCut(key, record);
    if (cut !== undefined) byShard.set(cut.index, [...(byShard.get(cut.index) ?? []), cut]);
  }
  return new Map([...byShard].map(([shard, list]) => [shard, chainOf(list)]));
}
