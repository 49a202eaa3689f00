import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Child } from '../../src/cli/up/child.js';
import { openNode } from '../../src/node/open-node.js';
import { systemClock } from '../../src/time/clock.js';
import { onServer } from '../storage/stores.js';
import { buildOnce } from '../world/build.js';
import { testPort } from '../world/port.js';
import { cleanEnvironment } from '../world/process.js';

const never = new AbortController().signal;
const CLUSTER = 'c'.repeat(32);
const TOKEN = 'a-secret-token';

onServer((freshUrl) => {
  let dir: string;
  const children: Child[] = [];
  beforeAll(buildOnce, 120_000);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'us-postgres-'));
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.stop()));
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  });

  it('a relay keeps documents in a database over its own end, and needs no folder', async () => {
    const url = Object.assign(new URL(await freshUrl()), { password: 'not-to-be-seen' }).href;
    await writeFile(join(dir, 'url'), url, { mode: 0o600 });
    const [port, pages] = [await testPort(), await testPort()];
    const child = new Child({
      name: 'relay',
      args: ['relay', '--storage', 'postgres'],
      env: cleanEnvironment({
        UNDERSTUDY_CLUSTER_ID: CLUSTER,
        UNDERSTUDY_RELAY_TOKEN: TOKEN,
        UNDERSTUDY_RELAY_PORT: String(port),
        UNDERSTUDY_RELAY_DATABASE_URL_FILE: join(dir, 'url'),
        UNDERSTUDY_DATA_DIR: join(dir, 'relay'),
        UNDERSTUDY_HTTP_PORT: String(pages),
      }),
      dataDir: join(dir, 'relay'),
      health: `http://127.0.0.1:${pages}`,
      log: join(dir, 'logs', 'relay.log'),
      clock: systemClock,
      say: () => undefined,
      restarted: () => undefined,
    });
    children.push(child);
    const relays = [{ url: `ws://127.0.0.1:${port}`, token: TOKEN }];
    const open = (name: string, found: boolean) =>
      openNode({ clusterId: CLUSTER, dataDir: join(dir, name), relays, shards: 1, found });

    await child.start(never);
    const first = await open('first', true);
    expect(await first.synced(60_000)).toBe(true);
    await first.close();
    await child.stop();
    await child.start(never);
    // Nobody but the relay has the documents now, and it has them from the database.
    await rm(join(dir, 'first'), { recursive: true });
    const second = await open('second', false);
    expect(await second.synced(60_000)).toBe(true);
    await second.close();
    await child.stop();
    expect(await readdir(dir)).not.toContain('relay');
    expect(await readFile(join(dir, 'logs', 'relay.log'), 'utf8')).not.toContain('not-to-be-seen');
  }, 240_000);
});
