import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type OpenNodeOptions, silentLog, type StateNode } from '../../src/index.js';
import { NodeEvents, type NodeEvent } from '../../src/node/node-events.js';
import { NodeCounters } from '../../src/node/counters.js';
import { StateEmitter } from '../../src/state/events.js';
import { next } from '../migrations/next-release.js';
import { folder, node } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';
import { heard, serviceOver, task, world } from './world.js';

it('T-listener: a listener that throws harms neither the save nor other listeners, and is counted and logged', async () => {
  const log = recordingLog();
  const { state } = await world({ log });
  state.on('state:saved', () => {
    throw new Error('a listener of ours');
  });
  const saved = heard(state, 'state:saved');
  await state.saveTask(task());
  await state.saveState();
  expect(saved.map(({ what }) => what)).toEqual(['task', 'state']);
  expect(state.status()).toMatchObject({ listenersFailed: 2, failed: 0, saved: 2 });
  expect(log.lines.filter(({ message }) => message.includes('listener'))).toHaveLength(2);
});

it('who has stopped listening hears nothing more, also when it stops while it is told', async () => {
  const { state } = await world();
  const heardBy: string[] = [];
  const stopOnce = state.on('state:loaded', () => {
    heardBy.push('once');
    stopOnce();
  });
  state.on('state:loaded', () => void heardBy.push('always'));
  await state.loadState();
  await state.loadState();
  expect(heardBy).toEqual(['once', 'always', 'always']);
});

it('what each save and load was is told with its time and length', async () => {
  const { state, dir } = await world();
  const [saved, loaded] = [heard(state, 'state:saved'), heard(state, 'state:loaded')];
  await state.saveTask(task());
  const path = await state.saveReport('r', 'x');
  const { bytes } = await state.saveState();
  await state.loadState();
  const at = expect.any(Number) as number;
  const ms = expect.any(Number) as number;
  expect(saved).toEqual([
    { what: 'task', id: 'job/1', path: undefined, bytes: undefined, at, ms },
    { what: 'report', id: 'r', path, bytes: undefined, at, ms },
    { what: 'state', id: undefined, path: join(dir, 'state.json'), bytes, at, ms },
  ]);
  expect(loaded).toEqual([{ tasks: 1, sessions: 0, last_saved: at, at, ms }]);
});

it('state:recovered tells what the node found damaged when it opened, to who listens later', async () => {
  const dataDir = await folder();
  const first = await node([], { found: true, dataDir });
  const tasks = await serviceOver(first, { dir: dataDir });
  await tasks.saveTask(task());
  await tasks.shutdown();
  await first.backups.create('asked');
  await first.close();
  const names = await readdir(join(dataDir, 'documents'), { recursive: true });
  const chunks = names.filter((name) => /(?:snapshot|incremental)[/\\][0-9a-f]+$/.test(name));
  expect(chunks.length).toBeGreaterThan(2);
  for (const name of chunks) await writeFile(join(dataDir, 'documents', name), 'rotten');
  const again = await node([], { found: true, dataDir });
  const state = await serviceOver(again, { dir: dataDir });
  const recovered = heard(state, 'state:recovered');
  const steps = recovered.map(({ step }) => step);
  expect(steps.filter((step) => step === 'quarantined')).toHaveLength(chunks.length);
  expect(steps).toContain('from-backup');
  for (const { step, quarantined } of recovered) {
    if (step === 'quarantined') expect(quarantined).toContain(join('documents', 'quarantine'));
  }
  expect(state.status().recovered).toBe(recovered.length);
  expect((await state.loadState()).tasks).toHaveLength(1);
});

it('events of the node are told on: what it migrated, what its disk refuses, and that it takes it again', async () => {
  const one = await node([], { found: true });
  const log = recordingLog();
  const events = new NodeEvents(new NodeCounters(), log);
  const told: NodeEvent[] = [
    { type: 'state:migrated', document: 'routing/3', from: 1, to: 2, records: 5, backup: 'b.tar' },
    { type: 'state:save-error', code: 'ENOSPC', failed: 3, attempt: 1, retryMs: 100 },
    { type: 'state:save-restored', attempts: 2 },
  ];
  // Before anybody listens, as a node does that opens.
  for (const event of told.slice(0, 1)) events.emit(event);
  const port = {
    actors: one.actors,
    flush: () => one.flush(),
    onChange: (handle: never) => one.onChange(handle),
    onEvent: (handle: (event: NodeEvent) => void) => events.on(handle),
  };
  const state = await serviceOver(port as unknown as StateNode, { dir: await folder() });
  const [errors, saved] = [heard(state, 'state:save-error'), heard(state, 'state:saved')];
  for (const event of told.slice(1)) events.emit(event);
  expect(heard(state, 'state:migrated')).toEqual([
    { document: 'routing/3', from: 1, to: 2, records: 5, backup: 'b.tar' },
  ]);
  expect(errors).toMatchObject([{ what: 'documents', code: 'ENOSPC' }]);
  expect(saved).toMatchObject([{ what: 'documents' }]);
  await state.shutdown();
  events.emit(told[1] as NodeEvent);
  expect(errors).toHaveLength(1);
});

it('state:migrated tells what a node of the next release made of its documents', async () => {
  const dataDir = await folder();
  const first = await node([], { found: true, dataDir });
  await first.change([{ kind: 'room', key: 'matrix_room:!r:x', fields: { display_name: 'C1' } }], {
    id: '$1',
  });
  await first.close();
  const options = { dataDir, schemas: next, migrations: { auto: false } } as Partial<OpenNodeOptions>;
  const later = await node([], options);
  const state = await serviceOver(later, { dir: dataDir });
  await later.migrations.run();
  const migrated = heard(state, 'state:migrated');
  expect(migrated.length).toBeGreaterThan(1);
  const { good } = later.backups.status();
  expect(good).toBe(1);
  for (const one of migrated) expect(one).toMatchObject({ from: 1, to: 2, backup: expect.any(String) });
  expect(migrated.map(({ document }) => document)).toContain('routing/0');
});

it('a handler of a node’s events that throws is counted, and the others hear all the same', () => {
  const counters = new NodeCounters();
  const log = recordingLog();
  const events = new NodeEvents(counters, log);
  const heardHere: NodeEvent[] = [];
  events.on(() => {
    throw new Error('a handler of ours');
  });
  const stop = events.on((event) => void heardHere.push(event));
  events.emit({ type: 'state:save-restored', attempts: 1 });
  stop();
  events.emit({ type: 'state:save-restored', attempts: 2 });
  expect(heardHere).toEqual([{ type: 'state:save-restored', attempts: 1 }]);
  expect(counters.failedHandlers).toBe(2);
  expect(log.lines).toHaveLength(2);
});

it('recoveries that nobody hears are kept, the latest 1,000', () => {
  const emitter = new StateEmitter(silentLog);
  for (let n = 0; n < 1500; n += 1) {
    const document = `routing/${n}`;
    emitter.emit('state:recovered', { step: 'quarantined', document, reason: '', quarantined: undefined });
    emitter.emit('autosave:triggered', { changed: true, at: n });
  }
  const documents: unknown[] = [];
  emitter.on('state:recovered', ({ document }) => void documents.push(document));
  emitter.on('autosave:triggered', () => void documents.push('not kept'));
  expect(documents).toHaveLength(1000);
  expect(documents.at(-1)).toBe('routing/1499');
});
