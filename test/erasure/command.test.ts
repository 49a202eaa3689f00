import { randomBytes } from 'node:crypto';
import { describe, beforeAll, expect, it } from 'vitest';
import { ForgottenContexts } from '../../src/bot/forgotten-contexts.js';
import { silentLog, systemClock } from '../../src/index.js';
import { erasureQuestions } from '../../src/node/erasure/questions.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { folder, relay } from '../node/world.js';
import { answer, newChat, world as platformWorld } from '../platform/world.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { ALICE, BOB, BOBS, botNode, ROOM, sessionFiles, sessionLog, settle, shown } from './world.js';

const run = async (settings: Record<string, string>, ...args: string[]) =>
  understudy(['forget', ...args], { cwd: await folder(), settings });

describe('understudy forget', { timeout: 240_000 }, () => {
  beforeAll(buildOnce, 240_000);

  it('through the running replica: says what would go, asks, and ends when history and platform are done', async () => {
    const dir = await folder();
    const { platform, client } = await platformWorld({ sqlite: `${await folder()}/platform.db` });
    const context = await newChat(client, 'echo', ROOM);
    await answer(client, context, 'a', 'my secret');
    const one = await botNode([await relay()], { dataDir: dir, found: true });
    await settle(one, ALICE, ROOM, { context });
    await settle(one, BOB, BOBS);
    const state = one as unknown as ConstructorParameters<typeof ForgottenContexts>[0]['state'];
    const contexts = new ForgottenContexts({ state, platform: client, clock: systemClock, log: silentLog });
    one.onChange(({ kind }) => kind === 'erasure' && contexts.look());
    const failed = (error: unknown) => expect.fail(String(error));
    const handlers = { ...erasureQuestions(one, failed), heads: () => ({}) };
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });

    const dry = await run({}, ALICE, '--data', dir, '--dry-run');
    expect([dry.code, dry.stderr]).toEqual([0, '']);
    expect(dry.stdout).toContain(ROOM);
    expect(one.erasure.forgottenAt(ALICE)).toBeUndefined();
    const unsure = await run({}, ALICE, '--data', dir);
    expect([unsure.code, unsure.stderr]).toEqual([2, expect.stringContaining('--yes')]);
    expect((await run({}, 'alice', '--data', dir, '--yes')).code).toBe(2);
    expect(one.erasure.forgottenAt(ALICE)).toBeUndefined();

    const done = await run({}, ALICE, '--data', dir, '--yes', '--json');
    expect(done.code).toBe(0);
    const said = JSON.parse(done.stdout) as Record<string, unknown>;
    expect(said).toMatchObject({
      version: 1,
      user: ALICE,
      done: true,
      found: { user: true, rooms: [{ room: ROOM }], contexts: 1 },
      status: { contexts: { owed: 0, deleted: 1 }, shards: [], at_a_relay: true },
    });
    expect(JSON.stringify(said['remaining'])).toContain('backups');
    await expect(client.listContexts(context)).rejects.toMatchObject({ reason: 'no-such-chat' });
    const again = await run({}, ALICE, '--data', dir, '--yes');
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('nothing of them was left')]);
    await contexts.close();
    await control.close();
    await one.close();
    await platform.close();
    expect((await shown(dir)).current).not.toContain('alice:');
  });

  it('in a folder that nobody holds: records and session logs go, the rest is said and done by the replica', async () => {
    const dir = await folder();
    const clusterId = randomBytes(32).toString('base64url');
    const one = await botNode([], { dataDir: dir, clusterId });
    await settle(one, ALICE, ROOM);
    await one.close();
    await sessionLog(dir, `${ROOM}/$prompt`, 1);
    const without = await run({}, ALICE, '--data', dir, '--yes');
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('UNDERSTUDY_CLUSTER_ID')]);
    const done = await run({ UNDERSTUDY_CLUSTER_ID: clusterId }, ALICE, '--data', dir, '--yes');
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('until a replica runs on this folder');
    expect(await sessionFiles(dir)).toEqual([]);
    const after = await botNode([], { dataDir: dir, clusterId });
    expect(after.read('user', `matrix_user:${ALICE}`)).toBeUndefined();
    expect(after.erasure.owedContexts()).toHaveLength(1);
    expect(await after.cutIfDue({ mayCut: () => true })).toBeGreaterThan(0);
    await after.close();
    expect((await shown(dir)).current).not.toContain('alice:');
  });
});
