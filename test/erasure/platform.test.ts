import { expect, it } from 'vitest';
import { openDatabase } from '../../src/platform/service/database.js';
import type { DatabaseSettings } from '../../src/platform/service/database.js';
import { silentLog } from '../../src/telemetry/log.js';
import { onEveryDatabase } from '../platform/databases.js';
import { answer, ask, eventually, invocations, newChat, textFile, world } from '../platform/world.js';

/** Every row of every table, as text; of a platform that has ended. */
async function dump(settings: DatabaseSettings): Promise<string> {
  const { db } = await openDatabase(settings, 3000, silentLog);
  try {
    const tables = [
      'chats',
      'turns',
      'saved_contexts',
      'keys',
      'runs',
      'run_events',
      'approvals',
      'attachments',
      'standing_approvals',
    ] as const;
    const rows = [];
    for (const table of tables) rows.push(await db.selectFrom(table).selectAll().execute());
    return JSON.stringify(rows);
  } finally {
    await db.destroy();
  }
}

onEveryDatabase((fresh) => {
  it('E-platform: deletes a chat with all that it remembers, and leaves the others as they are', async () => {
    const settings = await fresh();
    const { client, platform } = await world(settings);
    const [hers, his] = [await newChat(client, 'echo', 'hers'), await newChat(client, 'echo', 'his')];
    await answer(client, hers, 'a', 'my secret plan', [textFile('secret.txt')]);
    await client.saveContext('s', hers, 'secret name');
    await client.loadContext('l', hers, 'secret name');
    await answer(client, hers, 'b', 'another secret');
    await answer(client, his, 'c', 'hello', [textFile('kept.txt')]);
    await client.deleteChat('forget', hers);
    await expect(client.listContexts(hers)).rejects.toMatchObject({ reason: 'no-such-chat' });
    expect(await answer(client, his, 'd', 'again')).toBe('echo #2: again');
    await platform.close();
    const rest = await dump(settings);
    expect(rest).not.toMatch(/secret/);
    expect(rest).toContain('hello');
    expect(rest).toContain('kept.txt');
  });

  it('E-again: the key that made a chat makes it anew, empty; a deletion that comes late or again leaves it alone', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'echo', 'room_1');
    await answer(client, chat, 'a', 'one');
    await client.deleteChat('forget', chat);
    await client.deleteChat('forget', chat);
    expect(await newChat(client, 'echo', 'room_1')).toBe(chat);
    expect(await answer(client, chat, 'b', 'two')).toBe('echo #1: two');
    await client.deleteChat('forget', chat);
    expect(await answer(client, chat, 'c', 'three')).toBe('echo #2: three');
    await client.deleteChat('forget again', chat);
    await expect(answer(client, chat, 'd', 'four')).rejects.toMatchObject({ reason: 'no-such-chat' });
    await client.deleteChat('never there', 'chat_of_nobody');
  });

  it('E-run: ends the run that goes on, and its key begins no other', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client, 'drill', 'room');
    const done = ask(client, chat, 'k', 'wait 3000').then((events) => events.at(-1));
    await eventually(async () => ((await invocations(platform, 'k')) === 1 ? true : undefined));
    await client.deleteChat('forget', chat);
    expect(await done).toMatchObject({ type: 'error', code: 'forgotten' });
    const again = await newChat(client, 'drill', 'room');
    expect((await ask(client, again, 'k', 'x')).at(-1)).toMatchObject({ type: 'error', code: 'forgotten' });
  });

  it('deletes what was saved under a name, and that alone', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client);
    await answer(client, chat, 'a', 'one');
    await client.saveContext('s1', chat, 'first');
    await client.saveContext('s2', chat, 'second');
    await client.deleteContext('d', chat, 'first');
    expect((await client.listContexts(chat)).map(({ name }) => name)).toEqual(['second']);
    await client.saveContext('s3', chat, 'first');
    await client.deleteContext('d', chat, 'first');
    expect(await client.listContexts(chat)).toHaveLength(2);
    expect(await answer(client, chat, 'b', 'two')).toBe('echo #2: two');
  });
});
