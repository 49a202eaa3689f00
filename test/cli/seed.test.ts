import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog, startRelay, systemClock } from '../../src/index.js';
import { seedLedger } from '../../src/seed/ledger.js';
import { seedQuestions } from '../../src/seed/questions.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { folder, MemoryStorage, node } from '../node/world.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';

const clusterId = 'the-cluster-of-the-seeding-tests';
const relays: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const hub of relays.splice(0)) await hub.close();
});

/** A replica's data folder, and a working folder with nothing in it yet. */
async function world() {
  const [dataDir, cwd] = [await folder(), await folder()];
  const hub = await startRelay({
    port: 0,
    tokens: undefined,
    storage: new MemoryStorage(),
    clusterCheck: clusterCheck(clusterId),
    clock: systemClock,
    log: silentLog,
  });
  relays.push(hub);
  const opened = await node([hub], { clusterId, dataDir, found: true, shards: 1, replicaId: 'one' });
  const seed = (args: string[], settings: Record<string, string> = {}) =>
    understudy(['seed', ...args], { cwd, settings });
  const genesis = (args: string[], settings?: Record<string, string>) =>
    seed(['genesis', '--data', dataDir, ...args], settings);
  const cluster = { UNDERSTUDY_CLUSTER_ID: clusterId, UNDERSTUDY_RELAY_URLS: hub.url };
  return { dataDir, cwd, opened, seed, genesis, cluster };
}

describe('understudy seed', { timeout: 90_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('genesis asks the process that holds the folder, says what was added and kept, and does nothing the second time', async () => {
    const { dataDir, cwd, opened, genesis } = await world();
    const control = await startControl({
      path: controlPath(dataDir),
      handlers: { heads: () => ({}), ...seedQuestions(seedLedger(opened, systemClock)) },
      log: silentLog,
    });
    const some = await genesis(['--once', 'first', 'assistant', 'ticket']);
    expect(some).toMatchObject({ code: 0, stderr: '' });
    expect(some.stdout).toContain(`✓ agent assistant → ${join(cwd, 'data/agents.yaml')}`);
    expect(some.stdout).toContain(`✓ machine ticket → ${join(cwd, 'data/machines')}`);
    expect(some.stdout).toContain('The agents use llama3.2 at http://127.0.0.1:11434/v1');
    expect(await readdir(join(cwd, 'data/machines'))).toEqual(['ticket.json']);
    const again = await genesis(['--once', 'first']);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/^nothing was done: this token was used up at .* by replica one\n$/u);
    const rest = await genesis(['--once', 'second', 'all']);
    expect(rest.stdout).toContain('· agent assistant is there and stays as it is');
    expect(rest.stdout).toContain('✓ agent writer → ');
    const bad = await genesis(['--once', 'two words']);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('without spaces')]);
    await control.close();
  });

  it('genesis takes a folder that no process holds, with the settings of its cluster, and says what to do without', async () => {
    const { cwd, opened, genesis, cluster } = await world();
    await opened.close();
    const without = await genesis(['--once', 'first']);
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringContaining('start its replica and run this again'),
    ]);
    const away = await genesis(['--once', 'first'], {
      ...cluster,
      UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${await testPort()}`,
    });
    expect([away.code, away.stderr]).toEqual([3, expect.stringContaining('no relay')]);
    await expect(readdir(cwd)).resolves.toEqual([]);
    const done = await genesis(['--once', 'first', 'reminder'], cluster);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(join(cwd, 'data/machines'))).toEqual(['reminder.json']);
    const again = await genesis(['--once', 'first', 'reminder'], cluster);
    expect(again.stdout).toMatch(/^nothing was done/u);
  });

  it('says what is wrong, with an exit code, and changes nothing', async () => {
    const { cwd, seed, genesis } = await world();
    const refusals: [string[], number, string][] = [
      [['genesis'], 2, '--once <token>'],
      [['genesis', '--once', 'x'], 2, 'is no data folder of a replica: start one first'],
    ];
    for (const [args, exitCode, words] of refusals) {
      const { code, stderr } = await seed(args);
      expect([code, stderr]).toEqual([exitCode, expect.stringContaining(words)]);
    }
    const { code, stderr } = await genesis(['--once', 'x', 'nobody']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('nothing named "nobody" to seed: assistant, '),
    ]);
    await expect(readdir(cwd)).resolves.toEqual([]);
  });

  it('simple makes an agents file where there is none, and says how accounts begin', async () => {
    const { cwd, seed } = await world();
    const path = join(cwd, 'agents.yaml');
    const first = await seed(['simple', '--agents', path]);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain(`✓ ${path} made`);
    expect(first.stdout).toContain('Accounts begin empty');
    await writeFile(path, 'default: a\nagents: [{ id: a, name: A, backend: echo }]\n');
    const second = await seed(['simple', '--agents', path]);
    expect(second.stdout).toContain(`· ${path} is there and stays as it is`);
    expect(await readFile(path, 'utf8')).toContain('id: a');
    await writeFile(path, 'nonsense');
    const third = await seed(['simple', '--agents', path]);
    expect([third.code, third.stderr]).toEqual([2, expect.stringContaining(path)]);
  });
});
