import { describe, expect, it } from 'vitest';
import { folder } from '../node/world.js';
import {
  ALICE,
  answered,
  BOB,
  BOBS,
  botNode,
  filesBeside,
  ROOM,
  sessionFiles,
  sessionLog,
  settle,
  shown,
} from './world.js';

const all = { mayCut: () => true };

describe('a person is forgotten', () => {
  it('E-shows: nothing of them shows any more at once, and others stay as they are', async () => {
    const one = await botNode();
    await settle(one, ALICE, ROOM);
    await settle(one, BOB, BOBS);
    await answered(one, BOBS, '$alices-words');
    const found = await one.erasure.forget(ALICE);
    expect([...found.rooms]).toEqual([[ROOM, `room of ${ALICE}`]]);
    expect(found.user).toBe(true);
    expect(one.read('user', `matrix_user:${ALICE}`)).toBeUndefined();
    expect(one.read('room', `matrix_room:${ROOM}`)).toBeUndefined();
    expect([...one.keys('room')]).toEqual([`matrix_room:${BOBS}`]);
    expect([...one.keys('chat')].filter((key) => key.includes(ALICE))).toEqual([]);
    expect([...one.actors.keys()].sort()).toEqual([
      `conversation/${BOBS}`,
      `onboarding/${BOB}`,
      `run/${BOBS}/$alices-words`,
      `run/${BOBS}/$prompt`,
    ]);
    expect(one.actors.exists(`conversation/${ROOM}`)).toBe(false);
    expect((await one.history(`conversation/${ROOM}`)).entries).toEqual([]);
    // What settled their prompts stays: an old one that comes again gets no answer.
    expect(one.read('mark', `mark:${ROOM} $prompt`)).toMatchObject({ reason: 'answered' });
    expect(one.read('floor', `floor:${ROOM}`)).toMatchObject({ event_id: '$prompt' });
    expect(one.actors.get(`conversation/${BOBS}`).snapshot().context).toMatchObject({ prompts: 2 });
    expect(one.erasure.status(ALICE)).toMatchObject({ rooms: 1, contexts: { owed: 1, deleted: 0 } });
    expect(one.erasure.owedContexts()).toMatchObject([{ chat: `ctx-of-${ROOM}` }]);
  }, 60_000);

  it('E-gone: no document shows their name any more after the cut, nor does its audit, nor any file beside', async () => {
    const dataDir = await folder();
    const one = await botNode([], { dataDir });
    await settle(one, ALICE, ROOM);
    await settle(one, BOB, BOBS);
    await sessionLog(dataDir, `${ROOM}/$prompt`, 1);
    await sessionLog(dataDir, `${BOBS}/$prompt`, 1);
    await one.erasure.forget(ALICE);
    expect(one.erasure.status(ALICE).shards).not.toEqual([]);
    expect(await one.cutIfDue(all)).toBeGreaterThan(0);
    expect(one.erasure.status(ALICE).shards).toEqual([]);
    expect(await one.cutIfDue(all)).toBe(0);
    await one.close();
    const { current, audits } = await shown(dataDir);
    expect(current).toContain(BOB);
    expect(current + audits).not.toContain('alice:');
    expect(current).not.toContain(`conversation/${ROOM}`);
    expect(audits).not.toContain(ROOM);
    expect(current).toContain(`mark:${ROOM} $prompt`);
    expect(await filesBeside(dataDir)).not.toContain('alice:');
    expect(await sessionFiles(dataDir)).toEqual([expect.stringContaining('bobs')]);
    const again = await botNode([], { dataDir });
    expect([...again.actors.keys('conversation')]).toEqual([`conversation/${BOBS}`]);
    expect(await again.erasure.forget(ALICE)).toMatchObject({ user: false });
  }, 60_000);

  it('E-return: who comes back begins afresh, also where the clock is behind that of who forgot them', async () => {
    const dataDir = await folder();
    const one = await botNode([], { dataDir });
    const before = Date.now() + 60_000;
    await settle(one, ALICE, ROOM, { ts: before });
    await one.erasure.forget(ALICE);
    await settle(one, ALICE, ROOM, { prompt: '$new', context: 'ctx-new' });
    const back = async (read: typeof one) => {
      expect(read.read('user', `matrix_user:${ALICE}`)).toMatchObject({ space_id: '!space' });
      expect(read.read('room', `matrix_room:${ROOM}`)).toMatchObject({ platform_chat_id: 'ctx-new' });
      expect(read.actors.get(`onboarding/${ALICE}`).snapshot().value).toBe('greeted');
      expect(read.actors.get(`conversation/${ROOM}`).snapshot().context).toMatchObject({ prompts: 1 });
      expect(read.actors.exists(`run/${ROOM}/$prompt`)).toBe(false);
    };
    await back(one);
    await one.erasure.swept();
    await one.cutIfDue(all);
    await back(one);
    expect(one.erasure.owedContexts()).toMatchObject([{ chat: `ctx-of-${ROOM}` }]);
    await one.close();
    const again = await botNode([], { dataDir });
    await back(again);
    await again.erasure.forget(ALICE);
    await again.cutIfDue(all);
    expect(again.read('user', `matrix_user:${ALICE}`)).toBeUndefined();
    expect(
      again.erasure
        .owedContexts()
        .map(({ chat }) => chat)
        .sort(),
    ).toEqual(['ctx-new', `ctx-of-${ROOM}`]);
    await again.close();
    expect((await shown(dataDir)).current).not.toContain('alice:');
  }, 60_000);

  it('E-contexts: every context that a room ever had is owed to the platform, and again when it is used again', async () => {
    const one = await botNode();
    await settle(one, ALICE, ROOM, { context: 'ctx-1' });
    await settle(one, ALICE, ROOM, { context: 'ctx-2' });
    await one.erasure.forget(ALICE);
    const owed = one.erasure.owedContexts();
    expect(owed.map(({ chat }) => chat).sort()).toEqual(['ctx-1', 'ctx-2']);
    for (const context of owed) await one.erasure.contextGone(context);
    expect(one.erasure.owedContexts()).toEqual([]);
    expect(one.erasure.status(ALICE).contexts).toEqual({ owed: 0, deleted: 2 });
    await settle(one, ALICE, ROOM, { context: 'ctx-2', prompt: '$later' });
    expect(one.erasure.owedContexts()).toEqual([]);
    await one.erasure.forget(ALICE);
    const again = one.erasure.owedContexts();
    expect(again.map(({ chat }) => chat)).toContain('ctx-2');
    expect(again.map(({ key }) => key)).not.toContain(owed.find(({ chat }) => chat === 'ctx-2')?.key);
  }, 60_000);

  it('E-logs: of a session log that was written to since, the lines of before go', async () => {
    const dataDir = await folder();
    const one = await botNode([], { dataDir });
    await settle(one, ALICE, ROOM);
    const later = Date.now() + 3600_000;
    await sessionLog(dataDir, `${ALICE}/mixed`, 1, later);
    await sessionLog(dataDir, `${ROOM}/${'long'.repeat(60)}`, 1);
    await one.actors.send(
      `run/${ROOM}/${'long'.repeat(60)}`,
      { type: 'CREATED', description: '' },
      { cause: { id: 'created' } },
    );
    await one.erasure.forget(ALICE);
    expect(await sessionFiles(dataDir)).toHaveLength(1);
    expect(one.erasure.status(ALICE).session_logs).toBe(2);
  }, 60_000);

  it('refuses what is no person, and changes nothing then', async () => {
    const one = await botNode();
    for (const name of ['', 'alice', '!room:example.org', '@a b:c', '@:x'])
      await expect(one.erasure.forget(name)).rejects.toMatchObject({ code: 'bad-user' });
    expect([...one.keys('erasure')]).toEqual([]);
  }, 60_000);
});
