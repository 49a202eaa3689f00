import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';
import { cleanEnvironment, program, type Environment } from '../world/process.js';
import { synapseVenv } from '../world/synapse-venv.js';
import { newPerson, sharedHomeserver } from '../world/world.js';

interface Record {
  room: string;
  people: { [name: string]: { user: string } };
  processes: { name: string; pid: number; dataDir: string; health: string }[];
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: that is the answer.
    return false;
  }
};

describe('understudy up', () => {
  let dir: string;
  let server: Server | undefined;
  const started: ChildProcess[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'us-up-'));
    await mkdir(join(dir, 'data'));
    await writeFile(
      join(dir, 'data/agents.yaml'),
      'default: echo\nagents: [{id: echo, name: Echo, backend: echo}]\n',
    );
  });
  afterEach(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    server?.close();
    server = undefined;
    await rm(dir, { recursive: true, force: true, maxRetries: 20 });
  });

  /** `understudy up` in the test's folder; `output()` is what it has printed. */
  async function up(settings: Environment = {}) {
    const child = spawn(process.execPath, [program, 'up'], {
      cwd: dir,
      env: cleanEnvironment({
        UNDERSTUDY_SYNAPSE_VENV: synapseVenv,
        UNDERSTUDY_RELAY_PORT: String(await testPort()),
        UNDERSTUDY_PLATFORM_PORT: String(await testPort()),
        ...settings,
      }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    }
    const output = (): string => text;
    const says = (pattern: RegExp, timeout = 300_000): Promise<void> =>
      vi.waitFor(
        () => {
          if (child.exitCode !== null && !pattern.test(text)) throw new Error(`it ended: ${text}`);
          expect(text).toMatch(pattern);
        },
        { timeout, interval: 50 },
      );
    const interrupt = async (): Promise<number | null> => {
      const gone = once(child, 'exit');
      child.kill('SIGINT');
      await gone;
      return child.exitCode;
    };
    return { child, output, says, interrupt };
  }

  const record = async (): Promise<Record> =>
    JSON.parse(await readFile(join(dir, 'data/up.json'), 'utf8')) as Record;
  const run = (args: string[], input = '') => understudy(args, { cwd: dir, input });

  it('brings everything up, proves itself, answers in the terminal, restarts what was killed, and leaves nothing', async () => {
    const first = await up();
    await first.says(/Ctrl-C stops all of it/);
    expect(first.output()).toMatch(/✓ Homeserver: http:\/\/127\.0\.0\.1:\d+ \(\d+\.\d s\)/);
    expect(first.output()).toMatch(
      /was answered "echo #1: Hello, is anybody there\?" by replica-[12] in \d+ ms/,
    );
    for (const words of ['@alice:localhost', 'passwords.json', 'npx understudy chat', 'kill -9 ']) {
      expect(first.output()).toContain(words);
    }
    const before = await record();
    expect(before.processes.map(({ name }) => name)).toEqual(['platform', 'relay', 'replica-1', 'replica-2']);
    for (const { health } of before.processes) {
      // A replica is not ready for a moment where the homeserver stood still for longer than the lease.
      const ready = async () =>
        (await fetch(`${health}/readyz`, { headers: { connection: 'close' } })).status;
      await expect.poll(ready, { timeout: 60_000 }).toBe(200);
    }

    expect(await run(['chat'], 'hi\n')).toMatchObject({ code: 0, stdout: 'echo #2: hi\n', stderr: '' });
    expect(await run(['chat', '--as', 'bob'], 'one\ntwo\n')).toMatchObject({
      code: 0,
      stdout: 'echo #1: one\necho #2: two\n',
    });
    expect((await run(['chat', '--as', 'carol'], 'hi\n')).stderr).toBe(
      'understudy: --as carol: there is alice, bob\n',
    );

    const inspect = async () =>
      JSON.parse((await run(['inspect', 'matrix_room:', '--json'])).stdout) as {
        version: number;
        source: string;
        records: { key: string }[];
      };
    const roomsIn = (look: Awaited<ReturnType<typeof inspect>>) => look.records.map(({ key }) => key).sort();
    expect(await inspect()).toMatchObject({ version: 1, source: 'running process' });
    // The replica that is asked may have it from the other one, a moment later.
    await expect
      .poll(async () => roomsIn(await inspect()), { timeout: 120_000 })
      .toContain(`matrix_room:${before.room}`);
    await expect
      .poll(async () => (await run(['inspect', 'matrix_user:@alice:localhost'])).stdout, { timeout: 120_000 })
      .toMatch(/space_id +!/);
    expect(await run(['inspect', 'nobody'])).toMatchObject({ code: 1 });

    const killed = before.processes.find(({ name }) => name === 'replica-1')?.pid ?? 0;
    process.kill(killed, 'SIGKILL');
    expect((await run(['chat'], 'still there?\n')).stdout).toBe('echo #3: still there?\n');
    await first.says(/✓ replica-1 runs again, pid \d+/);

    // All that was said has been taken in by whoever is asked here: two looks in a row show the same.
    let known: string[] = [];
    await expect
      .poll(
        async () => {
          const earlier = known;
          known = roomsIn(await inspect());
          return known.length > 0 && known.join() === earlier.join();
        },
        { timeout: 120_000, interval: 1000 },
      )
      .toBe(true);
    const again = await record();
    const pids = again.processes.map(({ pid }) => pid);
    expect(pids).not.toContain(killed);
    expect(await first.interrupt()).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);

    // With nobody holding the folder, inspect reads its files, and finds the same rooms.
    const still = await inspect();
    expect(still).toMatchObject({ source: 'files', faults: [] });
    expect(roomsIn(still)).toEqual(known);

    // A second run goes on where the first was.
    const second = await up();
    await second.says(/was answered "echo #4: Hello/);
    expect((await record()).room).toBe(before.room);
    const secondPids = (await record()).processes.map(({ pid }) => pid);
    expect(await second.interrupt()).toBe(0);
    expect(secondPids.filter(isAlive)).toEqual([]);
  }, 1_200_000);

  it('uses the homeserver that is given, and other ports when its own are taken', async () => {
    const [bot, person] = [await newPerson('bot'), await newPerson('alice')];
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const all = await up({
      MATRIX_HOMESERVER_URL: sharedHomeserver().url,
      MATRIX_USER: bot.userId,
      MATRIX_PASSWORD: bot.password,
      UNDERSTUDY_PERSON_USER: person.userId,
      UNDERSTUDY_PERSON_PASSWORD: person.password,
      UNDERSTUDY_RELAY_PORT: String(port),
      UNDERSTUDY_REPLICAS: '1',
    });
    await all.says(/was answered "echo #1/);
    expect(all.output()).toContain(`port ${port} is taken: the relay listens on`);
    expect(all.output()).not.toContain('Synapse');
    expect(await all.interrupt()).toBe(0);
  }, 600_000);

  it('refuses a wrong homeserver with one line', async () => {
    const settings = {
      MATRIX_HOMESERVER_URL: `http://127.0.0.1:${await testPort()}`,
      MATRIX_ACCESS_TOKEN: 'x',
    };
    const { code, stderr } = await understudy(['up'], { settings, cwd: dir });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^understudy: MATRIX_HOMESERVER_URL: nothing answers at .*\n$/);
  });

  it('without Python says what is missing and the two ways on', async () => {
    const bin = join(dir, 'bin');
    await mkdir(bin);
    await symlink(process.execPath, join(bin, 'node'));
    const settings = { PATH: bin, UNDERSTUDY_SYNAPSE_VENV: join(dir, 'venv') };
    const { code, stderr } = await understudy(['up'], { settings, cwd: dir });
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/Python.*MATRIX_HOMESERVER_URL.*docker compose/i);
  });

  it('chat and inspect say what to do when nothing was brought up', async () => {
    expect(await run(['chat'], 'hi\n')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('run npm start first') as string,
    });
    expect(await run(['inspect'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--data') as string,
    });
  });
});
