import { expect, it } from 'vitest';
import { type Chat, PlatformError } from '../../src/platform/client.js';
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

  it('E-parts: parts of a chat go with it, their runs are over and their keys make them anew; a branch of one stays', async () => {
    const settings = await fresh();
    const { client, platform } = await world(settings);
    const room = await newChat(client, 'echo', 'room');
    const part = (key: string, part_of = room, agent = 'echo') =>
      client.createChat(key, { agent, part_of }).then((made) => made.platform_chat_id);
    const [thread, busy] = [await part('thread'), await part('busy', room, 'drill')];
    const deep = await part('deep', thread);
    for (const [n, chat] of [room, thread, deep].entries()) await answer(client, chat, `${n}`, 'my secret');
    await client.saveContext('s', thread, 'secret name');
    const branch = (await client.branchChat('b', thread, {})).platform_chat_id;
    const done = ask(client, busy, 'k', 'wait 3000').then((events) => events.at(-1));
    await eventually(async () => ((await invocations(platform, 'k')) === 1 ? true : undefined));
    await client.deleteChat('forget', room);
    expect(await done).toMatchObject({ type: 'error', code: 'forgotten' });
    for (const chat of [room, thread, deep, busy])
      await expect(client.listContexts(chat)).rejects.toMatchObject({ reason: 'no-such-chat' });
    expect(await answer(client, branch, 'x', 'go on')).toBe('echo #2: go on');
    await client.deleteChat('forget branch', branch);
    expect(await newChat(client, 'echo', 'room')).toBe(room);
    expect(await part('thread')).toBe(thread);
    expect(await answer(client, thread, 'y', 'anew')).toBe('echo #1: anew');
    await platform.close();
    expect(await dump(settings)).not.toMatch(/secret/);
  });

  it('E-whole: no part is made of a chat that is gone, also while it goes', async () => {
    const { client } = await world(await fresh());
    for (let n = 0; n < 5; n += 1) {
      const room = await newChat(client, 'echo', `room ${n}`);
      const parts = ['a', 'b', 'c'].map((name) =>
        client.createChat(`${name} ${n}`, { agent: 'echo', part_of: room }).catch((error: unknown) => error),
      );
      await client.deleteChat(`forget ${n}`, room);
      for (const made of await Promise.all(parts)) {
        const gone = { reason: 'no-such-chat' };
        if (made instanceof PlatformError) expect(made).toMatchObject(gone);
        else await expect(client.listContexts((made as Chat).platform_chat_id)).rejects.toMatchObject(gone);
      }
      await expect(client.createChat(`d ${n}`, { agent: 'echo', part_of: room })).rejects.toMatchObject({
        reason: 'no-such-chat',
      });
    }
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
