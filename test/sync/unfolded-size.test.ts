import { next as A } from '@automerge/automerge';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkRepoFrame } from '../../src/sync/repo-message.js';
import { limitsFor, unfoldedRows } from '../../src/sync/unfolded-size.js';
import { inflatingMessage } from './attack.js';
import { bloom, longValue, manyOperations, manyPreds } from './crafted.js';
import { newId } from './world.js';

const mega = 1024 * 1024;
const wide = { inflatedBytes: 256 * mega, rows: 2 ** 30, textBytes: 256 * mega };

const inflatesWithin = (changes: Uint8Array[], inflatedBytes: number): boolean =>
  unfoldedRows(changes, { ...wide, inflatedBytes }) !== undefined;

const sync = (parts: Partial<Parameters<typeof A.encodeSyncMessage>[0]>) =>
  checkRepoFrame([
    'sync',
    newId(),
    A.encodeSyncMessage({ heads: [], need: [], have: [], changes: [], ...parts }),
  ]);

test('R-inflate: what inflates beyond the bound is refused, before Automerge looks at it', () => {
  expect(checkRepoFrame(['sync', newId(), inflatingMessage(200)])).toBeUndefined();
  expect(checkRepoFrame(['sync', newId(), inflatingMessage(1)])).toBeDefined();
});

test('the bound is that of all changes of a message together', () => {
  const { changes } = A.decodeSyncMessage(inflatingMessage(4));
  const [change] = changes;
  expect(inflatesWithin([change!], 5 * mega)).toBe(true);
  expect(inflatesWithin([change!, change!], 5 * mega)).toBe(false);
  expect(inflatesWithin([Buffer.concat([change!, change!])], 5 * mega)).toBe(false);
});

test('real documents and changes pass, also those with deflated columns, and a small bound stops them', () => {
  const text = randomBytes(100_000).toString('hex');
  let doc = A.from<Record<string, string>>({ text: text + text });
  for (let n = 0; n < 300; n += 1) {
    doc = A.change(doc, (draft) => void (draft[`key${n % 40}`] = `value ${n} `.repeat(n)));
  }
  const changes = A.getAllChanges(doc);
  for (const each of [[A.save(doc)], changes, [Buffer.concat(changes)], [A.save(doc), ...changes]]) {
    expect(inflatesWithin(each, 2 * mega)).toBe(true);
  }
  // The text alone is twice as long, and its column is deflated.
  expect(inflatesWithin([A.save(doc)], 200_000)).toBe(false);
});

test('what is no chunk of the format, and is large enough to matter, is refused', () => {
  const doc = A.save(A.from({ text: randomBytes(50_000).toString('hex') }));
  const kind = Uint8Array.from(doc);
  kind[8] = 9;
  for (const bytes of [
    randomBytes(100_000),
    doc.subarray(0, -5),
    kind,
    Buffer.concat([doc, randomBytes(9)]),
  ]) {
    expect(inflatesWithin([bytes], 2 * mega)).toBe(false);
  }
});

test('R-unfold: runs that unfold beyond the bounds are refused, before Automerge looks at them', () => {
  for (const bomb of [
    manyOperations(1_000_000),
    manyOperations(2 ** 31),
    manyOperations(2 ** 45),
    // A long key, as often as there are operations.
    manyOperations(90_000, 'k'.repeat(10_000)),
    manyPreds(1_000_000),
    longValue(2 ** 40),
  ]) {
    expect(sync({ changes: [bomb] })).toBeUndefined();
  }
  // All changes of a message together.
  expect(sync({ changes: [manyOperations(90_000)] })).toBeDefined();
  expect(sync({ changes: [manyOperations(90_000), manyOperations(90_000, 'l')] })).toBeUndefined();
});

test('a message that unfolds far costs its sender more than its bytes', () => {
  expect(sync({ changes: [manyOperations(90_000)] })!.bytes).toBeGreaterThan(4 * mega);
  expect(sync({})!.bytes).toBeLessThan(100);
});

test('the rows of a document are those of its changes and of its operations', () => {
  let doc = A.from<Record<string, unknown>>({ list: [1, 2, 3], text: 'four' });
  for (let n = 0; n < 50; n += 1) doc = A.change(doc, (draft) => void (draft['key'] = n % 2 === 0));
  const { numOps, numChanges } = A.stats(doc);
  expect(unfoldedRows([A.save(doc)], wide)).toBe(numOps + numChanges);
  expect(unfoldedRows(A.getAllChanges(doc), wide)).toBe(numOps);
});

test('what people write stays far within the bounds, however well it is compressed', () => {
  const equal = A.change(A.init<Record<string, unknown>>({ actor: '00' }), { time: 0 }, (draft) => {
    draft['text'] = 'a'.repeat(50_000);
    draft['list'] = Array.from({ length: 20_000 }, () => null);
  });
  let doc = equal;
  for (let n = 0; n < 3_000; n += 1) doc = A.change(doc, { time: 0 }, (draft) => void (draft['key'] = n % 2));
  const emptied = A.change(doc, { time: 0 }, (draft) => {
    draft['list'] = [];
    draft['text'] = '';
  });
  for (const bytes of [A.save(equal), A.save(doc), A.save(emptied), ...A.getAllChanges(emptied)]) {
    const limits = limitsFor(bytes.length);
    expect(unfoldedRows([bytes], limits)).toBeLessThan(limits.rows * 0.9);
  }
});

test('R-bloom: a sync message says no more than Automerge can look at', () => {
  const head = 'ab'.repeat(32);
  const filtered = (filter: Uint8Array) => sync({ heads: [head], have: [{ lastSync: [], bloom: filter }] });
  expect(filtered(bloom(8, 10, 7, 10))).toBeDefined();
  expect(filtered(new Uint8Array())).toBeDefined();
  for (const [entries, bits, probes, bytes] of [
    [1, 8, 1_000_000, 1],
    [1, 8, 4_294_967_295, 1],
    [1, 8, 0, 1],
    [1, 0, 7, 0],
    [10, 0, 7, 0],
  ] as const) {
    expect(filtered(bloom(entries, bits, probes, bytes))).toBeUndefined();
  }
  const many = Array.from({ length: 5_000 }, (_, n) => n.toString(16).padStart(64, '0'));
  const one = { lastSync: [], bloom: bloom(8, 10, 7, 10) };
  expect(sync({ heads: many })).toBeUndefined();
  expect(sync({ need: many })).toBeUndefined();
  expect(sync({ have: [{ ...one, lastSync: many }] })).toBeUndefined();
  expect(sync({ have: Array.from({ length: 1_000 }, () => one) })).toBeUndefined();
  expect(sync({ need: [head] })).toBeDefined();
  expect(sync({ need: [head, head] })).toBeUndefined();
});
