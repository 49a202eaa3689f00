import { expect, it } from 'vitest';
import type { IAppserviceStorageProvider, IStorageProvider } from 'matrix-bot-sdk';

export type Provider = IStorageProvider &
  Required<Pick<IAppserviceStorageProvider, 'storageForUser'>> &
  IAppserviceStorageProvider;

/** Makes and opens again one provider's state. */
export interface Subject {
  provider: Provider;
  /** The process ends and begins again; absent where the provider forgets then. */
  reopen?: () => Promise<Provider>;
}

/** What matrix-bot-sdk and the bots on it may expect of any storage provider. */
export function storageProviderContract(open: () => Promise<Subject>): void {
  it('knows no token, filter, value, user or transaction at first', async () => {
    const { provider } = await open();
    expect(await provider.getSyncToken()).toBeFalsy();
    expect(await provider.getFilter()).toBeFalsy();
    expect((await provider.readValue('missing')) ?? undefined).toBeUndefined();
    expect(await provider.isUserRegistered('@alice:example.org')).toBeFalsy();
    expect(await provider.isTransactionCompleted('t1')).toBeFalsy();
  });

  it('gives back the token that was set last, and none when it is cleared', async () => {
    const { provider } = await open();
    await provider.setSyncToken('s1');
    await provider.setSyncToken('s2');
    expect(await provider.getSyncToken()).toBe('s2');
    await provider.setSyncToken(null);
    expect(await provider.getSyncToken()).toBeFalsy();
  });

  it('gives back a filter with all that is in it', async () => {
    const { provider } = await open();
    const filter = { id: 12, filter: { room: { timeline: { limit: 3, types: ['m.room.message'] } } } };
    await provider.setFilter(filter);
    expect(await provider.getFilter()).toEqual(filter);
  });

  it('keeps a text under each key: the later one, the empty one, none when it is cleared', async () => {
    const { provider } = await open();
    for (const key of ['k', 'with space', '@mxid:example.org', '__proto__.x', 'a.b[0]', 'ключ 🗝']) {
      await provider.storeValue(key, `first ${key}`);
      await provider.storeValue(key, `second ${key}`);
      expect(await provider.readValue(key)).toBe(`second ${key}`);
    }
    expect(await provider.readValue('with space')).toBe('second with space');
    await provider.storeValue('k', '');
    expect(await provider.readValue('k')).toBe('');
    for (const nothing of [null, undefined]) {
      await provider.storeValue('k', 'again');
      await provider.storeValue('k', nothing as never);
      expect((await provider.readValue('k')) ?? undefined).toBeUndefined();
    }
  });

  it('knows who was registered, once or twice, and nobody else', async () => {
    const { provider } = await open();
    await provider.addRegisteredUser('@alice:example.org');
    await provider.addRegisteredUser('@alice:example.org');
    expect(await provider.isUserRegistered('@alice:example.org')).toBe(true);
    expect(await provider.isUserRegistered('@bob:example.org')).toBeFalsy();
  });

  it('knows which transactions are completed, also one that it was not asked about before', async () => {
    const { provider } = await open();
    expect(await provider.isTransactionCompleted('t1')).toBeFalsy();
    expect(await provider.isTransactionCompleted('t1')).toBeFalsy();
    await provider.setTransactionCompleted('t1');
    await provider.setTransactionCompleted('t1');
    await provider.setTransactionCompleted('t2');
    expect(await provider.isTransactionCompleted('t1')).toBe(true);
    expect(await provider.isTransactionCompleted('t2')).toBe(true);
    expect(await provider.isTransactionCompleted('t3')).toBeFalsy();
  });

  it('gives each user a storage apart from the others and from its own', async () => {
    const { provider } = await open();
    const users = ['@a:example.org', '@b:example.org'];
    const filterOf = (id: number) => ({ id, filter: { n: id } });
    await provider.setSyncToken('own');
    await provider.setFilter(filterOf(0));
    await provider.storeValue('k', 'own');
    for (const [at, user] of users.entries()) {
      const storage = provider.storageForUser(user);
      await storage.setSyncToken(`token of ${user}`);
      await storage.setFilter(filterOf(at + 1));
      await storage.storeValue('k', `value of ${user}`);
    }
    for (const [at, user] of users.entries()) {
      const storage = provider.storageForUser(user);
      expect(await storage.getSyncToken()).toBe(`token of ${user}`);
      expect(await storage.getFilter()).toEqual(filterOf(at + 1));
      expect(await storage.readValue('k')).toBe(`value of ${user}`);
    }
    await provider.storageForUser('@a:example.org').storeValue('k', null as never);
    expect((await provider.storageForUser('@a:example.org').readValue('k')) ?? undefined).toBeUndefined();
    expect(await provider.storageForUser('@b:example.org').readValue('k')).toBe('value of @b:example.org');
    expect(await provider.readValue('k')).toBe('own');
    expect(await provider.getSyncToken()).toBe('own');
    expect(await provider.getFilter()).toEqual(filterOf(0));
  });

  it('knows all of it in its next process', async ({ skip }) => {
    const { provider, reopen } = await open();
    if (reopen === undefined) return skip('it forgets');
    await provider.setSyncToken('s1');
    await provider.setFilter({ id: 1, filter: { x: [1] } });
    await provider.storeValue('k', 'v');
    await provider.storeValue('gone', 'v');
    await provider.storeValue('gone', null as never);
    await provider.addRegisteredUser('@alice:example.org');
    await provider.storageForUser('@a:example.org').setSyncToken('s2');
    await provider.storageForUser('@a:example.org').storeValue('k', 'v2');
    const again = await reopen();
    expect(await again.getSyncToken()).toBe('s1');
    expect(await again.getFilter()).toEqual({ id: 1, filter: { x: [1] } });
    expect(await again.readValue('k')).toBe('v');
    expect((await again.readValue('gone')) ?? undefined).toBeUndefined();
    expect(await again.isUserRegistered('@alice:example.org')).toBe(true);
    expect(await again.storageForUser('@a:example.org').getSyncToken()).toBe('s2');
    expect(await again.storageForUser('@a:example.org').readValue('k')).toBe('v2');
  });
}
