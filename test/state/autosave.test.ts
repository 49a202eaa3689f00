import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { StateNode } from '../../src/index.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { eventually, folder, node } from '../node/world.js';
import { settle, SimulatedClock } from '../simulation/clock.js';
import { errno, faultyFiles } from '../storage/faulty-files.js';
import { recordingLog } from '../storage/recording-log.js';
import { entry, heard, serviceOver, task, world } from './world.js';

const EVERY = 30_000;
const bytesOf = (dir: string): Promise<string> => readFile(join(dir, 'state.json'), 'utf8');

/** Lets the clock of the service go on, and then the real disk of the node and the service answer. */
async function pass(clock: SimulatedClock, ms: number, isDone: () => boolean): Promise<void> {
  await clock.advance(ms);
  for (const deadline = Date.now() + 30_000; !isDone();) {
    expect(Date.now()).toBeLessThan(deadline);
    await settle();
  }
}

it('T-change: every 30 s all is flushed, and a snapshot written only where something has changed', async () => {
  const clock = new SimulatedClock();
  const { state, dir, one } = await world({ clock, autosaveMs: EVERY });
  const [triggered, saved] = [heard(state, 'autosave:triggered'), heard(state, 'state:saved')];
  const snapshots = () => saved.filter(({ what }) => what === 'state').length;
  await clock.advance(EVERY - 1);
  expect(triggered).toEqual([]);
  await pass(clock, 1, () => snapshots() === 1);
  const first = await stat(join(dir, 'state.json'));
  await pass(clock, EVERY, () => triggered.length === 2);
  // While it goes on the next one is not begun: it has nothing to do but what this does.
  await one.flush();
  await settle(50);
  expect((await stat(join(dir, 'state.json'))).ino).toBe(first.ino);
  await state.saveTask(task());
  await pass(clock, EVERY, () => snapshots() === 2);
  expect(await bytesOf(dir)).toContain('count the beans');
  await state.saveSessionLog('s', [entry(1)]);
  await pass(clock, EVERY, () => snapshots() === 3);
  expect(await bytesOf(dir)).toContain('"s.log"');
  await state.deleteTask('job/1');
  await pass(clock, EVERY, () => snapshots() === 4);
  expect(await bytesOf(dir)).not.toContain('count the beans');
  expect(triggered.map(({ changed }) => changed)).toEqual([true, false, true, true, true]);
  expect(state.status()).toMatchObject({ autosaves: 5, failed: 0, fault: undefined });
  await state.shutdown();
  expect(clock.armed).toBe(0);
});

it('a length of time that no timer takes is refused', async () => {
  for (const autosaveMs of [-1, NaN, 2 ** 31, Infinity]) {
    await expect(world({ autosaveMs })).rejects.toThrow(/autosaveMs must be a number/);
  }
});

it('with 0 nothing is saved by itself', async () => {
  const clock = new SimulatedClock();
  const { state } = await world({ clock, autosaveMs: 0 });
  await clock.advance(10 * EVERY);
  expect(state.status()).toMatchObject({ autosaves: 0, saved: 0 });
});

it.each(['ENOSPC', 'EIO', 'EROFS', 'EMFILE', 'EACCES'])(
  'a disk that refuses an auto-save with %s: it is told, the last snapshot stands, and the next one succeeds',
  async (code) => {
    let isRefused = false;
    const files = faultyFiles((call, path) =>
      isRefused && path.endsWith('state.json.tmp') && (call === 'create' || call === 'file.write')
        ? code
        : undefined,
    );
    const clock = new SimulatedClock();
    const { state, dir, one } = await world({ clock, files, autosaveMs: EVERY });
    const [errors, saved] = [heard(state, 'state:save-error'), heard(state, 'state:saved')];
    await state.saveTask(task());
    await state.saveState();
    const before = await bytesOf(dir);
    isRefused = true;
    await state.saveTask(task({ id: 'job/2' }));
    await pass(clock, EVERY, () => errors.length === 1);
    expect(errors).toMatchObject([{ what: 'state', code, id: undefined }]);
    expect(await bytesOf(dir)).toBe(before);
    expect(state.status()).toMatchObject({ failed: 1, fault: expect.stringContaining(code) });
    expect(one.actors.exists('run/job/2')).toBe(true);
    const snapshots = saved.filter(({ what }) => what === 'state').length;
    isRefused = false;
    await pass(clock, EVERY, () => saved.filter(({ what }) => what === 'state').length > snapshots);
    expect(await bytesOf(dir)).toContain('job/2');
    expect(state.status()).toMatchObject({ failed: 1, fault: undefined });
  },
);

it('T-flush: no snapshot shows what the disk has not taken: a disk that stands still fails the save after 10 s', async () => {
  const clock = new SimulatedClock();
  const one = await node([], { found: true });
  const dir = await folder();
  let isStuck = false;
  let letGo = () => {};
  const stuck = new Promise<void>((resolve) => (letGo = resolve));
  const slow: Pick<StateNode, 'actors' | 'flush' | 'onChange' | 'onEvent'> = {
    actors: one.actors,
    onChange: (handle) => one.onChange(handle),
    onEvent: (handle) => one.onEvent(handle),
    flush: () => (isStuck ? stuck.then(() => one.flush()) : one.flush()),
  };
  const state = await serviceOver(slow as StateNode, { dir, clock, autosaveMs: EVERY });
  const errors = heard(state, 'state:save-error');
  await state.saveState();
  const before = await bytesOf(dir);
  isStuck = true;
  await state.saveTask(task());
  await clock.advance(EVERY);
  expect(errors).toEqual([]);
  await pass(clock, 10_000, () => errors.length === 1);
  expect(errors).toMatchObject([{ what: 'state', code: 'not-flushed' }]);
  expect(await bytesOf(dir)).toBe(before);
  isStuck = false;
  letGo();
  // What stood still goes through its disk before the next one is due.
  await settle();
  await one.flush();
  await settle(50);
  await pass(clock, EVERY - 10_000, () => state.status().fault === undefined);
  expect(await bytesOf(dir)).toContain('count the beans');
});

const { create } = nodeFiles;
afterEach(() => void (nodeFiles.create = create));

it('T-durable: a task that the disk does not take is not acknowledged, and is when it does; meanwhile it is served from memory', async () => {
  const { state } = await world();
  const errors = heard(state, 'state:save-error');
  const saved = heard(state, 'state:saved');
  nodeFiles.create = (path) =>
    path.includes(join('documents', '')) ? Promise.reject(errno('ENOSPC', path)) : create(path);
  let isSaved = false;
  const saving = state.saveTask(task()).then(() => (isSaved = true));
  await eventually(() => errors.length > 0);
  expect(errors[0]).toMatchObject({ what: 'documents', code: 'ENOSPC' });
  expect(state.loadTasks()).toHaveLength(1);
  await settle(20);
  expect(isSaved).toBe(false);
  nodeFiles.create = create;
  await saving;
  await eventually(() => saved.some(({ what }) => what === 'documents'));
});

it('while one is held up by the disk no other is begun', async () => {
  const clock = new SimulatedClock();
  const one = await node([], { found: true });
  let asked = 0;
  const stuck = {
    actors: one.actors,
    onChange: () => () => {},
    onEvent: () => () => {},
    flush: () => {
      asked += 1;
      return new Promise<void>(() => {});
    },
  };
  const state = await serviceOver(stuck as unknown as StateNode, {
    dir: await folder(),
    clock,
    autosaveMs: 1000,
    flushMs: 5000,
  });
  const triggered = heard(state, 'autosave:triggered');
  await clock.advance(5_999);
  expect([asked, triggered.length]).toEqual([1, 1]);
  await clock.advance(1_001);
  expect(triggered.length).toBe(2);
  const end = state.shutdown();
  await clock.advance(20_000);
  expect(await end).toBe(false);
});

it('a save at shutdown that the disk refuses is told and ends, and what was acknowledged is in the documents', async () => {
  let isRefused = false;
  const log = recordingLog();
  const files = faultyFiles((call) => (isRefused && call === 'create' ? 'ENOSPC' : undefined));
  const { state, one, dir } = await world({ files, log });
  const errors = heard(state, 'state:save-error');
  await state.saveTask(task());
  isRefused = true;
  expect(await state.shutdown()).toBe(false);
  expect(errors).toMatchObject([{ what: 'state', code: 'ENOSPC' }]);
  expect(log.lines.some(({ level, code }) => level === 'error' && code === 'ENOSPC')).toBe(true);
  await one.close();
  const again = await world({ dir });
  expect(again.state.loadTasks()).toHaveLength(1);
});

it('what a caller gave wrong is thrown to the caller alone, and what the disk refuses is told as well', async () => {
  let refused: string | undefined;
  const files = faultyFiles((_, path) =>
    refused !== undefined && path.includes(refused) ? 'ENOSPC' : undefined,
  );
  const { state } = await world({ files });
  const errors = heard(state, 'state:save-error');
  const codes: unknown[] = [];
  const failing = async (work: Promise<unknown>) =>
    work.catch((error: { code?: string }) => void codes.push(error.code));
  await failing(state.saveTask(task({ id: 'with space' })));
  await failing(state.saveTask(undefined as never));
  expect(errors).toEqual([]);
  refused = 'sessions';
  await failing(state.saveTask(task({ logs: [entry(1)] })));
  await failing(state.saveSessionLog('s', [entry(1)]));
  refused = 'reports';
  await failing(state.saveReport('r', 'x'));
  expect(codes).toEqual(['invalid-task', 'invalid-task', 'session-log', 'session-log', 'not-written']);
  expect(errors.map(({ what, code, id }) => [what, code, id])).toEqual([
    ['task', 'ENOSPC', 'job/1'],
    ['session-log', 'ENOSPC', 's'],
    ['report', 'ENOSPC', 'r'],
  ]);
  expect(state.loadTasks()).toEqual([]);
  refused = undefined;
  await state.saveTask(task({ logs: [entry(1)] }));
});
