import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openTasks, type LogEntry, type Task } from '../../src/index.js';
import { TaskBoard } from '../../src/tasks/board.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';

const task = (fields: Partial<Task> = {}): Task => ({
  id: 'job/1',
  description: 'count the beans',
  status: 'queued',
  agent: 'counter',
  created_at: 1000,
  updated_at: 1000,
  started_at: null,
  completed_at: null,
  logs: [],
  result: null,
  ...fields,
});
const entry = (n: number, message = `line ${n}`): LogEntry => ({
  timestamp: 2000 + n,
  level: 'info',
  type: 'step',
  message,
});
const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: { code?: unknown }) => error.code,
  );
const linesOf = async (dir: string, session: string): Promise<unknown[]> => {
  const text = await readFile(join(dir, 'sessions', `${session}.log`), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
};
const own = (logs: readonly LogEntry[]) => logs.filter(({ type }) => type === 'step');

it('a task is saved on creation, change of status and completion, and is read on the other replica', async () => {
  const { url } = await relay();
  const [a, b] = [await node([{ url }], { found: true }), await node([{ url }])];
  const [here, there] = [
    await openTasks(a, { dir: await folder() }),
    await openTasks(b, { dir: await folder() }),
  ];
  await here.saveTask(task());
  await here.saveTask(task({ status: 'running', started_at: 2000, updated_at: 2000 }));
  await eventually(() => there.loadTasks()[0]?.status === 'running');
  await here.saveTask(task({ status: 'awaitingApproval', started_at: 2000, updated_at: 3000 }));
  const done = task({
    status: 'completed',
    started_at: 2000,
    updated_at: 4000,
    completed_at: 4000,
    result: '12',
  });
  await here.saveTask(done);
  await eventually(() => there.loadTasks()[0]?.status === 'completed');
  expect(there.loadTasks()).toEqual([{ ...done, logs: expect.any(Array) }]);
  expect(there.loadTasks()[0]?.logs.map(({ type }) => type)).toEqual(['begun', 'asked', 'completed']);
  expect(
    a.actors
      .get('run/job/1')
      .history()
      .map(({ event }) => event.type),
  ).toEqual(['CREATED', 'BEGUN', 'ASKED', 'COMPLETED']);
});

it('the same task saved again changes nothing', async () => {
  const one = await node([], { found: true });
  const tasks = await openTasks(one, { dir: await folder() });
  const running = task({ status: 'running', started_at: 2000, updated_at: 2000, logs: [entry(1)] });
  await tasks.saveTask(running);
  const before = one.heads();
  await tasks.saveTask(running);
  await tasks.saveTask({ ...running, logs: tasks.loadTasks()[0]?.logs ?? [] });
  expect(one.heads()).toEqual(before);
});

it('a status that cannot be reached is a typed error, and the task stays as it was', async () => {
  const one = await node([], { found: true });
  const tasks = await openTasks(one, { dir: await folder() });
  await tasks.saveTask(task({ status: 'failed', result: 'broken', updated_at: 2000 }));
  const before = tasks.loadTasks();
  expect(await codeOf(tasks.saveTask(task({ status: 'running', updated_at: 3000 })))).toBe(
    'impossible-status',
  );
  expect(await codeOf(tasks.saveTask(task({ status: 'failed', result: 'other', updated_at: 3000 })))).toBe(
    'already-ended',
  );
  expect(await codeOf(tasks.saveTask(task({ id: 'with space' })))).toBe('invalid-task');
  expect(await codeOf(tasks.saveTask({ ...task(), status: 'lost' } as unknown as Task))).toBe('invalid-task');
  expect(tasks.loadTasks()).toEqual(before);
});

it('a deleted task is listed no more, on no replica, and its id is not used again', async () => {
  const { url } = await relay();
  const [a, b] = [await node([{ url }], { found: true }), await node([{ url }])];
  const [here, there] = [
    await openTasks(a, { dir: await folder() }),
    await openTasks(b, { dir: await folder() }),
  ];
  await here.saveTask(task());
  await eventually(() => there.loadTasks().length === 1);
  expect(await there.deleteTask('job/1')).toBe(true);
  expect(await there.deleteTask('job/1')).toBe(false);
  expect(await there.deleteTask('job/2')).toBe(false);
  await eventually(() => here.loadTasks().length === 0);
  expect(await codeOf(here.saveTask(task()))).toBe('deleted');
});

it('the documents keep the last 20 log entries, cut to 200 characters, and the session log all of them whole', async () => {
  const one = await node([], { found: true });
  const dir = await folder();
  const tasks = await openTasks(one, { dir });
  const logs = Array.from({ length: 50 }, (_, n) => entry(n, n === 49 ? 'x'.repeat(1000) : `line ${n}`));
  await tasks.saveTask(
    task({ status: 'running', started_at: 2000, updated_at: 2000, logs: logs.slice(0, 30) }),
  );
  await tasks.saveTask(task({ status: 'running', started_at: 2000, updated_at: 3000, logs }));
  await tasks.saveTask(task({ status: 'running', started_at: 2000, updated_at: 4000, logs }));
  const kept = own(tasks.loadTasks()[0]?.logs ?? []);
  expect(tasks.loadTasks()[0]?.logs.length).toBe(20);
  expect(kept.at(-1)?.message).toBe('x'.repeat(200));
  const path = join(dir, 'sessions', 'job%2f1.log');
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(logs);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

it('a session log that grows is put aside, three times at most, and a line that a kill cut stands alone', async () => {
  const one = await node([], { found: true });
  const dir = await folder();
  const tasks = await openTasks(one, { dir, mostLogBytes: 300 });
  for (let n = 0; n < 20; n += 1) await tasks.saveSessionLog('../s', [entry(n, 'y'.repeat(100))]);
  const names = (await readdir(join(dir, 'sessions'))).sort();
  expect(names).toEqual(['%2e.%2fs.log', '%2e.%2fs.log.1', '%2e.%2fs.log.2', '%2e.%2fs.log.3']);
  await writeFile(join(dir, 'sessions', 'cut.log'), '{"timestamp":1,"lev');
  await tasks.saveSessionLog('cut', [entry(1)]);
  const lines = (await readFile(join(dir, 'sessions', 'cut.log'), 'utf8')).trimEnd().split('\n');
  expect(lines).toEqual(['{"timestamp":1,"lev', JSON.stringify(entry(1))]);
});

it('tasks and what they stand at outlive the process', async () => {
  const dataDir = await folder();
  const first = await node([], { found: true, dataDir });
  const tasks = await openTasks(first, { dir: dataDir });
  await Promise.all([
    tasks.saveTask(task({ status: 'running', started_at: 2000, updated_at: 2000 })),
    tasks.saveTask(task({ id: 'job/2', created_at: 900 })),
  ]);
  await first.close();
  const second = await openTasks(await node([], { dataDir }), { dir: dataDir });
  expect(second.loadTasks().map(({ id, status }) => [id, status])).toEqual([
    ['job/2', 'queued'],
    ['job/1', 'running'],
  ]);
});

it('a task may go back and forth within one millisecond, and stands where it was saved last', async () => {
  const tasks = await openTasks(await node([], { found: true }), { dir: await folder() });
  for (const status of ['running', 'awaitingApproval', 'running', 'awaitingApproval'] as const) {
    await tasks.saveTask(task({ status, description: status }));
    expect(tasks.loadTasks()).toMatchObject([{ status, description: status }]);
  }
});

it('an agent that a task is saved without is taken away, and the same label again writes nothing', async () => {
  const one = await node([], { found: true });
  const tasks = await openTasks(one, { dir: await folder() });
  await tasks.saveTask(task());
  await tasks.saveTask(task({ agent: null, updated_at: 1001 }));
  expect(tasks.loadTasks()).toMatchObject([{ agent: null }]);
  const before = one.heads();
  await tasks.saveTask(task({ agent: null, updated_at: 1002 }));
  expect(one.heads()).toEqual(before);
  await tasks.saveTask(task({ agent: 'other', updated_at: 1003 }));
  expect(tasks.loadTasks()).toMatchObject([{ agent: 'other' }]);
});

it('of log entries that are equal each counts, and those between them too', async () => {
  const dir = await folder();
  const tasks = await openTasks(await node([], { found: true }), { dir });
  const [a, b] = [entry(1), entry(2)];
  await tasks.saveTask(task({ logs: [a] }));
  await tasks.saveTask(task({ logs: [a, b, a] }));
  await tasks.saveTask(task({ logs: [a, b, a] }));
  expect(own(tasks.loadTasks()[0]?.logs ?? [])).toEqual([a, b, a]);
  expect(await linesOf(dir, 'job%2f1')).toEqual([a, b, a]);
});

it('what a task had before a cut is known after it: nothing of its log is written again', async () => {
  const dir = await folder();
  const one = await node([], { found: true, generations: { events: 1 } });
  const tasks = await openTasks(one, { dir });
  // A base keeps the ids of a week.
  const now = Date.now();
  const logs = Array.from({ length: 30 }, (_, n) => ({ ...entry(n), timestamp: now + n }));
  const running = task({ status: 'running', started_at: now, updated_at: now, logs });
  await tasks.saveTask(running);
  for (let n = 0; n < 12; n += 1) {
    await tasks.saveTask({ ...running, status: 'awaitingApproval' });
    await tasks.saveTask(running);
  }
  expect(await one.cutIfDue({ mayCut: (shard) => shard === one.shardOfActor('run/job/1') })).toBe(1);
  await tasks.saveTask({ ...running, updated_at: now + 1 });
  expect(await linesOf(dir, 'job%2f1')).toEqual(logs);
});

it('an outdated save is refused: neither status nor label goes back', async () => {
  const tasks = await openTasks(await node([], { found: true }), { dir: await folder() });
  await tasks.saveTask(task({ status: 'awaitingApproval', updated_at: 3000 }));
  const before = tasks.loadTasks();
  expect(await codeOf(tasks.saveTask(task({ status: 'running', updated_at: 2999 })))).toBe('outdated');
  expect(
    await codeOf(
      tasks.saveTask(task({ status: 'awaitingApproval', description: 'other', updated_at: 2999 })),
    ),
  ).toBe('outdated');
  expect(tasks.loadTasks()).toEqual(before);
});

it('a task that stands still is told apart, and a save of it leaves no line in its session log', async () => {
  const one = await node([], { found: true });
  const dir = await folder();
  const tasks = await openTasks(one, { dir });
  await tasks.saveTask(task({ logs: [entry(1)] }));
  const event = { type: 'understudy.upgrade', ts: 1, data: { to: 0 } };
  const key = 'event:run/job/1 $bad';
  await one.change([{ kind: 'event', key, fields: { event }, stamp: 5000 }], { id: '$bad' });
  await one.actors.send('run/job/2', { type: 'CREATED' }, { cause: { id: 'created' } });
  await eventually(() => one.actors.snapshot('run/job/1').status === 'quarantined');
  expect(tasks.loadTasks().map(({ id }) => id)).toEqual(['job/2']);
  expect(tasks.unreadableTasks()).toMatchObject([{ id: 'job/1', status: 'quarantined' }]);
  expect(new TaskBoard(one).summary()).toMatchObject({ unreadable: 1, counts: { queued: 1 } });
  for (let n = 0; n < 3; n += 1) {
    expect(await codeOf(tasks.saveTask(task({ logs: [entry(1), entry(2)] })))).toBe('quarantined');
  }
  expect(await linesOf(dir, 'job%2f1')).toEqual([entry(1)]);
});

it('a task deleted while it is being saved stays deleted', async () => {
  const tasks = await openTasks(await node([], { found: true }), { dir: await folder() });
  await tasks.saveTask(task());
  const saving = tasks.saveTask(task({ logs: [entry(1)] }));
  expect(await tasks.deleteTask('job/1')).toBe(true);
  await saving;
  expect(tasks.loadTasks()).toEqual([]);
});

it('a session log, or the whole folder, that somebody takes away is made again, with a warning for the folder', async () => {
  const dir = await folder();
  const log = recordingLog();
  const tasks = await openTasks(await node([], { found: true }), { dir, log });
  await tasks.saveSessionLog('s', [entry(1)]);
  await rm(join(dir, 'sessions', 's.log'));
  await tasks.saveSessionLog('s', [entry(2)]);
  expect(await linesOf(dir, 's')).toEqual([entry(2)]);
  expect(log.lines.filter(({ level }) => level === 'warn')).toEqual([]);
  await rm(join(dir, 'sessions'), { recursive: true });
  await tasks.saveSessionLog('s', [entry(3)]);
  expect(await linesOf(dir, 's')).toEqual([entry(3)]);
  expect(log.lines.filter(({ level }) => level === 'warn')).toMatchObject([
    { folder: join(dir, 'sessions') },
  ]);
});

it('session logs are listed by session, what was put aside with them, and by the ids of tasks where names are hashes', async () => {
  const dir = await folder();
  const tasks = await openTasks(await node([], { found: true }), { dir, mostLogBytes: 300 });
  const long = 'j'.repeat(300);
  await tasks.saveTask(task({ id: long, logs: [entry(1)] }));
  for (let n = 0; n < 4; n += 1) await tasks.saveSessionLog('A b', [entry(n, 'y'.repeat(100))]);
  await tasks.saveSessionLog('k'.repeat(300), [entry(1)]);
  await writeFile(join(dir, 'sessions', 'notes.txt'), 'of somebody else');
  const found = await tasks.sessionLogs();
  expect(new Set(found.map(({ id }) => id))).toEqual(new Set([long, 'A b', undefined]));
  const put = found.find(({ id }) => id === 'A b');
  expect(put?.file).toBe('%41%20b.log');
  expect(put?.bytes).toBeGreaterThan(4 * 100);
  expect(put?.writtenAt).toBeGreaterThan(Date.now() - 60_000);
  await rm(join(dir, 'sessions'), { recursive: true });
  expect(await tasks.sessionLogs()).toEqual([]);
});
