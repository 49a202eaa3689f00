import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { assembled } from '../../src/backup/stored-document.js';
import { folderChunks } from '../../src/node/backup/folder-chunks.js';
import { cut, go, LIGHT, lit } from '../history/world.js';
import { folder, node, opening, eventually, relay, sameHeads } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';
import { fill, filesIn, headsOf, names } from './world.js';

/** A folder with 20 rooms and a backup of them; the files of each document, and where the backup is. */
async function world(relays: { url: string }[] = []) {
  const dataDir = await folder();
  const one = await node(relays, { dataDir, ...(relays.length === 0 && { found: true }) });
  await fill(one, 0, 20);
  const { path } = await one.backups.create('asked');
  const wanted = headsOf(one);
  const ids = new Map(one.heads().map(({ name, id }) => [name, id]));
  await one.close();
  const filesOf = async (name: string): Promise<string[]> => {
    const id = ids.get(name) ?? '';
    const folderOf = join(dataDir, 'documents', id.slice(0, 2), id.slice(2));
    return (await filesIn(folderOf)).filter((file) => !file.endsWith('.tmp'));
  };
  return { dataDir, path, wanted, ids, filesOf };
}

async function damage(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(file, bytes);
}

const healed = (one: Awaited<ReturnType<typeof node>>, wanted: Record<string, string[]>) => {
  const now = headsOf(one);
  for (const { id, name } of one.heads()) if (name !== 'cluster') expect(now[id], name).toEqual(wanted[id]);
  expect(names(one)).toHaveLength(20);
};

describe('without a peer, a folder is healed from its backup', () => {
  it('where a chunk rotted: said, counted, and whole on disk after it', async () => {
    const { dataDir, wanted, ids, filesOf } = await world();
    for (const file of await filesOf('routing/0')) await damage(file);
    const log = recordingLog();
    const again = await node([], { dataDir, found: true, log });
    healed(again, wanted);
    expect(again.counters().recovery).toEqual({ fromBackup: 1, notInBackup: 0, fromPeers: 0, failures: 0 });
    expect(log.lines).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ level: 'error', message: expect.stringContaining('corrupt') }),
        expect.objectContaining({ level: 'warn', document: 'routing/0', backup: expect.any(String) }),
      ]),
    );
    // By itself, not only as the node closes.
    const chunks = folderChunks(join(dataDir, 'documents'), () => {});
    const id = ids.get('routing/0') ?? '';
    await expect.poll(async () => A.getHeads(assembled(await chunks.chunks(id)))).toEqual(wanted[id]);
    await again.close();
    const third = await node([], { dataDir, found: true });
    healed(third, wanted);
    expect(third.counters().recovery.fromBackup).toBe(0);
    expect(third.storage().recovered).toBe(0);
  });

  it.each([
    ['the cluster’s document is gone', ['cluster']],
    ['a shard of actors is gone', ['actors/1']],
    ['every document is gone', ['cluster', 'routing/0', 'routing/1', 'actors/0', 'actors/1']],
  ])('where %s', async (_, gone) => {
    const { dataDir, wanted, filesOf } = await world();
    for (const name of gone) for (const file of await filesOf(name)) await rm(file);
    const again = await node([], { dataDir, found: true });
    healed(again, wanted);
    expect(again.counters().recovery.fromBackup).toBe(gone.length);
    const genesis = again.read('cluster', 'cluster')?.genesis_ts;
    await again.close();
    const third = await node([], { dataDir, found: true });
    healed(third, wanted);
    expect(third.read('cluster', 'cluster')?.genesis_ts).toBe(genesis);
  });

  it('by an older backup where the newest is damaged, and without any the rest goes on', async () => {
    const { dataDir, path, wanted, filesOf } = await world();
    const one = await node([], { dataDir, found: true });
    const newest = await one.backups.create('asked');
    await one.close();
    await damage(newest.path);
    for (const file of await filesOf('routing/1')) await damage(file);
    const again = await node([], { dataDir, found: true });
    healed(again, wanted);
    await again.close();

    await damage(path);
    for (const file of await filesOf('routing/1')) await damage(file);
    const third = await node([], { dataDir, found: true });
    expect(third.counters().recovery).toMatchObject({ fromBackup: 0, notInBackup: 1 });
    expect(names(third).length).toBeLessThan(20);
    expect(names(third).length).toBeGreaterThan(0);
    await fill(third, 0, 20);
    expect(names(third)).toHaveLength(20);
  });

  it('where archived history is gone', async () => {
    const dataDir = await folder();
    const one = await lit([], { dataDir });
    await go(one, ['GO', '$1', 1000], ['STOP', '$2', 2000]);
    expect(await cut(one)).toBe(1);
    await go(one, ['GO', '$3', 3000]);
    const { manifest } = await one.backups.create('asked');
    const whole = await one.history(LIGHT);
    await one.close();
    const id = manifest.documents.find(({ kind }) => kind === 'audit')?.id ?? '';
    await rm(join(dataDir, 'documents', id.slice(0, 2), id.slice(2)), { recursive: true });
    const again = await lit([], { dataDir });
    expect(await again.history(LIGHT)).toEqual(whole);
    expect(whole).toMatchObject({ missing: [], entries: [{}, {}, {}] });
    expect(again.counters().recovery.fromBackup).toBe(1);
  });

  it('keeps what is newer on disk: only what is lost comes from the backup', async () => {
    const { dataDir, filesOf } = await world();
    const one = await node([], { dataDir, found: true });
    const filesNow = async () => [...(await filesOf('routing/0')), ...(await filesOf('routing/1'))];
    let old: string[] = [];
    let name = '';
    // Until the change stands in a chunk of its own, beside one that was there before.
    for (let n = 0; old.length === 0; n += 1) {
      await one.backups.create('asked');
      const before = await filesNow();
      name = `newer ${n}`;
      await one.change([{ kind: 'room', key: 'matrix_room:!r0:x', fields: { display_name: name } }], {
        id: `$newer${n}`,
        ts: 9000 + n,
      });
      const after = await filesNow();
      const isAdded = before.every((file) => after.includes(file)) && after.length > before.length;
      if (isAdded) old = before;
    }
    await one.close();
    for (const file of old) await damage(file);
    const again = await node([], { dataDir, found: true });
    expect(again.counters().recovery.fromBackup).toBe(2);
    expect(names(again)).toContain(name);
    expect(names(again)).toHaveLength(20);
  });
});

describe('with relays', () => {
  it('B-peers: the backup is merged in before they are asked, and what it lacks comes from them', async () => {
    const hub = await relay();
    const { dataDir, filesOf } = await world([hub]);
    const other = await node([hub]);
    expect(await other.synced(60_000)).toBe(true);
    await fill(other, 20, 25);
    expect(await other.replicated(60_000)).toBe(true);
    for (const name of ['routing/0', 'routing/1']) for (const file of await filesOf(name)) await damage(file);

    const away = opening([{ url: 'ws://127.0.0.1:1' }], dataDir);
    await eventually(() => away.statuses.some(({ state }) => state === 'waiting-for-peers'));
    expect(away.statuses.at(-1)).toMatchObject({
      reason: 'recovering',
      documents: expect.arrayContaining(['routing/0', 'routing/1']),
    });
    away.abort.abort();
    await away.settled;

    for (const name of ['routing/0', 'routing/1']) for (const file of await filesOf(name)) await damage(file);
    const again = await node([hub], { dataDir });
    expect(again.counters().recovery).toMatchObject({ fromBackup: 2, fromPeers: 2 });
    await eventually(() => sameHeads(again, other) && names(again).length === 25);
  });
});
