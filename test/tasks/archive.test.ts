import { expect, it } from 'vitest';
import { archivedBase } from '../../src/actors/archive.js';
import { readBase } from '../../src/actors/base.js';
import { ActorLog } from '../../src/actors/log.js';
import { Machines } from '../../src/actors/machines.js';
import { openTasks, type StateNode, type Task } from '../../src/index.js';
import { TaskBoard } from '../../src/tasks/board.js';
import { runMachine, runOptions } from '../../src/tasks/run-machine.js';
import { eventually, folder, node, relay } from '../node/world.js';

const DAY = 24 * 3600_000;
const now = Date.now();

const ended = (id: string, at: number, status: Task['status'] = 'completed'): Task => ({
  id,
  description: 'count the beans',
  status,
  agent: 'counter',
  created_at: at,
  updated_at: at,
  started_at: at,
  completed_at: status === 'completed' ? at : null,
  logs: [],
  result: status === 'completed' ? '12' : null,
});
const cutting = { shards: 1, generations: { events: 1 } };
const cut = (one: StateNode): Promise<number> => one.cutIfDue({ mayCut: () => true });
const baseOf = (one: StateNode, id: string) => one.read('base', `base:run/${id}`)?.base;
const ids = (tasks: { loadTasks(): Task[] }) => tasks.loadTasks().map(({ id }) => id);

/** A node with a task that ended long ago, one that ended today and one that goes on since long ago. */
async function withTasks() {
  const one = await node([], { found: true, ...cutting });
  const tasks = await openTasks(one, { dir: await folder() });
  await tasks.saveTask(ended('job/old', now - 8 * DAY));
  await tasks.saveTask(ended('job/new', now - DAY));
  await tasks.saveTask(ended('job/long', now - 9 * DAY, 'running'));
  return { one, tasks };
}

it('a task that ended a week ago leaves the documents at the next cut, and its history is found', async () => {
  const { one, tasks } = await withTasks();
  const board = new TaskBoard(one);
  expect(board.summary().counts).toEqual({ completed: 2, running: 1 });
  expect(await cut(one)).toBe(1);
  expect(ids(tasks)).toEqual(['job/long', 'job/new']);
  expect(board.summary().counts).toEqual({ completed: 1, running: 1 });
  expect(JSON.stringify(baseOf(one, 'job/old')).length).toBeLessThan(100);
  expect(one.read('actor', 'actor:run/job/old')).toBeUndefined();
  expect(one.actors.snapshot('run/job/old').status).toBe('archived');
  const { entries, missing } = await one.history('run/job/old');
  expect(entries.map(({ event }) => event.type)).toEqual(['CREATED', 'BEGUN', 'COMPLETED']);
  expect(entries.at(-1)?.to).toMatchObject({ value: 'completed', context: { result: '12' } });
  expect(missing).toEqual([]);
});

it('what comes late for a task that left does not begin it anew, here and after the next cut', async () => {
  const { one, tasks } = await withTasks();
  await cut(one);
  const event = { type: 'LABELLED', ts: now, data: { description: 'late' } };
  const key = 'event:run/job/old label/late';
  await one.change([{ kind: 'event', key, fields: { event }, stamp: now }], { id: 'late' });
  for (let n = 0; n < 2; n += 1) {
    expect(one.actors.snapshot('run/job/old').status).toBe('archived');
    expect(ids(tasks)).toEqual(['job/long', 'job/new']);
    await expect(tasks.saveTask(ended('job/old', now))).rejects.toMatchObject({ code: 'archived' });
    expect(await tasks.deleteTask('job/old')).toBe(false);
    expect(await cut(one)).toBe(1 - n);
  }
});

it('a task leaves on every replica, and one that came back to it later shows it as the others do', async () => {
  const { url } = await relay();
  const dataDir = await folder();
  const [a, b] = [
    await node([{ url }], { found: true, ...cutting }),
    await node([{ url }], { dataDir, ...cutting }),
  ];
  const here = await openTasks(a, { dir: await folder() });
  const there = await openTasks(b, { dir: await folder() });
  await here.saveTask(ended('job/old', now - 8 * DAY));
  await here.saveTask(ended('job/new', now - DAY));
  await eventually(() => there.loadTasks().length === 2);
  await b.close();
  expect(await cut(a)).toBe(1);
  const back = await node([{ url }], { dataDir, ...cutting });
  const again = await openTasks(back, { dir: dataDir });
  await eventually(() => ids(again).join() === 'job/new');
  expect(baseOf(back, 'job/old')).toMatchObject({ hash: 'archived' });
  expect(baseOf(back, 'job/old')).toEqual(baseOf(a, 'job/old'));
});

it('the age at which tasks leave is told', async () => {
  const one = await node([], { found: true, ...cutting });
  const tasks = await openTasks(one, { dir: await folder(), archiveAfterMs: 2 * DAY });
  await tasks.saveTask(ended('job/3', now - 3 * DAY));
  await tasks.saveTask(ended('job/1', now - DAY));
  await cut(one);
  expect(ids(tasks)).toEqual(['job/1']);
});

it('what is left of a task goes a week later, and stays while something still comes for it', () => {
  const machines = new Machines();
  machines.register(runMachine, runOptions());
  const mark = { archived: now, hash: 'archived', stamp: now - 8 * DAY, version: 1 };
  const log = () => new ActorLog('run/job/1', machines, readBase('run', machines, mark));
  expect(archivedBase(log(), () => false, now + 6 * DAY, true)).toEqual(mark);
  expect(archivedBase(log(), () => false, now + 8 * DAY, false)).toEqual(mark);
  expect(archivedBase(log(), () => false, now + 8 * DAY, true)).toBeNull();
  const visited = log();
  visited.insert({ id: 'late', type: 'LOGGED', stamp: now, ts: now });
  expect(archivedBase(visited, () => false, now + 8 * DAY, true)).toEqual({
    archived: now + 8 * DAY,
    hash: 'archived',
    stamp: now,
    version: 1,
  });
});

it('a machine says which of its states are the end, and an actor with something to do stays', () => {
  const machines = new Machines();
  const wrong = { archive: { afterMs: 1, states: ['gone'] } };
  expect(() => machines.register(runMachine, { ...runOptions(), ...wrong })).toThrow(/a state gone/u);
});
