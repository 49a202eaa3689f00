import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentId } from '../../src/documents/ids.js';
import { Windows } from '../../src/keyed/windows.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { changing, forEachOf, oneOfEach, takesAll } from '../actors/children/each.js';
import { eventually, folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import type { Plan } from './children/keyed-child.js';
import { CLUSTER, VOTES } from './children/votes.js';
import { MovedClock } from './world.js';

const children = compiledChildren('test/keyed/children', ['keyed-child']);
const DAYS = 3 * 24 * 60 * 60_000;

/** A folder that holds the entry `k`. */
async function prepared(): Promise<string> {
  const dir = await folder();
  const one = await node([], { dataDir: dir, found: true, shards: 1, durability: 'fsync' });
  const store = await one.openKeyedStore(VOTES);
  store.register('k', 1);
  expect(await store.flush()).toBe(true);
  await one.close();
  return dir;
}

/** What a child said that worked on a copy of a folder, and the copy. */
async function ran(from: string, plan: Omit<Plan, 'dir'>): Promise<{ dir: string; lines: string[] }> {
  const dir = join(await folder(), 'data');
  await cp(from, dir, { recursive: true });
  const child = startChild(children.path('keyed-child'), [JSON.stringify({ ...plan, dir })]);
  const end = await child.ended;
  // Writes that share a flush are fewer calls in one run than in another: it may live through them all.
  const lived = child.lines.some((line) => line.startsWith('calls '));
  expect(end, child.lines.join(' | ')).toBe(lived ? 0 : 'SIGKILL');
  return { dir, lines: child.lines };
}

const callsIn = (lines: string[]): string[] =>
  JSON.parse(lines.find((line) => line.startsWith('calls '))?.slice(6) ?? '[]') as string[];

/** Which of these documents stand in a folder. */
async function among(old: ReadonlySet<string>, dir: string): Promise<string[]> {
  const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
  const ids = await storage.documents();
  await storage.close(AbortSignal.timeout(60_000));
  return ids.filter((id) => old.has(id));
}

describe('killed at every file call', () => {
  it('of consuming: the entry is gone for ever once that was acknowledged, and else stands or is gone', async () => {
    const from = await prepared();
    const calls = callsIn((await ran(from, { do: 'consume', ahead: 0 })).lines);
    expect(calls).toEqual(expect.arrayContaining(['file.write', 'file.sync', 'rename', 'syncFolder']));
    const counted = { stands: 0, gone: 0 };
    await forEachOf(oneOfEach(4, changing(calls)), async (dieAt) => {
      const { dir, lines } = await ran(from, { do: 'consume', ahead: 0, dieAt });
      const one = await node([], { dataDir: dir, found: true, shards: 1 });
      const store = await one.openKeyedStore(VOTES);
      const stands = store.lookup('k') !== undefined;
      counted[stands ? 'stands' : 'gone'] += 1;
      if (lines.includes('acknowledged')) expect(stands).toBe(false);
      expect(store.consume('k')).toBe(stands ? 1 : undefined);
      expect(await store.flush()).toBe(true);
      await one.close();
      const again = await node([], { dataDir: dir, found: true, shards: 1 });
      expect((await again.openKeyedStore(VOTES)).lookup('k')).toBeUndefined();
      expect(one.counters().keyed.badRows + one.counters().keyed.persistenceErrors).toBe(0);
    });
    expect(counted.stands).toBeGreaterThan(takesAll ? 3 : 0);
    expect(counted.gone).toBeGreaterThan(0);
  }, 180_000);

  it('of opening new windows and taking old ones away: the next start ends it', async () => {
    const from = await prepared();
    const windows = new Windows(VOTES.namespace, VOTES.ttl ?? Infinity);
    const open = windows.openAt(Date.now());
    const old = new Set<string>(open.map((window) => documentId(CLUSTER, windows.documentOf(window))));
    expect((await among(old, from)).length).toBeGreaterThan(0);
    const whole = await ran(from, { do: 'rotate', ahead: DAYS });
    const calls = callsIn(whole.lines);
    expect(calls).toEqual(expect.arrayContaining(['rename', 'syncFolder']));
    expect(await among(old, whole.dir)).toEqual([]);
    await forEachOf(oneOfEach(12, changing(calls)), async (dieAt) => {
      const { dir, lines } = await ran(from, { do: 'rotate', ahead: DAYS, dieAt });
      const clock = new MovedClock();
      clock.pass(DAYS);
      const one = await node([], { dataDir: dir, found: true, shards: 1, clock });
      const store = await one.openKeyedStore(VOTES);
      expect(store.entries().filter(({ key }) => key !== 'new')).toEqual([]);
      if (lines.includes('acknowledged')) expect(store.lookup('new')).toBe(2);
      await eventually(async () => (await among(old, dir)).length === 0);
      expect(await store.flush()).toBe(true);
      expect(one.counters().keyed.persistenceErrors).toBe(0);
      await one.close();
    });
  }, 240_000);
});
