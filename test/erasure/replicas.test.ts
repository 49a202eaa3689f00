import { describe, expect, it } from 'vitest';
import { eventually as within, folder, relay } from '../node/world.js';
import {
  ALICE,
  answered,
  BOB,
  BOBS,
  botNode,
  ROOM,
  sessionFiles,
  sessionLog,
  settle,
  shown,
} from './world.js';

const all = { mayCut: () => true };
const eventually = (what: () => unknown): Promise<void> => within(what, 60_000);
const LATE = '!late:example.org';

describe('two replicas', () => {
  it('E-everywhere: forgotten on one is forgotten on both, cut included', async () => {
    const hub = await relay();
    const [dirs] = [[await folder(), await folder()]];
    const one = await botNode([hub], { dataDir: dirs[0] as string, found: true });
    const two = await botNode([hub], { dataDir: dirs[1] as string });
    await settle(one, ALICE, ROOM);
    await settle(two, BOB, BOBS);
    await eventually(() => two.read('mark', `mark:${ROOM} $prompt`) !== undefined);
    await sessionLog(dirs[1] as string, `${ROOM}/$prompt`, 1);
    await one.erasure.forget(ALICE);
    await eventually(() => two.read('user', `matrix_user:${ALICE}`) === undefined);
    await eventually(() => !two.actors.exists(`conversation/${ROOM}`));
    expect(await one.cutIfDue(all)).toBeGreaterThan(0);
    await eventually(() => two.erasure.status(ALICE).shards.length === 0);
    await two.erasure.swept();
    expect(await sessionFiles(dirs[1] as string)).toEqual([]);
    expect(two.read('mark', `mark:${ROOM} $prompt`)).toBeDefined();
    await one.close();
    await two.close();
    for (const dir of dirs) expect((await shown(dir)).current).not.toContain('alice:');
  }, 240_000);

  it('E-apart: what a replica wrote that had not heard of it goes too; what it wrote later stays', async () => {
    const hub = await relay();
    const [a, b] = [await folder(), await folder()];
    let one = await botNode([hub], { dataDir: a, found: true });
    let two = await botNode([hub], { dataDir: b });
    await settle(one, ALICE, ROOM);
    await settle(one, BOB, BOBS);
    await eventually(() => two.read('mark', `mark:${BOBS} $prompt`) !== undefined);
    expect(await one.synced(60_000)).toBe(true);
    await one.close();
    await two.close();
    // Apart: one side makes a room that the other never hears of before it forgets.
    two = await botNode([], { dataDir: b, found: true });
    await settle(two, ALICE, LATE, { prompt: '$late', context: 'ctx-late' });
    await two.change([{ kind: 'room', key: `matrix_room:${ROOM}`, fields: { display_name: 'secret' } }], {
      id: '$rename',
    });
    await sessionLog(b, `${LATE}/$late`, 1);
    await two.close();
    one = await botNode([], { dataDir: a, found: true });
    await one.erasure.forget(ALICE);
    expect(await one.cutIfDue(all)).toBeGreaterThan(0);
    await one.close();
    two = await botNode([], { dataDir: b, found: true });
    const later = Date.now() + 60_000;
    await answered(two, ROOM, '$later', later);
    await two.close();

    one = await botNode([hub], { dataDir: a });
    two = await botNode([hub], { dataDir: b });
    await eventually(() => two.erasure.forgottenAt(ALICE) !== undefined);
    for (const each of [one, two]) {
      await eventually(() => each.read('room', `matrix_room:${LATE}`) === undefined);
      await eventually(() => each.read('mark', `mark:${LATE} $late`) !== undefined);
      await eventually(() => each.read('room', `matrix_room:${ROOM}`) === undefined);
      await eventually(() => !each.actors.exists(`conversation/${LATE}`));
      await eventually(() => each.actors.exists(`run/${ROOM}/$later`));
      expect(each.actors.exists(`run/${ROOM}/$prompt`)).toBe(false);
      await eventually(() => each.erasure.owedContexts().some(({ chat }) => chat === 'ctx-late'));
    }
    await two.erasure.swept();
    expect(await sessionFiles(b)).toEqual([]);
    await one.cutIfDue(all);
    await eventually(() => one.erasure.dueShards().length + two.erasure.dueShards().length === 0);
    expect(await one.synced(60_000)).toBe(true);
    await one.close();
    await two.close();
    for (const dir of [a, b]) {
      const { current } = await shown(dir);
      expect(current).not.toContain('alice:');
      expect(current).not.toContain('secret');
      expect(current).toContain(BOB);
    }
  }, 240_000);

  it('E-late: a replica that was off does it when it runs again', async () => {
    const hub = await relay();
    const [a, b] = [await folder(), await folder()];
    const one = await botNode([hub], { dataDir: a, found: true });
    const off = await botNode([hub], { dataDir: b });
    await settle(one, ALICE, ROOM);
    await eventually(() => off.read('mark', `mark:${ROOM} $prompt`) !== undefined);
    await sessionLog(b, `${ROOM}/$prompt`, 1);
    expect(await off.synced(60_000)).toBe(true);
    await off.close();
    await one.erasure.forget(ALICE);
    await one.cutIfDue(all);
    expect(await one.replicated(60_000)).toBe(true);
    const late = await botNode([hub], { dataDir: b });
    await eventually(() => late.erasure.forgottenAt(ALICE) !== undefined);
    await eventually(() => late.erasure.dueShards().length === 0);
    await late.erasure.swept();
    expect(late.read('user', `matrix_user:${ALICE}`)).toBeUndefined();
    expect(await sessionFiles(b)).toEqual([]);
    await late.close();
    expect((await shown(b)).current).not.toContain('alice:');
  }, 240_000);
});
