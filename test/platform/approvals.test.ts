import { expect, it } from 'vitest';
import type { PlatformClient, RunEvent } from '../../src/platform/client.js';
import { systemClock } from '../../src/time/clock.js';
import { onEveryDatabase } from './databases.js';
import { answer, ask, clientOf, newChat, world } from './world.js';

/** Begins a run of the drill that asks; resolves once it waits. */
async function asking(client: PlatformClient, chat: string, key = 'k') {
  const stream = client.sendMessage(key, chat, { text: 'approve', user: '@a:b' })[Symbol.asyncIterator]();
  const question = (await stream.next()).value as RunEvent;
  expect(question).toMatchObject({ type: 'approval', id: '1' });
  return stream;
}

onEveryDatabase((fresh) => {
  it('P5-platform: the first decision on a question holds, whoever asks how it went', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    await expect(client.decide('a', 'k', '1', { decision: 'approve' })).rejects.toMatchObject({
      reason: 'no-such-approval',
    });
    const stream = await asking(client, chat);
    const first = { decision: 'deny', by: '@alice:test' } as const;
    expect(await client.decide('a', 'k', '1', first)).toEqual({ ...first, ours: true });
    expect(await client.decide('b', 'k', '1', { decision: 'always' })).toEqual({ ...first, ours: false });
    // The same call again, as after a crash: it is its own that stands.
    expect(await client.decide('a', 'k', '1', { decision: 'approve' })).toEqual({ ...first, ours: true });
    expect((await stream.next()).value).toEqual({ type: 'decided', id: '1', ...first });
    expect((await stream.next()).value).toEqual({ type: 'final', text: 'drill #1: approve [denied]' });
    // What was declined is asked again.
    await (await asking(client, chat, 'k2')).return?.();
    await client.cancel('k2');
  });

  it('P5-platform: of many decisions at once one holds, for all', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const stream = await asking(client, chat);
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        client.decide(`key ${n}`, 'k', '1', { decision: n % 2 ? 'approve' : 'deny', by: `@p${n}:test` }),
      ),
    );
    expect(all.filter(({ ours }) => ours)).toHaveLength(1);
    expect(new Set(all.map(({ decision, by }) => `${decision} ${by}`)).size).toBe(1);
    await stream.return?.();
  });

  it('decided by hand, without a key and a name, as well', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const stream = await asking(client, chat);
    const body = JSON.stringify({ decision: 'approve' });
    const call = () => fetch(`${platform.url}/v1/runs/k/approvals/1`, { method: 'POST', body });
    expect(await (await call()).json()).toEqual({ decision: 'approve', ours: true });
    expect(await (await call()).json()).toEqual({ decision: 'approve', ours: false });
    expect((await stream.next()).value).toEqual({ type: 'decided', id: '1', decision: 'approve' });
    for (const wrong of ['{}', '{"decision":"maybe"}', '{"decision":"deny","by":7}', 'x']) {
      const refused = await fetch(`${platform.url}/v1/runs/k/approvals/1`, { method: 'POST', body: wrong });
      expect(refused.status).toBe(400);
    }
  });

  it('asks no more in a chat where that was agreed to for good, until the chat is deleted', async () => {
    const database = await fresh();
    const { client, platform } = await world(database);
    const [chat, other] = [await newChat(client, 'drill', 'one'), await newChat(client, 'drill', 'two')];
    const stream = await asking(client, chat);
    await client.decide('a', 'k', '1', { decision: 'always', by: '@alice:test' });
    expect((await stream.next()).value).toMatchObject({ type: 'decided', decision: 'always' });
    expect(await ask(client, chat, 'next', 'approve')).toEqual([
      { type: 'final', text: 'drill #2: approve [approved]' },
    ]);
    await (await asking(client, other, 'other')).return?.();
    await client.cancel('other');
    await client.deleteChat('gone', chat);
    const again = await newChat(client, 'drill', 'one');
    await (await asking(client, again, 'again')).return?.();
    await client.cancel('again');
    await platform.close();
  });

  it('P2: a question survives a restart of the platform, and so does its decision', async () => {
    const database = await fresh();
    const before = await world(database);
    const chat = await newChat(before.client, 'drill');
    await (await asking(before.client, chat)).return?.();
    await before.platform.close();
    const { client, platform } = await world(database);
    const stream = await asking(client, chat);
    await client.decide('a', 'k', '1', { decision: 'approve', by: '@alice:test' });
    await stream.return?.();
    await platform.close();
    const after = await world(database);
    const again = clientOf(after.platform);
    expect(await answer(again, chat, 'k', 'x')).toBe('drill #1: approve [approved]');
    // Who comes when the run is over hears how it was decided, and by whom.
    expect(await ask(again, chat, 'k', 'x')).toMatchObject([
      { type: 'decided', id: '1', decision: 'approve', by: '@alice:test' },
      { type: 'final' },
    ]);
  });

  it('a question is open for its time, and as long as its run goes on', async () => {
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const { client } = await world(await fresh(), { clock, approvalMs: 3_600_000 });
    const chat = await newChat(client, 'drill');
    const late = { reason: 'approval-over', status: 409 };
    const stream = await asking(client, chat);
    ahead = 3_600_001;
    await expect(client.decide('a', 'k', '1', { decision: 'approve' })).rejects.toMatchObject(late);
    await stream.return?.();
    await client.cancel('k');
    await (await asking(client, chat, 'next')).return?.();
    await client.cancel('next');
    await expect(client.decide('a', 'next', '1', { decision: 'approve' })).rejects.toMatchObject(late);
  });

  it('a question that nobody decides on ends its run, with an error that says so', async () => {
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + (ahead += 10) };
    const { client } = await world(await fresh(), { clock, approvalMs: 1 });
    const chat = await newChat(client, 'drill');
    expect(await ask(client, chat, 'k', 'approve')).toMatchObject([
      { type: 'approval' },
      { type: 'error', code: 'approval-expired' },
    ]);
  });
});
