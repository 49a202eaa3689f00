import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { BegunRun } from '../../src/platform/service/runs.js';
import { Chats } from '../../src/platform/service/chats.js';
import { openDatabase } from '../../src/platform/service/database.js';
import { prune } from '../../src/platform/service/prune.js';
import { Runs } from '../../src/platform/service/runs.js';
import { silentLog } from '../../src/telemetry/log.js';
import { onEveryDatabase } from './databases.js';
import { LEASE_MS } from './world.js';

onEveryDatabase((fresh) => {
  it('P1, P2: forgets old results and unused histories; keeps chats with their keys and turns, and what runs', async () => {
    const { db } = await openDatabase(await fresh(), LEASE_MS, silentLog);
    try {
      let now = 1_000;
      const runs = new Runs(db, () => now);
      const chats = new Chats(db, () => now);
      const exists = () => Promise.resolve(true);
      const chat = (await chats.create('room', { agent: 'echo' }, exists)).platform_chat_id;
      const run = async (key: string, finish: boolean) => {
        const { run: begun } = await runs.begin(key, chat, { text: key, user: '@a:b' }, 'me');
        await runs.invoke(key, 'me', 'resume');
        if (finish) await runs.finish(begun as BegunRun, 'me', { type: 'final', text: 'answer' });
      };
      const turns = async () => (await db.selectFrom('turns').selectAll().execute()).length;
      await run('old', true);
      await chats.save('save', chat, 'name');
      await chats.load('load', chat, 'name');
      await run('unfinished', false);
      now = 5_000;
      await run('recent', true);
      expect(await turns()).toBe(2 + 2 + 2 + 3);

      expect(await prune(db, 4_000)).toBe(1);
      expect(await runs.find('old')).toBeUndefined();
      expect(await runs.invocations()).toBe(2);
      expect(await runs.find('recent')).toMatchObject({ status: 'done', text: 'answer' });
      expect(await runs.find('unfinished')).toMatchObject({ status: 'queued' });
      // The history before the load is nobody's any more; the saved one and the present one stay.
      expect(await turns()).toBe(2 + 2 + 3);
      expect((await db.selectFrom('keys').select('operation').execute()).map((row) => row.operation)).toEqual(
        ['create'],
      );
      expect(await chats.create('room', { agent: 'drill' }, exists)).toEqual({
        platform_chat_id: chat,
        agent: 'echo',
      });
    } finally {
      await db.destroy();
    }
  });

  it('does not touch a database that a newer version has written', async () => {
    const database = await fresh();
    const { db } = await openDatabase(database, LEASE_MS, silentLog);
    await sql`insert into kysely_migration (name, timestamp) values ('9999-future', '2099')`.execute(db);
    await db.destroy();
    await expect(openDatabase(database, LEASE_MS, silentLog)).rejects.toMatchObject({ code: 'schema-newer' });
  });

  it('lets an executor that has lost its run neither start, count nor finish it', async () => {
    const { db } = await openDatabase(await fresh(), LEASE_MS, silentLog);
    try {
      const runs = new Runs(db, () => 1_000);
      const chats = new Chats(db, () => 1_000);
      const chat = await chats.create('room', { agent: 'echo' }, () => Promise.resolve(true));
      const prompt = { text: 'x', user: '@a:b' };
      const { run } = await runs.begin('k', chat.platform_chat_id, prompt, 'dead');
      await db.insertInto('processes').values({ id: 'heir', beat: 0 }).execute();
      expect(await runs.adoptOrphans('heir')).toMatchObject([{ key: 'k', executor: 'heir' }]);
      expect(await runs.adoptOrphans('third')).toEqual([]);

      expect(await runs.start('k', 'dead')).toBe(false);
      expect(await runs.invoke('k', 'dead', 'again')).toBeUndefined();
      expect(await runs.finish(run as BegunRun, 'dead', { type: 'final', text: 'stale' })).toBe(false);
      expect(await runs.invocations('k')).toBe(0);
      expect(await runs.finish(run as BegunRun, 'heir', { type: 'final', text: 'fresh' })).toBe(true);
      expect(await runs.finish(run as BegunRun, 'heir', { type: 'final', text: 'twice' })).toBe(false);
      expect(await runs.find('k')).toMatchObject({ status: 'done', text: 'fresh' });
    } finally {
      await db.destroy();
    }
  });
});
