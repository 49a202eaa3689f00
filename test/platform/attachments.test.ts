import { expect, it } from 'vitest';
import { LARGEST_ATTACHMENT, LARGEST_ATTACHMENTS, MOST_ATTACHMENTS } from '../../src/platform/attachments.js';
import { openDatabase } from '../../src/platform/service/database.js';
import { prune } from '../../src/platform/service/prune.js';
import { silentLog } from '../../src/telemetry/log.js';
import { onEveryDatabase, onSqlite } from './databases.js';
import { answer, newChat, textFile, world } from './world.js';

const HOUR = 3_600_000;

onEveryDatabase((fresh) => {
  it('keeps attachments as long as any history has their turn', async () => {
    const database = await fresh();
    const { client, platform } = await world(database);
    const chat = await newChat(client, 'echo', 'room');
    await answer(client, chat, 'a', 'one', [textFile('a.txt')]);
    const branch = (await client.branchChat('branch', chat, {})).platform_chat_id;
    await client.saveContext('save', chat, 'saved');
    await answer(client, chat, 'b', 'two', [textFile('b.txt')]);
    await client.loadContext('load', chat, 'saved');
    await platform.close();

    const { db } = await openDatabase(database, 3000, silentLog);
    const names = async () =>
      (await db.selectFrom('attachments').select('name').orderBy('name').execute()).map(({ name }) => name);
    expect(await names()).toEqual(['a.txt', 'b.txt']);
    // Its turn stands in a history that the chat left behind, and its run is old.
    await prune(db, Date.now() + HOUR);
    expect(await names()).toEqual(['a.txt']);
    await db.destroy();

    const again = await world(database);
    await again.client.deleteChat('forget', chat);
    expect(await answer(again.client, branch, 'c', 'three')).toBe('echo #2: three');
    await again.client.deleteChat('forget branch', branch);
    await again.platform.close();
    const last = await openDatabase(database, 3000, silentLog);
    expect(await last.db.selectFrom('attachments').selectAll().execute()).toEqual([]);
    await last.db.destroy();
  });
});

onSqlite((fresh) => {
  const opened = async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client);
    const post = async (attachments: unknown) => {
      const response = await fetch(`${platform.url}/v1/chats/${chat}/messages`, {
        method: 'POST',
        headers: { 'idempotency-key': 'k' },
        body: JSON.stringify({ text: 'x', user: '@a:b', attachments }),
      });
      const text = await response.text();
      return `${response.status} ${text.slice(0, 200)}`;
    };
    return { client, chat, post };
  };

  it('refuses what is no attachment, or too many or too large, and begins nothing', async () => {
    const { client, chat, post } = await opened();
    const good = { name: 'a', mime_type: 'text/plain', data: 'aGk=' };
    const bad: unknown[] = [
      7,
      [7],
      [{ ...good, data: 'a*Gk=' }],
      [{ ...good, data: 'aGk' }],
      [{ ...good, data: 7 }],
      [{ ...good, name: '' }],
      [{ ...good, name: 'a'.repeat(201) }],
      [{ ...good, mime_type: 'a\nb' }],
      Array.from({ length: MOST_ATTACHMENTS + 1 }, () => good),
      [{ ...good, data: Buffer.alloc(LARGEST_ATTACHMENT + 3).toString('base64') }],
    ];
    for (const attachments of bad) expect(await post(attachments)).toMatch(/^400 .*body\.attachments/);
    const large = { ...good, data: Buffer.alloc(LARGEST_ATTACHMENT - 3).toString('base64') };
    expect(await post([large, large, good, { ...good, data: 'aGkhaGk=' }])).toMatch(/^413 .*together/);
    expect(await post([large, large, large])).toMatch(/^413 /);
    expect(await answer(client, chat, 'k', 'first')).toBe('echo #1: first');
  });

  it('takes as much as the bounds allow, and says when it may be let go', async () => {
    const { client, chat } = await opened();
    const half = { ...textFile('h.bin'), bytes: new Uint8Array(LARGEST_ATTACHMENTS / 2).fill(7) };
    const events = [];
    const prompt = { text: 'x', user: '@a:b', attachments: [half, half] };
    const run = client.sendMessage('k', chat, prompt, undefined, () => events.push('begun'));
    for await (const event of run) events.push(event.type);
    expect(events).toEqual(['begun', 'final']);
    expect(await answer(client, chat, 'k', 'y')).toBe(
      'echo #1: x [h.bin, 8.4 MB text/plain] [h.bin, 8.4 MB text/plain]',
    );
  });
});
