import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockFolder } from '../../src/storage/lock.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import type { Relay, StateNode } from '../../src/index.js';
import { folder, node } from '../node/world.js';
import { relay as startRelay } from '../sync/world.js';
import { CLUSTER, doctor, healthyFolder, settings } from './world.js';

const at = (dir: string, relay: Relay | undefined, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, {
    only: ['cluster'],
    ...options,
    env: { ...settings, ...(relay && { UNDERSTUDY_RELAY_URLS: relay.url }) },
  });

const relay = () => startRelay({ clusterCheck: clusterCheck(CLUSTER) });

async function member(on: Relay, replicaId: string): Promise<{ one: StateNode; dir: string }> {
  const dir = join(await folder(), replicaId);
  const one = await node([on], { dataDir: dir, clusterId: CLUSTER, replicaId });
  expect(await one.synced(30_000)).toBe(true);
  return { one, dir };
}

/** As a running replica: what it answers over its control socket. */
async function holding(dir: string, one: StateNode, more: object = {}) {
  const status = () => ({
    replica: one.self.replica,
    incarnation: one.self.incarnation,
    ready: true,
    ...more,
  });
  const lock = await lockFolder(dir).catch(() => undefined);
  const control = await startControl({ path: controlPath(dir), handlers: { status }, log: silentLog });
  return async () => {
    await control.close();
    await lock?.release();
  };
}

describe('the doctor at the cluster', { timeout: 60_000 }, () => {
  it('finds nothing where two replicas are connected', async () => {
    const on = await relay();
    const { one, dir } = await member(on, 'one');
    await member(on, 'two');
    const end = await holding(dir, one);
    await expect
      .poll(async () => (await at(dir, on)).of('cluster').seen)
      .toBe('one of 2 members; 1 other connected');
    expect(await at(dir, on)).toMatchObject({ codes: [], exit: 0 });
    await end();
  });

  it('replica-alone: the other member is gone; one that never had another is not alone', async () => {
    const on = await relay();
    const { one, dir } = await member(on, 'one');
    const end = await holding(dir, one);
    expect((await at(dir, on)).codes).toEqual([]);
    const two = await member(on, 'two');
    await expect.poll(() => [...one.entries('member')].length).toBe(2);
    await two.one.close();
    await one.flush();
    await expect.poll(async () => (await at(dir, on)).codes).toEqual(['replica-alone']);
    await end();
  });

  it('member-absent: by the last sign of life that the documents have', async () => {
    const on = await relay();
    const { one, dir } = await member(on, 'one');
    await (await member(on, 'two')).one.close();
    await expect.poll(() => [...one.entries('member')].length).toBe(2);
    await one.close();
    const later = { ...systemClock, now: () => Date.now() + 3 * 86_400_000 };
    expect((await at(dir, undefined, { offline: true })).codes).toEqual([]);
    const { codes, exit, of } = await at(dir, undefined, { offline: true, clock: later });
    expect({ codes, exit }).toEqual({ codes: ['member-absent'], exit: 1 });
    expect(of('member-absent').seen).toContain('two for 3 d');
  });

  it('identity-twice: a copy of this folder is connected', async () => {
    const on = await relay();
    const { one, dir } = await member(on, 'one');
    await one.close();
    expect((await at(dir, on)).codes).toEqual([]);
    const copy = join(await folder(), 'copy');
    await cp(dir, copy, { recursive: true });
    await node([on], { dataDir: copy, clusterId: CLUSTER });
    await expect.poll(async () => (await at(dir, on)).codes).toEqual(['identity-twice']);
    expect((await at(dir, on)).exit).toBe(1);
  });

  it('identity-copied: a copy lies beside this folder', async () => {
    const dir = await healthyFolder();
    await cp(dir, `${dir}-copy`, { recursive: true });
    const { codes, exit, of } = await at(dir, undefined, { offline: true });
    expect({ codes, exit }).toEqual({ codes: ['identity-copied'], exit: 1 });
    expect(of('identity-copied').seen).toContain(`${dir}-copy`);
  });

  it('holder-not-ready: what the running replica says of itself', async () => {
    const on = await relay();
    const { one, dir } = await member(on, 'one');
    const end = await holding(dir, one, { ready: false, documents: 'waiting-for-peers', storage: 'failing' });
    const { codes, exit, of } = await at(dir, on);
    expect({ codes, exit }).toEqual({ codes: ['holder-not-ready'], exit: 1 });
    expect(of('holder-not-ready').seen).toMatch(/waiting-for-peers; .*cannot be written; .*not take part/);
    await end();
  });
});
