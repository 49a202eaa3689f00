import { next as A } from '@automerge/automerge';
import { createHash } from 'node:crypto';

/** An unsigned number in LEB128. */
export function uleb(value: number | bigint): number[] {
  let rest = BigInt(value);
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return bytes;
}

/** A signed number in LEB128. */
export function sleb(value: number | bigint): number[] {
  let rest = BigInt(value);
  for (const bytes: number[] = []; ;) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) return [...bytes, low];
    bytes.push(low | 128);
  }
}

const run = (count: number, value: number[]): number[] => [...sleb(count), ...value];
const text = (value: string): number[] => [...uleb(Buffer.byteLength(value)), ...Buffer.from(value)];
const actorOf = (hex: string): number[] => [...uleb(hex.length / 2), ...Buffer.from(hex, 'hex')];

/** A chunk of Automerge's binary format, with the checksum that it should have. */
export function chunk(kind: number, body: Uint8Array): Uint8Array {
  const head = Buffer.from([kind, ...uleb(body.length)]);
  const sum = createHash('sha256').update(head).update(body).digest().subarray(0, 4);
  return Buffer.concat([Buffer.from([0x85, 0x6f, 0x4a, 0x83]), sum, head, body]);
}

/** Specifications of the columns of a change. */
const column = { object: 1, objectAt: 2, key: 21, insert: 52, action: 66, length: 86, value: 87 } as const;
const preds = { group: 112, actor: 113, at: 115 } as const;
type Columns = [specification: number, data: number[]][];

interface Crafted {
  columns: Columns;
  deps?: string[];
  seq?: number;
  start?: number;
  actor?: string;
  others?: string[];
}

/** A change as nobody's Automerge would write it. */
export function craftedChange(what: Crafted): Uint8Array {
  const { columns, deps = [], seq = 1, start = 1, actor = 'aa', others = [] } = what;
  return chunk(
    1,
    Buffer.from([
      ...uleb(deps.length),
      ...deps.flatMap((dep) => [...Buffer.from(dep, 'hex')]),
      ...actorOf(actor),
      ...uleb(seq),
      ...uleb(start),
      ...sleb(0),
      ...text(''),
      ...uleb(others.length),
      ...others.flatMap(actorOf),
      ...uleb(columns.length),
      ...columns.flatMap(([specification, data]) => [...uleb(specification), ...uleb(data.length)]),
      ...columns.flatMap(([, data]) => data),
    ]),
  );
}

/** The columns of one operation that puts null under a key. */
const put = (key: string, pred?: { actor: number; at: number }): Columns => [
  [column.key, run(-1, text(key))],
  [column.insert, uleb(1)],
  [column.action, run(-1, uleb(1))],
  [column.length, run(-1, uleb(0))],
  [preds.group, run(-1, uleb(pred ? 1 : 0))],
  ...(pred
    ? ([
        [preds.actor, run(-1, uleb(pred.actor))],
        [preds.at, run(-1, sleb(pred.at))],
      ] satisfies Columns)
    : []),
];

/** So many operations under one key, in some fifty bytes beside the key. */
export const manyOperations = (count: number, key = 'k'): Uint8Array =>
  craftedChange({
    columns: [
      [column.key, run(count, text(key))],
      [column.insert, uleb(count)],
      [column.action, run(count, uleb(1))],
      [column.length, run(count, uleb(0))],
      [preds.group, run(count, uleb(0))],
    ],
  });

/** One operation that follows so many others. */
export const manyPreds = (count: number): Uint8Array =>
  craftedChange({
    columns: [
      ...put('k').slice(0, 4),
      [preds.group, run(1, uleb(count))],
      [preds.actor, run(count, uleb(0))],
      [preds.at, run(count, sleb(0))],
    ],
  });

/** One operation whose value is said to be so long. */
export const longValue = (bytes: number): Uint8Array =>
  craftedChange({
    columns: [
      ...put('k').slice(0, 3),
      [column.length, run(1, uleb(BigInt(bytes) * 16n + 7n))],
      ...put('k').slice(4),
    ],
  });

/**
 * Changes on top of a document whose only change has made its first operation, that Automerge takes in, or panics
 * over: most of them it gives back as other bytes, so that what is stored or passed on can be read by nobody.
 */
export function poison(doc: A.Doc<unknown>): Record<string, Uint8Array> {
  const deps = A.getHeads(doc);
  const actor = A.getHistory(doc)[0]!.change.actor;
  const on = { deps, start: 100 };
  const inObject = (at: number): Columns => [
    [column.object, run(-1, uleb(1))],
    [column.objectAt, run(-1, uleb(at))],
    ...put('k'),
  ];
  return {
    'runs of one': craftedChange({
      ...on,
      columns: put('k').map(([specification, [first, ...rest]]) => [
        specification,
        first === 0x7f ? [1, ...rest] : [first!, ...rest],
      ]),
    }),
    'what it follows is nowhere': craftedChange({
      ...on,
      others: [actor],
      columns: put('k', { actor: 1, at: 99 }),
    }),
    'what it follows is of another key': craftedChange({
      ...on,
      others: [actor],
      columns: put('k', { actor: 1, at: 1 }),
    }),
    'it follows itself': craftedChange({ ...on, columns: put('k', { actor: 0, at: 100 }) }),
    'an object that is nowhere': craftedChange({ ...on, others: [actor], columns: inObject(77) }),
    'an object that is a value': craftedChange({ ...on, others: [actor], columns: inObject(1) }),
    'an actor that nothing refers to': craftedChange({ ...on, others: [actor], columns: put('k') }),
    'a start before what it depends on': craftedChange({ ...on, start: 1, columns: put('k') }),
    'a start at the end of all numbers': craftedChange({ ...on, start: 4_294_967_295, columns: put('k') }),
    'no operation, and columns': craftedChange({ ...on, columns: [[column.insert, uleb(9)]] }),
  };
}

/** A sync message that brings these changes, of whatever heads. */
export const bringing = (...changes: Uint8Array[]): Uint8Array =>
  A.encodeSyncMessage({ heads: ['11'.repeat(32)], need: [], have: [], changes });

/** A Bloom filter of this many entries, bits for each, and probes for each look at it. */
export const bloom = (entries: number, bits: number, probes: number, bytes: number): Uint8Array =>
  Buffer.from([...uleb(entries), ...uleb(bits), ...uleb(probes), ...Buffer.alloc(bytes, 255)]);
