import { digest } from '../../documents/digest.js';
import type { DocumentName } from '../../documents/ids.js';
import type { FieldMap } from '../../documents/record.js';
import { cut as table } from '../../documents/schemas/cluster.js';

/** A cut as its record in `cluster` says it (PROTOCOL A6): the beginning of one generation of one actors shard. */
export interface Cut {
  /** Hash over parent, heads and bytesHash. */
  readonly id: string;
  readonly index: number;
  /** Of the generation that it begins, 1 or more. */
  readonly generation: number;
  /** Id of the cut that began the generation before; empty for generation 0. */
  readonly parent: string;
  /** Heads of the generation before that it was made from, sorted. */
  readonly heads: readonly string[];
  /** Automerge hash of the first change. */
  readonly bytesHash: string;
  /** Milliseconds. */
  readonly at: number;
  /** The last generation whose cut was settled when this one was made. */
  readonly settledTo: number;
  /** Every member was seen to have moved: nothing takes its place any more. */
  readonly settled: boolean;
  /** Replicas for which everything held of older generations counts in this one, each with its heads of it then. */
  readonly moved: ReadonlyMap<string, readonly string[]>;
}

/** What no cut can be without. */
export type CutContent = Pick<Cut, 'parent' | 'heads' | 'bytesHash'>;

const ID_BYTES = 12;
const MOVED = 'moved:';

export function cutId({ parent, heads, bytesHash }: CutContent): string {
  const hash = digest('understudy-cut', parent, [...heads].sort().join(' '), bytesHash);
  return hash.subarray(0, ID_BYTES).toString('base64url');
}

export function cutKey(index: number, generation: number, id: string): string {
  return `${table.prefix}actors/${index}/${generation}/${id}`;
}

/** The field by which a replica says that it has moved. */
export function movedField(replica: string): string {
  return MOVED + replica;
}

/** The name of the document that a cut begins; generation 0 of the shard without one. */
export function documentOf(index: number, cut: Pick<Cut, 'generation' | 'id'> | undefined): DocumentName {
  return cut === undefined
    ? { kind: 'actors', index, generation: 0 }
    : { kind: 'actors', index, generation: cut.generation, cut: cut.id };
}

/**
 * The cut that a record says; undefined for what is none: a part is missing (it may still come), or the key is not
 * the hash of what stands there, which only a broken or hostile peer writes.
 */
export function readCut(key: string, record: FieldMap): Cut | undefined {
  const named = /^cut:actors\/(\d{1,4})\/([1-9]\d{0,8})\/([\w-]+)$/.exec(key);
  if (named === null) return undefined;
  const value = <F extends keyof typeof table.fields>(field: F): unknown =>
    table.fields[field].schema.safeParse(record.get(field)?.value).data;
  const [parent, heads, bytesHash, at] = [value('parent'), value('heads'), value('bytes_hash'), value('at')];
  if (
    typeof parent !== 'string' ||
    !Array.isArray(heads) ||
    typeof bytesHash !== 'string' ||
    typeof at !== 'number'
  ) {
    return undefined;
  }
  const content: CutContent = { parent, heads: [...(heads as string[])].sort(), bytesHash };
  const id = cutId(content);
  if (id !== named[3]) return undefined;
  return {
    ...content,
    id,
    index: Number(named[1]),
    generation: Number(named[2]),
    at,
    settledTo: Number(value('settled_to') ?? 0),
    settled: typeof value('settled_at') === 'number',
    moved: movedIn(record),
  };
}

function movedIn(record: FieldMap): Map<string, readonly string[]> {
  const moved = new Map<string, readonly string[]>();
  for (const [field, { value }] of record) {
    const said = field.startsWith(MOVED) ? table.open.schema.safeParse(value).data : undefined;
    if (said !== undefined) moved.set(field.slice(MOVED.length), said.heads);
  }
  return moved;
}
