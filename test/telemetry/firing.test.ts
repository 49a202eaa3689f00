import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cp, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine } from 'xstate';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ClaimAnswer, ClaimRequest } from '../../src/claims/wire.js';
import { showNode } from '../../src/node/metrics/node.js';
import { buildOnce } from '../world/build.js';
import { takeOver } from '../claims/running.js';
import { claiming, tokenIn, wordOf } from '../claims/world.js';
import { folder, node } from '../node/world.js';
import { relayProcess, type RelayProcess } from '../sync/relay-process.js';
import { connect, found, newId, rawClient, repo, until } from '../sync/world.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { Watch } from './firing.js';
import { evaluate } from './promql-evaluate.js';
import { alertRules } from './rules.js';

beforeAll(buildOnce, 120_000);

/** Of the system, where it has them. */
const [MOUNT, UMOUNT, UNSHARE] = ['mount', 'umount', 'unshare'];

function whyNotMount(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const tried = spawnSync(UNSHARE, ['-m', MOUNT, '-t', 'tmpfs', 'none', '/mnt']);
  if (tried.error) return 'no unshare';
  return tried.status === 0 ? undefined : 'not allowed here';
}
const why = whyNotMount();

function mount(dir: string, ...options: string[]): void {
  const done = spawnSync(MOUNT, [...options, dir]);
  if (done.status !== 0) throw new Error(`mount: ${done.stderr?.toString()}`);
}

/** A client that writes into one document of the relay. */
async function writer(relay: RelayProcess) {
  const alpha = connect('alpha', [{ url: relay.url }], { clusterCheck: relay.check });
  const id = newId();
  const doc = found(repo(alpha), id);
  await until('open', () => alpha.status()[0]?.state === 'open');
  return { id, alpha, write: (text: string) => doc.change((draft) => void (draft['text'] = text)) };
}

describe.skipIf(why !== undefined)(
  `on a mounted file system of 4 MB${why === undefined ? '' : ` (skipped: ${why})`}`,
  () => {
    it('a relay whose disk fills up, and is made read-only: each alert fires, and none when it is over', async () => {
      const data = mkdtempSync(join(tmpdir(), 'understudy-disk-'));
      onTestFinished(() => {
        spawnSync(UMOUNT, ['-l', data]);
        rmSync(data, { recursive: true, force: true, maxRetries: 10 });
      });
      mount(data, '-t', 'tmpfs', '-o', 'size=4m', 'understudy-test');
      const relay = await relayProcess({
        UNDERSTUDY_DATA_DIR: data,
        UNDERSTUDY_DISK_LOW: '1MB',
        UNDERSTUDY_DISK_LOW_FILES: '10',
      });
      const watch = new Watch(() => [relay.process]);
      const { write } = await writer(relay);
      write('small');
      await until(
        'stored',
        async () => ((await relay.process.metric('understudy_storage_saves_total')) ?? 0) > 0,
      );
      await watch.quiet();

      const { bavail, bsize } = await statfs(data);
      await writeFile(join(data, 'filler'), Buffer.alloc(bavail * bsize));
      write('x'.repeat(100_000));
      await watch.until(true, 'UnderstudySaveFailing', 'relay');
      await watch.until(true, 'UnderstudyDiskLow', 'relay');
      expect(watch.firing()).toContain('UnderstudySaveFailures relay');
      const page = await relay.process.page('/readyz');
      expect(page?.status).toBe(503);
      expect(JSON.parse(page?.text ?? '')).toMatchObject({
        reasons: [{ check: 'storage', reason: 'the disk refuses writes' }],
        notes: [expect.stringContaining('the disk of the data folder is low')],
        facts: { storage: { state: 'failing', pending_writes: expect.any(Number) as number } },
      });
      await rm(join(data, 'filler'));
      await watch.until(false, 'UnderstudySaveFailing', 'relay');
      await watch.until(false, 'UnderstudyDiskLow', 'relay');

      mount(data, '-o', 'remount,ro');
      await watch.until(true, 'UnderstudyDataFolderUnusable', 'relay');
      expect((await relay.process.page('/readyz'))?.text).toContain('cannot be written (EROFS)');
      expect((await relay.process.page('/healthz'))?.status).toBe(200);
      mount(data, '-o', 'remount,rw');
      await watch.until(false, 'UnderstudyDataFolderUnusable', 'relay');
      // Of the last quarter of an hour.
      expect(watch.firing()).toEqual(['UnderstudySaveFailures relay']);
    }, 180_000);
  },
);

it('a flipped byte on a relay’s disk is corruption, and what was put aside is told until it is removed', async () => {
  const relay = await relayProcess();
  const watch = new Watch(() => [relay.process]);
  const { id, alpha, write } = await writer(relay);
  write('something that is stored');
  await until('stored', async () => {
    const said = (await alpha.relayHeads([id], 30_000)).get(relay.url)?.get(id);
    return (said?.length ?? 0) > 0;
  });
  alpha.close();
  await relay.process.stop();
  const folder = join(relay.dir, 'data', 'documents');
  const chunk = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) =>
    /snapshot\/|incremental\//.test(name),
  );
  const bytes = await readFile(join(folder, chunk ?? ''));
  bytes[bytes.length - 3]! ^= 0x40;
  await writeFile(join(folder, chunk ?? ''), bytes);
  await relay.process.start();
  await watch.quiet();

  const asker = connect('beta', [{ url: relay.url }], { clusterCheck: relay.check });
  await until('open', () => asker.status()[0]?.state === 'open');
  await asker.relayHeads([id], 30_000);
  await watch.until(true, 'UnderstudyCorruption', 'relay');
  // Files are counted once a minute, and at the start.
  await relay.process.stop();
  await relay.process.start();
  await watch.until(true, 'UnderstudyQuarantine', 'relay');
  await rm(join(folder, 'quarantine'), { recursive: true });
  await relay.process.stop();
  await relay.process.start();
  await watch.until(false, 'UnderstudyQuarantine', 'relay');
}, 180_000);

it('a reader that does not read is ended and told; who comes with a wrong token again and again is told', async () => {
  const relay = await relayProcess({ UNDERSTUDY_RELAY_TOKEN: 'the-secret-of-this-relay' });
  const watch = new Watch(() => [relay.process]);
  await watch.quiet();

  const member = async (name: string) => {
    const client = rawClient(relay.url, { headers: { authorization: 'Bearer the-secret-of-this-relay' } });
    await until('open', () => client.socket.readyState === client.socket.OPEN);
    client.send(['hello', relay.check, name, 'i']);
    await until('welcome', () => client.frames.some(([kind]) => kind === 'welcome'));
    return client;
  };
  const [sleeper, talker] = [await member('sleeper'), await member('talker')];
  sleeper.socket.pause();
  const body = new Uint8Array(256 * 1024);
  let seq = 0;
  await until(
    'ended',
    async () => {
      // More than the system takes on both sides of a socket; then so much that it stays so.
      do talker.send(['channel', 'sleeper', 'talker', 'i', (seq += 1), 't', body]);
      while (seq < 100);
      return (await relay.count('closedSlow')) > 0;
    },
    120_000,
  );
  await watch.until(true, 'UnderstudyRelaySlowReader', 'relay');
  for (let n = 0; n < 25; n += 1) {
    const stray = rawClient(relay.url, { headers: { authorization: 'Bearer a-wrong-secret-for-it' } });
    await until('refused', () => stray.closed() !== undefined);
  }
  await watch.until(true, 'UnderstudyRelayRefuses', 'relay');
}, 180_000);

it('an authority on claims whose storage was put back to an older state is told, once a replica knows better', async () => {
  const relay = await relayProcess();
  const watch = new Watch(() => [relay.process]);
  const alpha = connect('alpha', [{ url: relay.url }], { clusterCheck: relay.check });
  const id = async (): Promise<string> => {
    await until('open', () => alpha.named().length === 1);
    return alpha.named()[0]?.relay ?? '';
  };
  const ask = async (request: ClaimRequest): Promise<ClaimAnswer> => {
    const answer = await alpha.claims(await id(), request, 30_000);
    if (answer === undefined) throw new Error('no answer');
    return answer;
  };
  const ballot = { term: 1, relay: await id() };
  await takeOver({ ask, ballot });
  const [data, older] = [join(relay.dir, 'data'), join(relay.dir, 'older')];
  await relay.process.stop();
  await cp(data, older, { recursive: true });
  await relay.process.start();
  const seen = tokenIn(await ask(claiming('k', { ballot })));
  await watch.quiet();

  await relay.process.stop();
  await rm(data, { recursive: true });
  await rename(older, data);
  await relay.process.start();
  await watch.quiet();

  expect(wordOf(await ask(claiming('k', { ballot, seen })))).toBe('silent');
  await watch.until(true, 'UnderstudyClaimsRolledBack', 'relay');
  // A Prometheus that scrapes it only from now on is told too.
  const late = new Watch(() => [relay.process]);
  await late.until(true, 'UnderstudyClaimsRolledBack', 'relay');
  expect(late.firing()).toEqual(['UnderstudyClaimsRolledBack relay']);
}, 180_000);

it('an actor that stands still is told by the metrics of its node, until it is released', async () => {
  const dataDir = await folder();
  const first = createMachine({
    id: 'gate',
    initial: 'closed',
    states: { closed: { on: { OPEN: 'open' } }, open: {} },
  });
  const second = createMachine({ id: 'gate', initial: 'shut', states: { shut: {}, ajar: {} } });
  const before = await node([], { dataDir, found: true });
  before.actors.register(first);
  await before.actors.get('gate/1').send({ type: 'OPEN' }, { cause: { id: '$open', ts: Date.now() } });
  await before.close();
  const after = await node([], { dataDir, found: true });
  after.actors.register(first);
  after.actors.register(second, { version: 2, migrate: { state: { closed: 'shut' } } });
  await after.actors.ready();
  const metrics = new Metrics({ role: 'replica' });
  showNode(metrics, after);
  const fires = async (alert: string): Promise<boolean> => {
    const target = { job: 'understudy', instance: 'one' };
    const scrape = { at: Date.now() / 1000, target, page: (await metrics.page()).text };
    return evaluate(alertRules().get(alert)?.expr ?? '', [scrape], scrape.at).length > 0;
  };
  expect(await fires('UnderstudyQuarantinedActors')).toBe(true);
  await after.actors.release('gate/1', { state: 'ajar', cause: { id: '$release', ts: Date.now() } });
  expect(await fires('UnderstudyQuarantinedActors')).toBe(false);
});

it('every rule is made to fire here or in test/e2e/metrics.test.ts', async () => {
  const tests = await Promise.all(
    ['./firing.test.ts', '../e2e/metrics.test.ts'].map((path) =>
      readFile(new URL(path, import.meta.url), 'utf8'),
    ),
  );
  for (const name of alertRules().keys()) {
    const made = new RegExp(`(true, '|toContain\\('|arrayContaining\\(\\[\\s*'|fires\\(')${name}[ ']`);
    expect(made.test(tests.join('\n')), name).toBe(true);
  }
});
