import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oneOfEach, changing, forEachOf, takesAll } from '../actors/children/each.js';
import { CLUSTER, folder } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { ALICE, BOB, BOBS, botNode, ROOM, sessionFiles, sessionLog, settle, shown } from './world.js';

const children = compiledChildren('test/erasure/children', ['forget-child']);
async function run(
  from: string,
  dieAt: number | undefined,
): Promise<{ dir: string; calls: string[] | undefined }> {
  const dir = join(await folder(), 'data');
  await cp(from, dir, { recursive: true });
  const child = startChild(children.path('forget-child'), [CLUSTER, dir, ALICE, String(dieAt ?? '')]);
  const end = await child.ended;
  const said = child.lines.find((line) => line.startsWith('calls '));
  expect(end).toBe(said === undefined ? 'SIGKILL' : 0);
  return { dir, calls: said === undefined ? undefined : (JSON.parse(said.slice(6)) as string[]) };
}

describe('killed at every file call of forgetting', () => {
  it('all of a person shows or nothing does, and the same again completes it', async () => {
    const from = await folder();
    const one = await botNode([], { dataDir: from, shards: 1 });
    await settle(one, ALICE, ROOM);
    await settle(one, BOB, BOBS);
    await one.close();
    await sessionLog(from, `${ROOM}/$prompt`, 1);
    await sessionLog(from, `${ALICE}/task`, 1);
    const calls = (await run(from, undefined)).calls ?? [];
    expect(calls).toEqual(expect.arrayContaining(['create', 'rename', 'file.sync', 'syncFolder', 'remove']));
    const kills = oneOfEach(12, changing(calls));
    const counted = { known: 0, forgotten: 0 };
    await forEachOf(kills, async (call) => {
      const { dir } = await run(from, call);
      const again = await botNode([], { dataDir: dir, shards: 1 });
      const isForgotten = again.erasure.forgottenAt(ALICE) !== undefined;
      counted[isForgotten ? 'forgotten' : 'known'] += 1;
      expect(again.read('user', `matrix_user:${ALICE}`) === undefined).toBe(isForgotten);
      expect(again.read('room', `matrix_room:${ROOM}`) === undefined).toBe(isForgotten);
      expect(again.actors.exists(`conversation/${ROOM}`)).toBe(!isForgotten);
      expect(again.read('mark', `mark:${ROOM} $prompt`)).toBeDefined();
      // A start alone does what is left for this disk.
      if (isForgotten) expect((await sessionFiles(dir)).join()).toBe('');
      await again.erasure.forget(ALICE);
      await again.cutIfDue({ mayCut: () => true });
      expect(again.erasure.owedContexts().map(({ chat }) => chat)).toEqual([`ctx-of-${ROOM}`]);
      expect(again.read('room', `matrix_room:${BOBS}`)).toBeDefined();
      expect(await sessionFiles(dir)).toEqual([]);
      await again.close();
      const { current, audits } = await shown(dir);
      expect(current + audits).not.toContain('alice:');
      expect(current).toContain(BOB);
    });
    expect(counted.known).toBeGreaterThan(takesAll ? 3 : 0);
    expect(counted.forgotten).toBeGreaterThan(takesAll ? 10 : 0);
  }, 900_000);
});
