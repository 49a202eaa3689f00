import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sealingKey, type SealingKey } from '../../src/index.js';
import { newSealingKey } from '../../src/storage/seal.js';
import { folder, node } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';
import { seeded } from '../storage/random.js';
import { heard, serviceOver, task, world } from './world.js';

const file = (dir: string): string => join(dir, 'state.json');
const asideIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir)).filter((name) => name.startsWith('state.json.quarantine-'));
const key = (): SealingKey => sealingKey(newSealingKey()) as SealingKey;

const text = (dir: string): Promise<string> => readFile(file(dir), 'utf8');
/** What is done to the file, by name. */
const damages: Record<string, (dir: string) => Promise<void>> = {
  emptied: (dir) => writeFile(file(dir), ''),
  'cut in its head': (dir) => truncate(file(dir), 40),
  'cut in a task': async (dir) => truncate(file(dir), (await text(dir)).length - 200),
  'cut by one byte': async (dir) => truncate(file(dir), (await text(dir)).length - 1),
  'longer by one byte': async (dir) => writeFile(file(dir), `${await text(dir)} `),
  'another word in it': async (dir) => writeFile(file(dir), (await text(dir)).replace('beans', 'peas!')),
  'another time in it': async (dir) =>
    writeFile(file(dir), (await text(dir)).replace('"last_saved":1', '"last_saved":2')),
  garbage: (dir) => writeFile(file(dir), Buffer.from([0, 255, 254, 1, 2, 3])),
  'a file of something else': (dir) => writeFile(file(dir), '{"hello":"world"}\n'),
  'a folder in its place': async (dir) => {
    await rm(file(dir));
    await mkdir(file(dir));
  },
};

describe('T-checksum: a damaged snapshot', () => {
  it.each(Object.keys(damages))(
    '%s: put aside, told, and all tasks come from the documents',
    async (what) => {
      const { state, dir } = await world();
      await state.saveTask(task());
      await state.saveState();
      await damages[what]?.(dir);
      const recovered = heard(state, 'state:recovered');
      const loaded = await state.loadState();
      expect(loaded.tasks).toMatchObject([{ id: 'job/1', description: 'count the beans' }]);
      expect(loaded.last_saved).toBeNull();
      expect(recovered).toMatchObject([{ step: 'snapshot-quarantined', document: undefined }]);
      expect(await asideIn(dir)).toHaveLength(1);
      expect(recovered[0]?.quarantined).toBe(join(dir, (await asideIn(dir))[0] ?? ''));
      const { last_saved } = await state.saveState();
      expect((await state.loadState()).last_saved).toBe(last_saved);
      expect(recovered).toHaveLength(1);
    },
  );

  it('no flipped bit of 300 is taken for another value', async () => {
    const { state, dir } = await world();
    await state.saveTask(task());
    const { last_saved } = await state.saveState();
    const good = await readFile(file(dir));
    const random = seeded(7);
    for (let n = 0; n < 300; n += 1) {
      const bytes = Buffer.from(good);
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      await writeFile(file(dir), bytes);
      const loaded = await state.loadState();
      expect([null, last_saved]).toContain(loaded.last_saved);
      expect(loaded.last_saved, `bit at ${at}`).toBeNull();
    }
    // The three newest stay for who wants to look.
    expect(await asideIn(dir)).toHaveLength(3);
  });

  it('at the start is told to the first who listens, and made anew by the first auto-save', async () => {
    const log = recordingLog();
    const first = await world();
    await first.state.saveTask(task());
    await first.state.shutdown();
    await first.one.close();
    await writeFile(file(first.dir), 'x');
    const { state, dir } = await world({ dir: first.dir, log });
    await Promise.resolve();
    expect(heard(state, 'state:recovered')).toMatchObject([{ step: 'snapshot-quarantined' }]);
    expect(heard(state, 'state:recovered')).toEqual([]);
    expect(state.status()).toMatchObject({ recovered: 1, lastSavedAt: null });
    expect(log.lines).toEqual(
      expect.arrayContaining([expect.objectContaining({ level: 'error', reason: 'no snapshot' })]),
    );
    expect(await state.shutdown()).toBe(true);
    expect(await text(dir)).toContain('count the beans');
  });

  it('that nobody may read is left where it is', async () => {
    const { state, dir, one } = await world();
    await state.saveState();
    const { nodeFiles } = await import('../../src/storage/file-layer.js');
    const files = {
      ...nodeFiles,
      read: (path: string) =>
        path === file(dir)
          ? Promise.reject(Object.assign(new Error('EACCES'), { code: 'EACCES' }))
          : nodeFiles.read(path),
    };
    const other = await serviceOver(one, { dir, files });
    expect((await other.loadState()).last_saved).toBeNull();
    expect(heard(other, 'state:recovered')).toEqual([]);
    expect(await asideIn(dir)).toEqual([]);
  });
});

describe('a snapshot of a later version', () => {
  it('is no damage: it stays, and its time is not known', async () => {
    const { state, dir } = await world();
    await state.saveState();
    await writeFile(file(dir), (await text(dir)).replace('"version":1', '"version":2'));
    expect((await state.loadState()).last_saved).toBeNull();
    expect(await asideIn(dir)).toEqual([]);
  });
});

describe('T-sealed: where documents are encrypted', () => {
  it('the snapshot is too, with the key of now, and read with the one before', async () => {
    const [old, now, other] = [key(), key(), key()];
    const one = await node([], { found: true });
    const dir = await folder();
    const open = (current: SealingKey, previous?: SealingKey) =>
      serviceOver(one, { dir, storageKeys: { current, ...(previous && { previous }) } });
    const first = await open(old);
    await first.saveTask(task());
    const { last_saved, bytes } = await first.saveState();
    const stored = await readFile(file(dir));
    expect(stored.length).toBe(bytes);
    for (const secret of ['beans', 'job', 'tasks']) expect(stored.includes(secret)).toBe(false);
    const second = await open(now, old);
    expect((await second.loadState()).last_saved).toBe(last_saved);
    await second.saveState();
    const third = await open(other);
    expect((await third.loadState()).tasks).toHaveLength(1);
    expect((await third.loadState()).last_saved).toBeNull();
    expect(await asideIn(dir)).toEqual([]);
    const flipped = Buffer.from(await readFile(file(dir)));
    flipped[flipped.length - 20] = (flipped[flipped.length - 20] ?? 0) ^ 1;
    await writeFile(file(dir), flipped);
    const fourth = await open(now);
    expect((await fourth.loadState()).last_saved).toBeNull();
    expect(await asideIn(dir)).toHaveLength(1);
  });
});
