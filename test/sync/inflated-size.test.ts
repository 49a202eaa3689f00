import { next as A } from '@automerge/automerge';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { inflatesWithin } from '../../src/sync/inflated-size.js';
import { checkRepoFrame } from '../../src/sync/repo-message.js';
import { inflatingMessage } from './attack.js';
import { newId } from './world.js';

const mega = 1024 * 1024;

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
