import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PersistedState } from '../../src/index.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { recordingLog } from '../storage/recording-log.js';
import { codeOf, entry, heard, serviceOver, task, world } from './world.js';

const snapshotOf = async (dir: string): Promise<PersistedState> =>
  (JSON.parse(await readFile(join(dir, 'state.json'), 'utf8')) as { state: PersistedState }).state;
const done = task({
  id: 'job/2',
  status: 'completed',
  created_at: 500,
  started_at: 1000,
  completed_at: 3000,
  updated_at: 3000,
  result: '12',
});

describe('what is saved', () => {
  it('tasks, session logs and metrics are loaded as they were saved, after a restart too', async () => {
    const { one, state, dir } = await world();
    await state.saveTask(task({ logs: [entry(1)] }));
    await state.saveTask(done);
    await state.saveTask(task({ id: 'job/3', status: 'failed', created_at: 2000, updated_at: 2500 }));
    await state.saveSessionLog('a session', [entry(1), entry(2)]);
    const { last_saved, bytes, path } = await state.saveState();
    const loaded = await state.loadState();
    expect(loaded.tasks.map(({ id, status }) => [id, status])).toEqual([
      ['job/2', 'completed'],
      ['job/1', 'queued'],
      ['job/3', 'failed'],
    ]);
    expect(loaded.tasks[0]).toEqual({ ...done, logs: expect.any(Array) });
    expect(loaded.metrics).toEqual({ total: 3, completed: 1, failed: 1, averageCompletionMs: 2000 });
    expect(loaded.sessions).toEqual(
      expect.arrayContaining([
        { id: 'job/1', file: 'job%2f1.log', bytes: expect.any(Number), updated_at: expect.any(Number) },
        { id: 'a session', file: 'a%20session.log', bytes: 134, updated_at: expect.any(Number) },
      ]),
    );
    expect(loaded.last_saved).toBe(last_saved);
    expect(await snapshotOf(dir)).toEqual(loaded);
    expect((await stat(path)).size).toBe(bytes);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await state.shutdown();
    await one.close();
    const again = await world({ dir });
    expect(await again.state.loadState()).toEqual(loaded);
  });

  it('a snapshot is never what a task is read from: what others changed meanwhile counts', async () => {
    const { url } = await relay();
    const [a, b] = [await node([{ url }], { found: true }), await node([{ url }])];
    const [here, there] = [
      await serviceOver(a, { dir: await folder() }),
      await serviceOver(b, { dir: await folder() }),
    ];
    await here.saveTask(task());
    await eventually(() => there.loadTasks().length === 1);
    await Promise.all([here.saveState(), there.saveState()]);
    await there.saveTask(task({ status: 'running', updated_at: 2000, started_at: 2000 }));
    await eventually(() => here.loadTasks()[0]?.status === 'running');
    expect((await here.loadState()).tasks).toMatchObject([{ status: 'running' }]);
    expect(await there.deleteTask('job/1')).toBe(true);
    await eventually(() => here.loadTasks().length === 0);
    expect((await here.loadState()).tasks).toEqual([]);
  });

  it('two replicas that save at once end with the same tasks, and each with a snapshot of its own', async () => {
    const { url } = await relay();
    const [a, b] = [await node([{ url }], { found: true }), await node([{ url }])];
    const dirs = [await folder(), await folder()];
    const [here, there] = [
      await serviceOver(a, { dir: dirs[0] ?? '' }),
      await serviceOver(b, { dir: dirs[1] ?? '' }),
    ];
    const saves = [here, there].flatMap((state, at) =>
      Array.from({ length: 10 }, (_, n) => [
        state.saveTask(task({ id: 'both', status: 'running', updated_at: 2000 + n, logs: [entry(n)] })),
        state.saveTask(task({ id: `own/${at}/${n}` })),
        state.saveState(),
      ]),
    );
    await Promise.all(saves.flat());
    await eventually(() => here.loadTasks().length === 21 && there.loadTasks().length === 21);
    await eventually(() => JSON.stringify(here.loadTasks()) === JSON.stringify(there.loadTasks()));
    await Promise.all([here.saveState(), there.saveState()]);
    const [one, other] = await Promise.all(dirs.map(snapshotOf));
    expect(one?.tasks).toEqual(other?.tasks);
    expect(one?.tasks).toHaveLength(21);
  });

  it('T-queue: saves that are asked for at once are made one after the other, two at most, and the last holds all', async () => {
    let [running, most] = [0, 0];
    const files = {
      ...nodeFiles,
      rename: async (from: string, to: string) => {
        running += 1;
        most = Math.max(most, running);
        await nodeFiles.rename(from, to);
        running -= 1;
      },
    };
    const { state, dir } = await world({ files });
    const saved = heard(state, 'state:saved');
    const first = state.saveState();
    await state.saveTask(task());
    await Promise.all([first.then(() => state.saveState()), state.saveState(), state.saveState()]);
    expect((await snapshotOf(dir)).tasks).toHaveLength(1);
    const before = saved.length;
    await Promise.all([1, 2, 3, 4].map(() => state.saveState()));
    expect(saved.length - before).toBe(2);
    expect(most).toBe(1);
  });
});

describe('reports', () => {
  it('are written whole under their id, mode 0600, and replaced by one of the same id and format', async () => {
    const { state, dir } = await world();
    const path = await state.saveReport('../week 1', '# Beans\n');
    expect(path).toBe(join(dir, 'reports', '%2e.%2fweek%201.md'));
    expect(await readFile(path, 'utf8')).toBe('# Beans\n');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await state.saveReport('../week 1', '{}', 'json')).not.toBe(path);
    const bodies = Array.from({ length: 20 }, (_, n) => `${n}\n`.repeat(1000));
    await Promise.all(bodies.map((body) => state.saveReport('../week 1', body)));
    expect(await readFile(path, 'utf8')).toBe(bodies.at(-1));
    expect(await readdir(join(dir, 'reports'))).toHaveLength(2);
  });

  it('of another format, or of nothing, are refused, and write nothing', async () => {
    const { state, dir } = await world();
    expect(await codeOf(state.saveReport('x', 'y', '../../x' as 'md'))).toBe('invalid-report');
    expect(await codeOf(state.saveReport('x', undefined as unknown as string))).toBe('invalid-report');
    expect(await readdir(join(dir, 'reports'))).toEqual([]);
  });
});

describe('folders that are missing', () => {
  it('are made again with a warning, and the save is done', async () => {
    const log = recordingLog();
    const { state, dir } = await world({ dir: join(await folder(), 'deep', 'state'), log });
    await rm(join(dir, 'reports'), { recursive: true });
    await state.saveReport('r', 'still here');
    const warned = () => log.lines.filter(({ level }) => level === 'warn').map(({ folder: at }) => at);
    expect(warned()).toEqual([join(dir, 'reports')]);
  });

  it('also the folder itself, where it is not the node’s', async () => {
    const log = recordingLog();
    const one = await node([], { found: true });
    const dir = join(await folder(), 'state');
    const state = await serviceOver(one, { dir, log });
    await rm(dir, { recursive: true });
    await state.saveState();
    await state.saveReport('r', 'x');
    await state.saveSessionLog('s', [entry(1)]);
    expect((await readdir(dir)).sort()).toEqual(['reports', 'sessions', 'state.json']);
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(3);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });
});

describe('shutdown', () => {
  it('T-shutdown: saves what has changed, once, and nothing is taken afterwards', async () => {
    const { state, dir } = await world();
    const saved = heard(state, 'state:saved');
    await state.saveState();
    await state.saveTask(task());
    expect(await Promise.all([state.shutdown(), state.shutdown()])).toEqual([true, true]);
    expect((await snapshotOf(dir)).tasks).toHaveLength(1);
    expect(saved.map(({ what }) => what)).toEqual(['state', 'task', 'state']);
    for (const refused of [
      state.saveTask(task({ id: 'late' })),
      state.saveState(),
      state.loadState(),
      state.deleteTask('job/1'),
      state.saveReport('r', 'x'),
      state.saveSessionLog('s', [entry(1)]),
    ]) {
      expect(await codeOf(refused)).toBe('closed');
    }
  });
});
