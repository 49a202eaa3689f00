import { join } from 'node:path';
import { MemoryStorageProvider, SimpleFsStorageProvider } from 'matrix-bot-sdk';
import { describe, expect, it } from 'vitest';
import { eventually, folder, node, relay } from '../node/world.js';
import { storageProviderContract } from './contract.js';
import { hub, LEASE_MS, replicas } from './world.js';

describe('the SDK’s provider in memory', () => {
  storageProviderContract(() => Promise.resolve({ provider: new MemoryStorageProvider() }));
});

describe('the SDK’s provider in a file', () => {
  storageProviderContract(async () => {
    const path = join(await folder(), 'storage.json');
    return {
      provider: new SimpleFsStorageProvider(path),
      reopen: () => Promise.resolve(new SimpleFsStorageProvider(path)),
    };
  });
});

describe('a node’s, alone', () => {
  storageProviderContract(async () => {
    const dataDir = await folder();
    const first = await node([], { found: true, dataDir });
    return {
      provider: first.matrixStorage(),
      reopen: async () => {
        await first.close();
        return (await node([], { found: true, dataDir })).matrixStorage();
      },
    };
  });
});

describe('a node’s, beside another at an authority on claims', () => {
  storageProviderContract(async () => {
    const [one] = await replicas(await hub());
    return { provider: one.matrixStorage({ lease: LEASE_MS }) };
  });
});

describe('a node’s storage', () => {
  it('gives values and registered users to the other replica, and takes them away there; token and filter stay', async () => {
    const at = await relay();
    const [one, two] = [await node([at], { found: true }), await node([at])];
    const [here, there] = [one.matrixStorage(), two.matrixStorage()];
    await here.storeValue('k', 'v');
    await here.storageForUser('@a:example.org').storeValue('k', 'of a');
    await here.addRegisteredUser('@a:example.org');
    await here.setSyncToken('s1');
    await here.setFilter({ id: 1, filter: {} });
    await eventually(async () => (await there.readValue('k')) === 'v');
    await eventually(async () => (await there.storageForUser('@a:example.org').readValue('k')) === 'of a');
    await eventually(() => there.isUserRegistered('@a:example.org'));
    expect(await there.getSyncToken()).toBeNull();
    expect(await there.getFilter()).toBeNull();
    await there.storeValue('k', 'later');
    await eventually(async () => (await here.readValue('k')) === 'later');
    await there.storeValue('k', null);
    await eventually(async () => (await here.readValue('k')) === undefined);
  });

  it('refuses by a code what it cannot keep, and keeps what stood', async () => {
    const one = await node([], { found: true });
    const storage = one.matrixStorage();
    await storage.storeValue('k', 'small');
    await expect(storage.storeValue('k', 'x'.repeat(4_096))).rejects.toMatchObject({ code: 'bad-value' });
    await expect(storage.storeValue('k', 5 as never)).rejects.toMatchObject({ code: 'bad-value' });
    await expect(storage.storeValue('k'.repeat(1_100), 'v')).rejects.toMatchObject({ code: 'bad-key' });
    expect(() => storage.storageForUser('')).toThrow(expect.objectContaining({ code: 'bad-key' }));
    expect(await storage.readValue('k')).toBe('small');
    expect(one.matrixStorage()).toBe(storage);
    await one.close();
    await expect(storage.storeValue('k', 'v')).rejects.toMatchObject({ code: 'closed' });
    await expect(storage.setSyncToken('s')).rejects.toMatchObject({ code: 'closed' });
    expect(() => one.matrixStorage()).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('N-transaction: of two replicas one handles a transaction; the other waits and hears that it is completed', async () => {
    const [one, two] = await replicas(await hub());
    const lease = LEASE_MS;
    const [here, there] = [one.matrixStorage({ lease }), two.matrixStorage({ lease })];
    expect(await here.isTransactionCompleted('t1')).toBe(false);
    // Asked again, by a homeserver that lost patience: it is this one's still.
    expect(await here.isTransactionCompleted('t1')).toBe(false);
    let answer: boolean | undefined;
    const asked = there.isTransactionCompleted('t1').then((is) => (answer = is));
    await eventually(() => two.counters().claims.refused > 0);
    expect(answer).toBeUndefined();
    await here.setTransactionCompleted('t1');
    expect(await asked).toBe(true);
  });
});
