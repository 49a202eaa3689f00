import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openNode } from '../../src/node/open-node.js';
import { newSealingKey, sealingKey } from '../../src/storage/seal.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { PostgresChunks } from '../../src/storage/postgres-chunks.js';
import { silentLog } from '../../src/telemetry/log.js';
import { onServer } from '../storage/stores.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';

const [ONE, TWO] = [newSealingKey(), newSealingKey()];
const CLUSTER = 'c'.repeat(32);

describe('the storage key', () => {
  let dir: string;
  beforeAll(buildOnce, 120_000);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'us-key-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

  /** A data folder with a cluster in it, plain or encrypted. */
  async function founded(text?: string): Promise<string> {
    const key = text === undefined ? undefined : sealingKey(text);
    const dataDir = join(dir, 'replica');
    const opened = await openNode({
      clusterId: CLUSTER,
      dataDir,
      relays: [],
      shards: 1,
      found: true,
      ...(key && { storageKeys: { current: key } }),
    });
    await opened.close();
    return dataDir;
  }

  const run = (args: string[], settings: Record<string, string> = {}) =>
    understudy(args, { settings, cwd: dir });

  it('is printed by new-key, and is another each time', async () => {
    const [one, two] = await Promise.all([run(['storage', 'new-key']), run(['storage', 'new-key'])]);
    expect(sealingKey(one.stdout.trim())).toBeDefined();
    expect(one.stdout).not.toBe(two.stdout);
  });

  it('that is wrong or missing stops a relay at once, in one line with exit code 2', async () => {
    const dataDir = await founded(ONE);
    const settings = {
      UNDERSTUDY_CLUSTER_ID: CLUSTER,
      UNDERSTUDY_DATA_DIR: dataDir,
      UNDERSTUDY_RELAY_PORT: String(await testPort()),
    };
    for (const [given, expected] of [
      [{}, 'is encrypted: set UNDERSTUDY_STORAGE_KEY_FILE'],
      [{ UNDERSTUDY_STORAGE_KEY: TWO }, 'is encrypted with another key'],
      [{ UNDERSTUDY_STORAGE_KEY: 'too-short' }, 'UNDERSTUDY_STORAGE_KEY must be 32 bytes in base64url'],
    ] as const) {
      const { code, stdout, stderr } = await run(['relay'], { ...settings, ...given });
      expect(stderr.trim().split('\n'), stdout).toHaveLength(1);
      expect(stderr).toContain(expected);
      expect(stdout + stderr).not.toContain(TWO);
      expect(stdout + stderr).not.toContain('too-short');
      expect(code).toBe(2);
    }
    expect(await readdir(join(dataDir, 'documents'))).not.toContain('quarantine');
  });

  it('is changed by rotate-key: from plain to one, from one to the next, and inspect reads it all along', async () => {
    const dataDir = await founded();
    const [one, two] = [join(dir, 'one'), join(dir, 'two')];
    await writeFile(one, `${ONE}\n`);
    await writeFile(two, `${TWO}\n`);
    const inspect = (settings: Record<string, string>) =>
      run(['inspect', '--data', dataDir, '--json'], settings);
    const plain = JSON.parse((await inspect({})).stdout) as { records: unknown[] };
    expect(plain.records.length).toBeGreaterThan(0);

    const first = await run(['storage', 'rotate-key', '--data', dataDir], {
      UNDERSTUDY_STORAGE_KEY_FILE: one,
    });
    expect(first.stdout, first.stderr).toMatch(/^\d+ chunks encrypted with this key/);
    expect((await inspect({ UNDERSTUDY_STORAGE_KEY_FILE: one })).stdout).toBe(
      JSON.stringify(plain, undefined, 2) + '\n',
    );
    expect(await inspect({})).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is encrypted') as string,
    });

    const wrong = await run(['storage', 'rotate-key', '--data', dataDir], {
      UNDERSTUDY_STORAGE_KEY_FILE: two,
    });
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('UNDERSTUDY_STORAGE_KEY_PREVIOUS') as string,
    });
    const both = { UNDERSTUDY_STORAGE_KEY_FILE: two, UNDERSTUDY_STORAGE_KEY_PREVIOUS_FILE: one };
    const second = await run(['storage', 'rotate-key', '--data', dataDir, '--json'], both);
    expect(JSON.parse(second.stdout)).toMatchObject({ version: 1, place: dataDir, quarantined: [] });
    expect(JSON.parse((await inspect({ UNDERSTUDY_STORAGE_KEY_FILE: two })).stdout)).toEqual(plain);
    expect((await inspect({ UNDERSTUDY_STORAGE_KEY_FILE: one })).code).toBe(2);
    const again = await run(['storage', 'rotate-key', '--data', dataDir], both);
    expect(again.stdout).toContain('every chunk is encrypted with this key already');
  }, 60_000);

  onServer((freshUrl) => {
    it('is changed in a database too, unless a relay works on it', async () => {
      const url = await freshUrl();
      const storage = new DurableStorage({
        store: new PostgresChunks({ url, log: silentLog }),
        log: silentLog,
      });
      await storage.save(['doc', 'value', 'x'], Buffer.from('x'));
      const settings = { UNDERSTUDY_RELAY_DATABASE_URL: url, UNDERSTUDY_STORAGE_KEY: ONE };
      const held = await run(['storage', 'rotate-key', '--database'], settings);
      expect(held).toMatchObject({ code: 2, stderr: expect.stringContaining('another process') as string });
      await storage.close(AbortSignal.timeout(30_000));
      const done = await run(['storage', 'rotate-key', '--database'], settings);
      expect(done.stdout, done.stderr).toMatch(/^1 chunks encrypted/);
      const relay = {
        ...settings,
        UNDERSTUDY_CLUSTER_ID: CLUSTER,
        UNDERSTUDY_RELAY_PORT: String(await testPort()),
      };
      const refused = await run(['relay', '--storage', 'postgres'], {
        ...relay,
        UNDERSTUDY_STORAGE_KEY: TWO,
      });
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('another key') as string });
      expect(refused.stdout + refused.stderr).not.toContain(ONE);
    }, 60_000);
  });

  it('is not changed while a process holds the folder, and never without a folder or a key', async () => {
    const dataDir = await founded();
    const opened = await openNode({ clusterId: CLUSTER, dataDir, relays: [], found: true });
    const held = await run(['storage', 'rotate-key', '--data', dataDir], { UNDERSTUDY_STORAGE_KEY: ONE });
    expect(held).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is in use by process') as string,
    });
    await opened.close();
    const noKey = await run(['storage', 'rotate-key', '--data', dataDir]);
    expect(noKey).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('UNDERSTUDY_STORAGE_KEY is missing') as string,
    });
    const noFolder = await run(['storage', 'rotate-key'], { UNDERSTUDY_STORAGE_KEY: ONE });
    expect(noFolder).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('UNDERSTUDY_DATA_DIR') as string,
    });
  });
});
