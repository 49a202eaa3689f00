import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { KeyedStoreOptions } from '../../src/index.js';
import { eventually, folder, MemoryStorage, node, relay, sameHeads } from '../node/world.js';
import { MovedClock } from './world.js';

const HOUR = 60 * 60_000;
const options: KeyedStoreOptions<number> = {
  namespace: 'votes',
  class: 'durable',
  ttl: HOUR,
  maxEntries: 100,
  persistent: true,
  shape: z.number(),
};

const known = async (dataDir: string): Promise<string[]> => {
  const { windows } = JSON.parse(await readFile(join(dataDir, 'keyed.json'), 'utf8')) as {
    windows: { id: string }[];
  };
  return windows.map(({ id }) => id).sort();
};

/** Every file of the documents, by document id as its path has it. */
const files = async (dataDir: string): Promise<string[]> =>
  (await readdir(join(dataDir, 'documents'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('keyed stores of a node', () => {
  it('are in what it says of its documents, and relays store them', async () => {
    const hub = await relay();
    const [one, two] = [await node([hub]), await node([hub])];
    const [left, right] = [await one.openKeyedStore(options), await two.openKeyedStore(options)];
    left.register('k', 1);
    expect(await one.replicated(30_000)).toBe(true);
    expect(await two.synced(30_000)).toBe(true);
    await eventually(() => sameHeads(one, two));
    expect(right.lookup('k')).toBe(1);
    expect(one.heads().some(({ name }) => name.startsWith('keyed/') && name.endsWith('6h.votes'))).toBe(true);
    await expect(
      one.change([{ kind: 'keyed', key: 'keyed:votes 1 k', fields: { gone: 1 } }], { id: '$1' }),
    ).rejects.toThrow('openKeyedStore');
  });

  it('write apart, with no relay up, and agree when it is back: an entry that both took shows', async () => {
    const storage = new MemoryStorage();
    const first = await relay({ storage });
    const [one, two] = [await node([first]), await node([first])];
    const [left, right] = [await one.openKeyedStore(options), await two.openKeyedStore(options)];
    left.register('both', 1);
    left.register('one', 2);
    await eventually(() => right.lookup('both') !== undefined && right.lookup('one') !== undefined);
    await first.close();
    await eventually(() => !one.channel.connected() && !two.channel.connected());
    expect([left.consume('both'), right.consume('both')]).toEqual([1, 1]);
    expect(left.consume('one')).toBe(2);
    left.register('new', 3);
    right.register('new', 4);
    await relay({ storage, port: first.port });
    await eventually(() => sameHeads(one, two));
    expect(left.entries()).toEqual(right.entries());
    expect(left.entries().map(({ key }) => key)).toEqual(['new']);
    expect([one.counters().keyed.consumedTwice, two.counters().keyed.consumedTwice]).toEqual([1, 1]);
  });

  it('leave the disk when their windows are over; a late peer and the relay bring nothing back', async () => {
    const hub = await relay();
    const clock = new MovedClock(100);
    const [dataDir, lateDir] = [await folder(), await folder()];
    const one = await node([hub], { dataDir, clock });
    const late = await node([hub], { dataDir: lateDir });
    const [store, theirs] = [await one.openKeyedStore(options), await late.openKeyedStore(options)];
    store.register('k', 1);
    await eventually(() => theirs.lookup('k') !== undefined);
    await theirs.flush();
    await late.close();
    expect(store.consume('k')).toBe(1);
    // By its clock that is a hundredth of the time.
    await eventually(() => one.replicated(30_000));
    const before = await known(dataDir);

    clock.pass(3 * 24 * HOUR);
    await eventually(async () => {
      const now = await known(dataDir);
      return now.length > 0 && before.every((id) => !now.includes(id));
    });
    const left = await files(dataDir);
    for (const id of before) expect(left.filter((path) => path.includes(id.slice(2)))).toEqual([]);

    // Its folder is that of three days ago: it still shows the entry by its own clock, and the relay has all of it.
    const back = await node([hub], { dataDir: lateDir });
    const again = await back.openKeyedStore(options);
    expect(await back.synced(30_000)).toBe(true);
    await eventually(() => again.lookup('k') === undefined);
    expect(store.lookup('k')).toBeUndefined();
    expect(store.entries()).toEqual([]);
  });

  it('bring nothing back from a copy of the folder made before it was consumed', async () => {
    const hub = await relay();
    const [dataDir, copy] = [await folder(), await folder()];
    const one = await node([hub], { dataDir });
    const first = await one.openKeyedStore(options);
    first.register('k', 1);
    expect(await first.flush()).toBe(true);
    await one.close();
    await cp(dataDir, copy, { recursive: true });
    const two = await node([hub], { dataDir });
    expect((await two.openKeyedStore(options)).consume('k')).toBe(1);
    expect(await two.replicated(30_000)).toBe(true);
    await two.close();
    const restored = await node([hub], { dataDir: copy });
    const store = await restored.openKeyedStore(options);
    await eventually(() => store.lookup('k') === undefined);
  });

  it('do not keep a node from starting when keyed.json is damaged, and write it anew, for nobody else to read', async () => {
    const dataDir = await folder();
    const before = await node([], { found: true, dataDir });
    const store = await before.openKeyedStore(options);
    store.register('k', 1);
    await store.flush();
    await before.close();
    await writeFile(join(dataDir, 'keyed.json'), '{"windows": [{');
    const after = await node([], { found: true, dataDir });
    expect(after.counters().keyed.persistenceErrors).toBe(1);
    expect((await after.openKeyedStore(options)).lookup('k')).toBe(1);
    expect((await known(dataDir)).length).toBeGreaterThan(1);
    expect((await stat(join(dataDir, 'keyed.json'))).mode & 0o777).toBe(0o600);
  });

  it('are not opened on a node that is closed', async () => {
    const one = await node([], { found: true });
    const store = await one.openKeyedStore(options);
    store.register('k', 1);
    await one.close();
    await expect(one.openKeyedStore({ ...options, namespace: 'more' })).rejects.toMatchObject({
      code: 'closed',
    });
    // Whoever handles a message meanwhile is not thrown at.
    expect(() => store.register('late', 2)).not.toThrow();
    expect(store.lookup('k')).toBe(1);
  });
});
