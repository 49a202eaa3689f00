import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLog, type StateNode } from '../../src/index.js';
import { actorQuestions } from '../../src/node/audit/questions.js';
import { loadMachines } from '../../src/storage/machine-files.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { folder, node } from '../node/world.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { cleanEnvironment, program } from '../world/process.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const KEY = 'order/1234';
const T = Date.now() - 3600_000;
const SECOND = 1000;
const iso = (seconds: number): string => new Date(T + seconds * SECOND).toISOString();

/** A node with the order that comes with the repository: paid, and cut after that. */
async function ordered(dataDir: string): Promise<StateNode> {
  const loaded = await loadMachines(`${root}/data/machines`);
  const opened = await node([], { dataDir, shards: 1, found: true, generations: { events: 1 } });
  for (const { machine, options } of loaded) opened.actors.register(machine, options);
  const send = (type: string, at: number, fields: Record<string, number> = {}) =>
    opened.actors
      .get(KEY)
      .send({ type, ...fields }, { cause: { id: `$${type}-${at}`, ts: T + at * SECOND } });
  await send('PLACED', 0, { total: 30 });
  await opened.cutIfDue({ mayCut: () => true });
  await send('PAID', 10, { amount: 30 });
  await send('PAID', 20, { amount: 1 });
  return opened;
}

const run = (...args: string[]) => understudy(args, { cwd: root });

describe('understudy history', { timeout: 180_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('tells every event as a table, from the first one on, of a folder and of a running process alike', async () => {
    const dir = await folder();
    const opened = await ordered(dir);
    const { replica } = opened.self;
    const control = await startControl({
      path: controlPath(dir),
      handlers: actorQuestions(opened),
      log: silentLog,
    });
    const live = await run('history', KEY, '--data', dir);
    await control.close();
    await opened.close();
    const { code, stdout, stderr } = await run('history', KEY, '--data', dir);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(live).toEqual({ code, stdout, stderr });
    const rows = stdout
      .trim()
      .split('\n')
      .slice(2)
      .map((row) => row.trim().split(/\s{2,}/));
    expect(rows).toEqual([
      [iso(0), 'PLACED', 'open → paying', '$PLACED-0', replica, '0'],
      [iso(10), 'PAID', 'paying → fulfilling.packing', '$PAID-10', replica, '0'],
      [iso(20), 'PAID', 'fulfilling.packing (ignored)', '$PAID-20', replica, '0'],
    ]);
  });

  it('--json is one line an event with a version, --at the state at a time', async () => {
    const dir = await folder();
    await (await ordered(dir)).close();
    const lines = (await run('history', KEY, '--data', dir, '--json')).stdout.trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries.map(({ version, key, generation }) => [version, key, generation])).toEqual([
      [1, KEY, 0],
      [1, KEY, 1],
      [1, KEY, 1],
    ]);
    expect(entries[0]).toMatchObject({
      event: { type: 'PLACED', data: { total: 30 } },
      effects: [{ name: 'ask-for-payment' }],
      late: false,
    });
    const at = async (time: string) => run('history', KEY, '--data', dir, '--at', time);
    const then = await at(iso(5));
    expect(then.code).toBe(0);
    expect(then.stdout).toContain('state    paying');
    expect(then.stdout).toContain('"due":30');
    expect((await at('-1s')).stdout).toContain('state    fulfilling.packing');
    const before = await at(String(T - 1));
    expect(before.code).toBe(1);
    expect(before.stderr).toContain('had no event yet');
    const json = await run('history', KEY, '--data', dir, '--json', '--at', String(T));
    expect(JSON.parse(json.stdout)).toMatchObject({
      version: 1,
      key: KEY,
      at: T,
      state: { value: 'paying' },
    });
  });

  it('says what is wrong, with an exit code', async () => {
    const dir = await folder();
    const nothing = await run('history', KEY, '--data', dir);
    expect(nothing.code).toBe(2);
    expect(nothing.stderr).toMatch(/^understudy: there are no documents in /);
    await (await ordered(dir)).close();
    const stranger = await run('history', 'order/0', '--data', dir);
    expect([stranger.code, stranger.stderr]).toEqual([
      1,
      'understudy: there is no actor order/0, or it has no event\n',
    ]);
    const key = await run('history', 'order', '--data', dir);
    expect([key.code, key.stderr]).toEqual([2, expect.stringContaining("an actor's key is <machine id>/")]);
    const when = await run('history', KEY, '--data', dir, '--at', 'yesterday');
    expect(when.code).toBe(2);
    expect(when.stderr).toContain('--at must be a time');
  });
});

describe('understudy history, beside others', { timeout: 180_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('a running process refuses a bad key as a folder does', async () => {
    const dir = await folder();
    const opened = await ordered(dir);
    const handlers = actorQuestions(opened);
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    const { code, stderr } = await run('history', 'order', '--data', dir);
    await control.close();
    expect([code, stderr]).toEqual([2, expect.stringContaining("an actor's key is <machine id>/")]);
  });

  it('ends without a stack when nobody reads on', async () => {
    const dir = await folder();
    const opened = await ordered(dir);
    for (let at = 30; at < 330; at += 1) {
      const cause = { id: `$late-${at}`, ts: T + at * SECOND };
      await opened.actors.get(KEY).send({ type: 'PAID', amount: 1 }, { cause });
    }
    await opened.close();
    const command = `"${process.execPath}" "${program}" history ${KEY} --data "${dir}" --json | head -n 1`;
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command], {
      cwd: root,
      env: cleanEnvironment({}),
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ key: KEY });
  });
});

describe('understudy actors', { timeout: 180_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('an actor whose room got a person between two events stands where the process said, also in the folder', async () => {
    const dir = await folder();
    const opened = await node([], { dataDir: dir, shards: 8, found: true });
    for (const { machine, options } of await loadMachines(`${root}/data/machines`)) {
      opened.actors.register(machine, options);
    }
    const [room, actor] = ['!room:x', 'order/!room:x'];
    const cause = (at: number) => ({ id: `$${at}`, ts: T + at });
    await opened.actors.get(actor).send({ type: 'PLACED', total: 3 }, { cause: cause(0) });
    const fields = { matrix_user_id: '@a:x' };
    await opened.change([{ kind: 'room', key: `matrix_room:${room}`, fields }], cause(1));
    await opened.actors.get(actor).send({ type: 'PAID', amount: 3 }, { cause: cause(2) });
    const { value } = opened.actors.snapshot(actor);
    await opened.close();
    const { stdout } = await run('actors', '--data', dir, '--json');
    expect(value).toEqual({ fulfilling: 'packing' });
    expect(JSON.parse(stdout)).toMatchObject({ actors: [{ key: actor, value }] });
    const none = await run('actors', '--data', dir, '--machine', 'nothing');
    expect(none.stdout).toContain('no actors of machine nothing\n');
  });

  /** A replica of another version wrote what this machine cannot bear. */
  async function broken(opened: StateNode): Promise<void> {
    const { machine } = opened.actors.get('order/broken').snapshot();
    const event = { type: 'understudy.upgrade', ts: T, data: { to: 'soon' } };
    const write = { kind: 'event', key: `event:${machine}/broken $1`, fields: { event }, stamp: T } as const;
    await opened.change([write], { id: '$1', ts: T });
  }

  it('lists actors where they stand, quarantined ones first, and releases one through the process', async () => {
    const dir = await folder();
    const opened = await ordered(dir);
    await broken(opened);
    const control = await startControl({
      path: controlPath(dir),
      handlers: actorQuestions(opened),
      log: silentLog,
    });
    const listed = async () => {
      const { actors } = JSON.parse((await run('actors', '--data', dir, '--json')).stdout) as {
        actors: { key: string; status: string; value: unknown }[];
      };
      return actors.map(({ key, status }) => [key, status]);
    };
    expect(await listed()).toEqual([
      ['order/broken', 'quarantined'],
      [KEY, 'active'],
    ]);
    const table = await run('actors', '--data', dir, '--machine', 'order');
    expect(table.stdout).toContain('2 actors of machine order, 1 quarantined');
    expect(table.stdout).toMatch(/order\/broken .* quarantined +invalid-event: /);
    const healthy = await run('actors', 'release', KEY, '--data', dir);
    expect([healthy.code, healthy.stderr]).toEqual([1, expect.stringContaining('is not quarantined')]);
    const wrong = await run('actors', 'release', 'order/broken', '--data', dir, '--state', 'nowhere');
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('nowhere')]);
    const released = await run('actors', 'release', 'order/broken', '--data', dir, '--state', 'paying');
    expect(released).toEqual({ code: 0, stdout: 'order/broken goes on in paying\n', stderr: '' });
    expect(await listed()).toEqual([
      [KEY, 'active'],
      ['order/broken', 'active'],
    ]);
    await control.close();
    await opened.close();
    expect(await listed()).toEqual([
      [KEY, 'active'],
      ['order/broken', 'active'],
    ]);
    const late = await run('actors', 'release', 'order/broken', '--data', dir);
    expect([late.code, late.stderr]).toEqual([3, expect.stringContaining('start the replica')]);
  });
});
