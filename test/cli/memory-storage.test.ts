import { expect, it } from 'vitest';
import { MemoryStorage } from '../../src/cli/memory-storage.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it('keeps copies by key, and finds and removes them by prefix', async () => {
  const storage = new MemoryStorage();
  const data = bytes('one');
  await storage.save(['a', 'snapshot', '1'], data);
  data[0] = 0;
  await storage.save(['a', 'incremental', '2'], bytes('two'));
  await storage.save(['ab', 'snapshot', '3'], bytes('three'));
  expect(await storage.load(['a', 'snapshot', '1'])).toEqual(bytes('one'));
  expect(await storage.load(['a'])).toBeUndefined();
  expect((await storage.loadRange(['a'])).map(({ key }) => key.join('/'))).toEqual([
    'a/snapshot/1',
    'a/incremental/2',
  ]);
  await storage.removeRange(['a', 'snapshot']);
  expect(await storage.loadRange(['a'])).toHaveLength(1);
  await storage.remove(['a', 'incremental', '2']);
  expect(await storage.loadRange([])).toHaveLength(1);
});
