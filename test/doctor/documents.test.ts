import * as A from '@automerge/automerge';
import { generateAutomergeUrl, parseAutomergeUrl } from '@automerge/automerge-repo';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentId } from '../../src/documents/ids.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { encodeRecord } from '../../src/documents/record.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { encodeLine } from '../../src/storage/journal-line.js';
import { silentLog } from '../../src/telemetry/log.js';
import { cutNow, cutting, send } from '../generations/world.js';
import { folder, node } from '../node/world.js';
import { CLUSTER, bytesOf, chunkFiles, doctor, healthyFolder, settings } from './world.js';

const look = (dir: string, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, { only: ['documents', 'schema'], ...options });

type Root = Record<string, Record<string, unknown> & number>;

/** Writes something of its own into a stored document, past everything that checks what is written. */
async function tamper(
  dir: string,
  name: { kind: 'cluster' | 'routing' | 'actors'; index: number },
  change: (root: Root) => void,
): Promise<void> {
  const id = documentId(CLUSTER, { ...name, generation: 0 });
  const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
  let document = A.init<Root>();
  for (const { data } of await storage.loadRange([id])) {
    if (data !== undefined) document = A.loadIncremental(document, data);
  }
  const changed = A.change(document, (root) => change(root));
  await storage.save([id, 'snapshot', A.getHeads(changed)[0] ?? ''], A.save(changed));
  await storage.close(AbortSignal.timeout(60_000));
}

const value = (fields: Record<string, unknown>, stamp = 5000): A.ImmutableString =>
  new A.ImmutableString(
    encodeRecord(
      new Map(
        Object.entries(fields).map(([name, one]) => [name, { value: one as string, stamp, cause: '$x' }]),
      ),
    ),
  );

describe('the doctor at the documents', { timeout: 60_000 }, () => {
  it('documents-none', async () => {
    const dir = await folder();
    expect(await look(dir, { only: ['documents'] })).toMatchObject({ codes: ['documents-none'], exit: 2 });
  });

  it('chunk-damaged names the chunk, and changes nothing: nothing is moved away', async () => {
    const dir = await healthyFolder();
    const [path = ''] = await chunkFiles(dir);
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
    await writeFile(path, bytes);
    const before = await bytesOf(dir);
    const { codes, exit, of } = await look(dir);
    expect(codes).toContain('chunk-damaged');
    expect(exit).toBe(1);
    expect(of('chunk-damaged').seen).toContain(path.split('/').at(-1));
    expect(await bytesOf(dir)).toEqual(before);
  });

  it('chunk-damaged: a folder in its place', async () => {
    const dir = await healthyFolder();
    const [path = ''] = await chunkFiles(dir);
    await rm(path);
    await mkdir(path);
    expect((await look(dir)).codes).toContain('chunk-damaged');
  });

  it('storage-key: encrypted and no key, not encrypted and a key', async () => {
    const key = Buffer.alloc(32, 7).toString('base64url');
    const dir = await healthyFolder();
    const given = { ...settings, UNDERSTUDY_STORAGE_KEY: key };
    expect(await look(dir, { env: given })).toMatchObject({ codes: ['storage-key'], exit: 2 });
    const sealed = join(await folder(), 'sealed');
    const { sealingKey } = await import('../../src/storage/seal.js');
    const current = sealingKey(key);
    const one = await node([], {
      dataDir: sealed,
      found: true,
      clusterId: CLUSTER,
      storageKeys: { ...(current && { current }) },
    });
    await one.close();
    expect((await look(sealed)).codes).toEqual(['storage-key']);
    expect((await look(sealed, { env: given })).codes).toEqual([]);
    const wrong = { ...settings, UNDERSTUDY_STORAGE_KEY: Buffer.alloc(32, 8).toString('base64url') };
    expect((await look(sealed, { env: wrong })).codes).toEqual(['storage-key']);
  });

  it('document-unreadable: what is there is no document of ours', async () => {
    const dir = await healthyFolder();
    const { documentId: id } = parseAutomergeUrl(generateAutomergeUrl());
    const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
    const stranger = A.from({ hello: 'world' });
    await storage.save([id, 'snapshot', A.getHeads(stranger)[0] ?? ''], A.save(stranger));
    await storage.close(AbortSignal.timeout(60_000));
    expect(await look(dir)).toMatchObject({ codes: ['document-unreadable'], exit: 1 });
  });

  it('cluster-id-differs', async () => {
    const dir = await healthyFolder();
    const env = { ...settings, UNDERSTUDY_CLUSTER_ID: 'another-cluster-id-altogether' };
    expect(await look(dir, { env })).toMatchObject({ codes: ['cluster-id-differs'], exit: 2 });
  });

  it('cluster-record-missing: only the first bytes are there', async () => {
    const dir = await folder();
    const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
    const name = { kind: 'cluster', index: 0, generation: 0 } as const;
    const first = A.loadIncremental(A.init(), genesisBytes(name));
    await storage.save([documentId(CLUSTER, name), 'snapshot', A.getHeads(first)[0] ?? ''], A.save(first));
    await storage.close(AbortSignal.timeout(60_000));
    expect(await look(dir)).toMatchObject({ codes: ['cluster-record-missing'], exit: 1 });
  });

  it('document-missing: a shard is gone from the disk', async () => {
    const dir = await healthyFolder();
    const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
    await storage.removeRange([documentId(CLUSTER, { kind: 'routing', index: 1, generation: 0 })]);
    await storage.close(AbortSignal.timeout(60_000));
    const { codes, exit, of } = await look(dir);
    expect({ codes, exit }).toEqual({ codes: ['document-missing'], exit: 1 });
    expect(of('document-missing').seen).toContain('1 document of 5');
    expect(of('document-missing').seen).toContain('routing/1');
  });

  it('record-malformed: what is no record, and a field of a wrong form', async () => {
    const dir = await healthyFolder();
    await tamper(dir, { kind: 'routing', index: 0 }, (root) => {
      (root['rooms'] as Record<string, unknown>)['matrix_room:!odd:x'] = 17;
      (root['rooms'] as Record<string, unknown>)['matrix_room:!other:x'] = value({
        archived: 'perhaps',
        of_later: 1,
      });
    });
    const { codes, of } = await look(dir);
    expect(codes).toEqual(['record-malformed']);
    expect(of('record-malformed').seen).toMatch(/^2 values .*matrix_room:!other:x archived/);
  });

  it('reference-dangling: a chat whose room is nowhere, a room whose person is', async () => {
    const dir = await healthyFolder();
    await tamper(dir, { kind: 'routing', index: 0 }, (root) => {
      (root['chats'] as Record<string, unknown>)['chat:@a:x/$1'] = value({ room_id: '!lost:x' });
      (root['rooms'] as Record<string, unknown>)['matrix_room:!of:x'] = value({
        room_type: 'chat',
        matrix_user_id: '@lost:x',
      });
    });
    const { codes, of } = await look(dir);
    expect(codes).toEqual(['reference-dangling']);
    expect(of('reference-dangling').seen).toMatch(/^2 records/);
  });

  it('source-unsettled: only what waits for long, and that no mark calls settled', async () => {
    const dir = await healthyFolder();
    const source = (id: string, room: string, ts: number) => ({
      t: 'source',
      ref: { id, room, sender: '@a:x', ts, kind: 'message' },
    });
    const entries = [
      source('$old', '!r:x', 1000),
      source('$new', '!r:x', Date.now()),
      source('$e1', '!r1:x', 1001),
    ];
    const journal = Buffer.concat([
      Buffer.from('understudy-journal 1\n'),
      encodeLine(JSON.stringify(entries)),
    ]);
    await writeFile(join(dir, 'delivery.journal'), journal, { mode: 0o600 });
    const { codes, of } = await look(dir);
    expect(codes).toEqual(['source-unsettled']);
    expect(of('source-unsettled').seen).toMatch(/^1 prompt .*: \$old$/);
  });

  it('run-open: an agent run that nobody ended', async () => {
    const dir = await healthyFolder();
    const state = { version: 1, hash: 'x', value: 'running', context: {}, status: 'active' };
    await tamper(dir, { kind: 'actors', index: 0 }, (root) => {
      (root['actors'] as Record<string, unknown>)['actor:run/!r:x/$1'] = value({ current_state: state });
      (root['actors'] as Record<string, unknown>)['actor:run/!r:x/$2'] = value(
        { current_state: state },
        Date.now(),
      );
      (root['actors'] as Record<string, unknown>)['actor:run/!r:x/$3'] = value({
        current_state: { ...state, status: 'done' },
      });
    });
    const { codes, of } = await look(dir);
    expect(codes).toEqual(['run-open']);
    expect(of('run-open').seen).toMatch(/^1 agent run .*run\/!r:x\/\$1$/);
  });

  it('document-grown', async () => {
    const dir = await healthyFolder();
    const { codes, of } = await look(dir, { limits: { changes: 2 } });
    expect(codes).toEqual(['document-grown']);
    expect(of('document-grown').severity).toBe('note');
  });

  it('generation-left after a cut that not all have moved to, generation-behind before its document is here', async () => {
    const dir = join(await folder(), 'cut');
    const one = await cutting([], { dataDir: dir, found: true, clusterId: CLUSTER });
    // A member that has not moved keeps the earlier generation on every disk.
    const fields = { incarnation: 'i', joined_at: Date.now(), last_seen_at: Date.now() };
    await one.change([{ kind: 'member', key: 'member:other', fields }], { id: '$m' });
    for (const n of [1, 2, 3]) await send(one, `$e${n}`, 1000 + n);
    expect(await cutNow(one)).toBe(1);
    const current = one.heads().find(({ name }) => name.startsWith('actors/') && /\.1/.test(name));
    await one.close();
    expect((await look(dir)).codes).toEqual(['generation-left']);
    const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
    await storage.removeRange([current?.id ?? '']);
    await storage.close(AbortSignal.timeout(60_000));
    expect((await look(dir)).codes).toEqual(['generation-behind']);
  });

  it('schema-newer and schema-older', async () => {
    const dir = await healthyFolder();
    await tamper(dir, { kind: 'routing', index: 0 }, (root) => void Object.assign(root, { schema: 99 }));
    expect(await look(dir)).toMatchObject({ codes: ['schema-newer'], exit: 1 });
    await tamper(dir, { kind: 'routing', index: 0 }, (root) => void Object.assign(root, { schema: 0 }));
    expect(await look(dir)).toMatchObject({ codes: ['schema-older'], exit: 0 });
  });
});
