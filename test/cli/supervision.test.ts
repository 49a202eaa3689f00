import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { endLeftovers } from '../../src/cli/up/leftovers.js';
import { Child } from '../../src/cli/up/child.js';
import { readRecord, recordPath, writeRecord, type UpRecord } from '../../src/cli/up/record.js';
import { lockFolder } from '../../src/storage/lock.js';
import { systemClock } from '../../src/time/clock.js';
import { buildOnce } from '../world/build.js';
import { testPort } from '../world/port.js';
import { cleanEnvironment } from '../world/process.js';

const never = new AbortController().signal;
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: that is the answer.
    return false;
  }
};

describe('the processes that `up` starts', () => {
  let dir: string;
  const children: Child[] = [];
  const said: string[] = [];

  beforeAll(buildOnce, 120_000);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'us-up-'));
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.stop()));
    said.length = 0;
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  });

  /** A relay, the simplest of the processes. */
  async function relay(settings: Record<string, string> = {}, restarted = (): void => {}): Promise<Child> {
    const port = await testPort();
    const child = new Child({
      name: 'relay',
      args: ['relay'],
      env: cleanEnvironment({
        UNDERSTUDY_CLUSTER_ID: 'c'.repeat(32),
        UNDERSTUDY_RELAY_TOKEN: 'a-secret-token',
        UNDERSTUDY_RELAY_PORT: String(await testPort()),
        UNDERSTUDY_DATA_DIR: join(dir, 'relay'),
        UNDERSTUDY_HTTP_PORT: String(port),
        ...settings,
      }),
      dataDir: join(dir, 'relay'),
      health: `http://127.0.0.1:${port}`,
      log: join(dir, 'logs', 'relay.log'),
      clock: systemClock,
      say: (line) => said.push(line),
      restarted,
    });
    children.push(child);
    return child;
  }

  it('is ready when started, logs JSON lines without secrets to a private file, and is gone when stopped', async () => {
    const child = await relay();
    await child.start(never);
    const pid = child.pid as number;
    expect(await fetch(`${child.options.health}/readyz`)).toHaveProperty('status', 200);
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain('a-secret-token');
    await child.stop();
    expect(isAlive(pid)).toBe(false);
    const log = await readFile(child.options.log, 'utf8');
    const lines = log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.at(-1)?.msg).toBe('stopped');
    expect(log).not.toContain('a-secret-token');
    expect((await stat(child.options.log)).mode & 0o777).toBe(0o600);
    expect(said).toEqual([]);
  });

  it('is started again when it was killed, and says so', async () => {
    const restarted = vi.fn();
    const child = await relay({}, restarted);
    await child.start(never);
    const first = child.pid as number;
    process.kill(first, 'SIGKILL');
    await vi.waitFor(() => expect(said.join('\n')).toContain('runs again'), {
      timeout: 30_000,
      interval: 50,
    });
    expect(child.pid).not.toBe(first);
    expect(said[0]).toContain(`relay (pid ${first}) ended: killed by SIGKILL`);
    expect(said[1]).toContain(`pid ${child.pid}`);
    expect(restarted).toHaveBeenCalledTimes(1);
  });

  it('a relay that keeps everything in memory says loudly that it forgets', async () => {
    const child = await relay({ UNDERSTUDY_RELAY_STORAGE: 'memory' });
    await child.start(never);
    const health = await (await fetch(`${child.options.health}/healthz`)).json();
    expect(health).toMatchObject({ status: 'ok', notes: [expect.stringContaining('forgets')] });
    await child.stop();
    const lines = (await readFile(child.options.log, 'utf8')).trim().split('\n');
    const warning = lines
      .map((line) => JSON.parse(line) as { level: string; msg: string })
      .find(({ level }) => level === 'warn');
    expect(warning?.msg).toMatch(/KEEPS EVERYTHING IN MEMORY AND FORGETS IT/);
  });

  it('a start that a setting prevents fails with its one line and exit code', async () => {
    const child = await relay({ UNDERSTUDY_CLUSTER_ID: '' });
    await expect(child.start(never)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/^relay ended: UNDERSTUDY_CLUSTER_ID is missing/) as string,
    });
  });

  it('ends when the process that started it is killed', async () => {
    const script = join(dir, 'parent.mjs');
    const pidFile = join(dir, 'pid');
    const { options } = await relay();
    await writeFile(
      script,
      `import { Child } from ${JSON.stringify(new URL('../../dist/cli/up/child.js', import.meta.url).href)};
       import { systemClock } from ${JSON.stringify(new URL('../../dist/time/clock.js', import.meta.url).href)};
       import { writeFileSync } from 'node:fs';
       const child = new Child({ ...${JSON.stringify(options)}, clock: systemClock, say() {}, restarted() {} });
       await child.start(new AbortController().signal);
       writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
       process.stdout.write('ready');`,
    );
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    const pid = Number(await readFile(pidFile, 'utf8'));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 30_000, interval: 50 });
  });
});

describe('what an earlier `up` left', () => {
  let dir: string;
  const record = (pid: number): UpRecord => ({
    version: 1,
    pid: 1,
    homeserver: { url: 'http://127.0.0.1:1', local: true },
    bot: '@bot:localhost',
    people: { alice: { user: '@alice:localhost', password: 'secret' } },
    relay: { url: 'ws://127.0.0.1:1' },
    platform: { url: 'http://127.0.0.1:1' },
    processes: [
      { name: 'replica-1', pid, dataDir: join(dir, 'replica-1'), health: 'http://127.0.0.1:1', log: '' },
    ],
  });
  const context = { clock: systemClock, signal: never, say: () => undefined };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'us-up-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

  it('is kept in a file that only its owner may read', async () => {
    await writeRecord(dir, record(1));
    expect((await stat(recordPath(dir))).mode & 0o777).toBe(0o600);
    expect(await readRecord(dir)).toEqual(record(1));
  });

  it('is ended when it holds a folder of ours, also when it is frozen', async () => {
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { lockFolder } from ${JSON.stringify(new URL('../../dist/storage/lock.js', import.meta.url).href)};
         await lockFolder(${JSON.stringify(join(dir, 'replica-1'))});
         process.stdout.write('held');
         setInterval(() => {}, 1000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout, 'data');
    holder.kill('SIGSTOP');
    await endLeftovers(record(holder.pid as number), context);
    expect(holder.exitCode !== null || holder.signalCode !== null || !isAlive(holder.pid as number)).toBe(
      true,
    );
  });

  it('is left alone, with an error that names it, when somebody else holds the folder', async () => {
    const lock = await lockFolder(join(dir, 'replica-1'));
    await expect(endLeftovers(record(1), context)).rejects.toMatchObject({
      code: 'locked',
      pid: process.pid,
    });
    await lock.release();
  });
});
