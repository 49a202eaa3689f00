import { randomBytes } from 'node:crypto';
import * as A from '@automerge/automerge';
import type { PeerId, StorageKey } from '@automerge/automerge-repo';
import { describe, expect, it } from 'vitest';
import { decodeChangeMessage } from '../../src/documents/change-message.js';
import { putRecord } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { kinds } from '../../src/documents/schemas/kinds.js';
import { productSchemas } from '../../src/documents/migrations/schemas.js';
import type { Write } from '../../src/documents/write.js';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { recordView } from '../../src/node/record-view.js';
import { Records } from '../../src/node/records.js';
import { nameOf, openShards } from '../../src/node/shards.js';
import { Writer } from '../../src/node/writer.js';
import { silentLog, systemClock } from '../../src/index.js';
import { shardIndex } from '../../src/documents/placement.js';
import { eventually, MemoryStorage } from './world.js';

const SHARDS = 8;

/** Storage that holds back the saves of some documents until they are let go. */
class HoldingStorage extends MemoryStorage {
  readonly saved: string[] = [];
  readonly #held = new Map<string, { promise: Promise<void>; release: () => void }>();

  hold(id: string): () => void {
    let release = (): void => {};
    const promise = new Promise<void>((resolve) => (release = resolve));
    this.#held.set(id, { promise, release });
    return release;
  }

  override async save(key: StorageKey, data: Uint8Array): Promise<void> {
    await this.#held.get(key[0] ?? '')?.promise;
    await super.save(key, data);
    this.saved.push(key[0] ?? '');
  }
}

async function open(storage = new HoldingStorage()) {
  const touched: string[] = [];
  const documents = new OpenDocuments({
    clusterId: 'c',
    peerId: 'p' as PeerId,
    storage,
    clock: systemClock,
    log: silentLog,
    onIncomplete: () => expect.unreachable(),
    onFailed: () => {},
    onTouched: (document, records) => {
      for (const { kind, key } of records) {
        touched.push(key);
        if (kind === 'room') all.rooms.add(key, document.name.index);
      }
    },
  });
  const all: Records = new Records(
    { document: (kind, index) => documents.named(nameOf(kind, index))?.handle.doc() },
    () => expect.unreachable(),
  );
  await documents.open(nameOf('cluster', 0));
  all.readShards(SHARDS);
  await openShards(documents, all);
  // What they begin with is on disk.
  await documents.saver.flushAll();
  storage.saved.splice(0);
  const sent: string[] = [];
  const writer = new Writer({
    schemas: productSchemas,
    documents,
    records: all,
    clock: systemClock,
    document: (kind, index) => documents.named(nameOf(kind, index))!,
    sent: (document) => void sent.push(document.id),
    replica: 'one',
  });
  const write = (writes: Write[], id = '$1', ts = 1000, epoch = 0) => writer.write(writes, { id, ts }, epoch);
  const id = (kind: 'routing' | 'actors', index: number) => documents.named(nameOf(kind, index))!.id;
  const view = recordView(all, () => expect.unreachable());
  const read = view.read.bind(view);
  return { storage, documents, records: all, write, id, read, touched, sent };
}

const room = (fields: Write['fields'], key = '!r:x'): Write => ({
  kind: 'room',
  key: `matrix_room:${key}`,
  fields,
});
const mark = (fields: Write['fields'] = { reason: 'answered' }): Write => ({
  kind: 'mark',
  key: 'mark:!r:x $1',
  fields,
});
/** Two people whose shards differ from each other and from the room's. */
const [ANN, BOB] = (() => {
  const taken = new Set([shardIndex('!r:x', SHARDS)]);
  return Array.from({ length: 50 }, (_, index) => `@p${index}:x`).filter((person) => {
    const shard = shardIndex(person, SHARDS);
    return taken.has(shard) ? false : taken.add(shard);
  });
})() as [string, string];
const shardOf = (key: string) => shardIndex(key, SHARDS);

describe('a write that spans documents', () => {
  it('is visible at once, and on disk in routing before anything of it is in actors', async () => {
    const { storage, write, id, read } = await open();
    const release = storage.hold(id('routing', shardOf(ANN)));
    let done = false;
    const written = write([mark(), room({ matrix_user_id: ANN })]).then(() => (done = true));
    expect(read('room', 'matrix_room:!r:x')).toEqual({ matrix_user_id: ANN });
    expect(read('mark', 'mark:!r:x $1')).toEqual({ reason: 'answered' });
    // A second write to the same actors document may not carry the first one's part to disk early.
    const second = write([mark({ final_event_id: '$f' })], '$2');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(storage.saved).toEqual([]);
    expect(done).toBe(false);
    release();
    await Promise.all([written, second]);
    expect(storage.saved[0]).toBe(id('routing', shardOf(ANN)));
    expect(storage.saved.slice(1)).toContain(id('actors', shardOf('!r:x')));
  });

  it('is one change per document, which says what caused it, where and in which epoch', async () => {
    const { documents, write, sent } = await open();
    await write([room({ chat_id: 'C1' }), room({ agent_id: 'echo' }), mark()], '$7', 5, 3);
    expect(sent).toHaveLength(2);
    const document = documents.named(nameOf('routing', shardOf('!r:x')))!.handle.doc();
    const changes = A.getAllChanges(document).map((change) => A.decodeChange(change));
    expect(changes).toHaveLength(2);
    expect(decodeChangeMessage(changes[1]!.message)).toEqual({ cause: '$7', replica: 'one', epoch: 3 });
  });

  it('is made not at all when one of its parts cannot be', async () => {
    const { write, read, sent } = await open();
    await expect(write([room({ chat_id: 'C1' }), mark({ reason: 7 })])).rejects.toMatchObject({
      code: 'invalid-write',
    });
    expect(read('room', 'matrix_room:!r:x')).toBeUndefined();
    expect(sent).toEqual([]);
  });

  it('that changes nothing makes no change', async () => {
    const { write, sent, storage } = await open();
    await write([room({ chat_id: 'C1' }), mark()]);
    const before = [sent.length, storage.saved.length];
    await write([room({ chat_id: 'C1' }), mark()]);
    expect([sent.length, storage.saved.length]).toEqual(before);
  });

  it('to a document of a newer version is refused with a typed error', async () => {
    const { documents, write, read } = await open();
    const document = documents.named(nameOf('routing', shardOf('!r:x')))!;
    document.handle.update((doc) => A.change(doc, (draft) => void (draft['schema'] = 2)));
    await expect(write([room({ chat_id: 'C1' })])).rejects.toMatchObject({ code: 'newer-schema' });
    expect(read('room', 'matrix_room:!r:x')).toBeUndefined();
  });
});

describe('placement (O5)', () => {
  it('O5: a room without a person stands at its own shard; with one, its record goes to the person’s', async () => {
    const { documents, write, read, records } = await open();
    const shards = () => records.rooms.shardsOf('matrix_room:!r:x');
    await write([room({ chat_id: 'C1' })]);
    expect(shards()).toEqual([shardOf('!r:x')]);
    await write([room({ matrix_user_id: ANN })], '$2');
    expect(new Set(shards())).toEqual(new Set([shardOf('!r:x'), shardOf(ANN)]));
    // The new place has the whole record, not only what was written last.
    const moved = documents.named(nameOf('routing', shardOf(ANN)))!.handle.doc();
    const rooms = moved['rooms'] as Record<string, A.ImmutableString>;
    expect(Object.keys(JSON.parse(rooms['matrix_room:!r:x']!.val) as object)).toEqual([
      'chat_id',
      'matrix_user_id',
    ]);
    expect(read('room', 'matrix_room:!r:x')).toEqual({ chat_id: 'C1', matrix_user_id: ANN });
  });

  it('A6-place: marks, attempts and actors of a room stay at the room’s shard, whoever it belongs to', async () => {
    const { documents, write, records } = await open();
    const attempt: Write = { kind: 'attempt', key: 'attempt:!r:x $1', fields: { a1: 'begun' } };
    const done: Write = { kind: 'done', key: 'done:m/!r:x $1/0', fields: { done_at: 1 } };
    const homes = () => ['m/!r:x', 'm/!r:x/task'].map((actor) => records.shardOfActor(actor));
    for (const [at, person] of [undefined, ANN, BOB].entries()) {
      const fields = person === undefined ? { chat_id: 'C1' } : { matrix_user_id: person };
      await write([room(fields), { ...mark(), key: `mark:!r:x $${at}` }, attempt, done], `$${at}`);
      expect(homes()).toEqual([shardOf('!r:x'), shardOf('!r:x')]);
    }
    const held = (shard: number, map: string) =>
      Object.keys(
        (documents.named(nameOf('actors', shard))?.handle.doc()[map] as Record<string, unknown>) ?? {},
      );
    expect(held(shardOf('!r:x'), 'marks')).toEqual(['mark:!r:x $0', 'mark:!r:x $1', 'mark:!r:x $2']);
    expect(held(shardOf('!r:x'), 'attempts')).toEqual(['attempt:!r:x $1']);
    expect(held(shardOf('!r:x'), 'done')).toEqual(['done:m/!r:x $1/0']);
    for (const person of [ANN, BOB]) expect(held(shardOf(person), 'marks')).toEqual([]);
  });

  it('O5: a chat stands with its person, also one whose name holds a slash', async () => {
    const { records } = await open();
    const room = () => undefined;
    expect(records.homeOf('chat', 'chat:@a/b:x/$c/d', room)).toBe(shardOf('@a/b:x'));
    expect(records.homeOf('user', `matrix_user:${ANN}`, room)).toBe(shardOf(ANN));
    expect(records.homeOf('attempt', 'attempt:!r:x $1', room)).toBe(shardOf('!r:x'));
    expect(records.homeOf('floor', 'floor:!r:x', room)).toBe(shardOf('!r:x'));
    expect(records.homeOf('member', 'member:one', room)).toBe(0);
  });

  it('gives a room’s shard: its person’s, else its own, and the sender’s while it has no record, or for no room', async () => {
    const { records, write } = await open();
    expect(records.shardOf('!r:x', ANN)).toBe(shardOf(ANN));
    await write([room({ chat_id: 'C1' })]);
    expect(records.shardOf('!r:x', ANN)).toBe(shardOf('!r:x'));
    await write([room({ matrix_user_id: BOB })], '$2');
    expect(records.shardOf('!r:x', ANN)).toBe(shardOf(BOB));
    expect(records.shardOf(undefined, ANN)).toBe(shardOf(ANN));
  });
});

describe('what is on disk', () => {
  it('is found again, whatever mix of snapshots and increments it became', async () => {
    const storage = new HoldingStorage();
    const first = await open(storage);
    for (let i = 0; i < 120; i++) {
      const display_name = randomBytes(100).toString('hex');
      await first.write([room({ display_name }, `!${i % 17}:x`)], `$${i}`, i);
    }
    const chunks = await storage.loadRange([]);
    expect(chunks.some(({ key }) => key[1] === 'incremental')).toBe(true);
    const second = await open(storage);
    for (let i = 0; i < 17; i++) {
      expect(second.read('room', `matrix_room:!${i}:x`)).toEqual(first.read('room', `matrix_room:!${i}:x`));
    }
    expect([...second.records.keys('room')].sort()).toEqual([...first.records.keys('room')].sort());
  });

  it('is compacted, so that its chunks stay few', async () => {
    const { storage, write } = await open();
    for (let i = 0; i < 300; i++) await write([room({ display_name: `name ${i}` })], `$${i}`, i);
    expect((await storage.loadRange([])).length).toBeLessThan(120);
  });

  it('is no first change alone: that one is the same everywhere and made again', async () => {
    const { storage, documents } = await open();
    await documents.saver.flushAll();
    const sizes = (await storage.loadRange([])).map(({ data }) => data?.length ?? 0);
    for (const size of sizes) expect(size).toBeLessThan(600);
  });

  it('follows what peers sent by itself', async () => {
    const { storage, documents } = await open();
    const other = await open();
    await other.write([room({ chat_id: 'C1' })]);
    const name = nameOf('routing', shardOf('!r:x'));
    const bytes = A.getLastLocalChange(other.documents.named(name)!.handle.doc())!;
    documents.apply(documents.named(name)!, bytes);
    await eventually(() => storage.saved.includes(documents.named(name)!.id));
  });
});

it('a change that Automerge gives no patch for is announced to the Repo’s sync all the same', async () => {
  const { documents } = await open();
  const name = nameOf('routing', 0);
  const document = documents.named(name)!;
  let announced = 0;
  document.handle.on('change', () => (announced += 1));
  // The last one does not win, and the key is in conflict already.
  for (const actor of ['ff', 'ee', '01']) {
    const other = A.loadIncremental(
      A.init<Record<string, unknown>>({ actor: actor.repeat(16) }),
      genesisBytes(name),
    );
    const edited = A.change(other, (draft) =>
      putRecord(
        draft,
        'room',
        'matrix_room:!r',
        new Map([['chat_id', { value: actor, stamp: 1, cause: actor }]]),
      ),
    );
    documents.apply(document, A.getLastLocalChange(edited)!);
  }
  await Promise.resolve();
  expect(announced).toBe(3);
});

it('every kind has a place, but for what a keyed store places by its time', async () => {
  const { records } = await open();
  for (const [kind, { prefix, placement }] of Object.entries(kinds)) {
    const find = () => records.homeOf(kind as keyof typeof kinds, `${prefix}@a:x/$1 $2`, () => undefined);
    if (placement === 'by-time') {
      expect(find).toThrow('openKeyedStore');
      continue;
    }
    const home = find();
    if (placement === 'cluster') expect(home).toBe(0);
    else expect(home).toBeLessThan(SHARDS);
  }
});
