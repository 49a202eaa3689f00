import * as A from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import { describe, expect, it } from 'vitest';
import { ActorError } from '../../src/actors/errors.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { documentId } from '../../src/documents/ids.js';
import { silentLog, systemClock, type StateNode } from '../../src/index.js';
import { cutId, cutKey, documentOf, type CutContent } from '../../src/node/generations/cut.js';
import { connectRelays } from '../../src/sync/connect.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { peerIdOf } from '../../src/sync/repo-message.js';
import { CLUSTER, eventually, folder, relay } from '../node/world.js';
import { ACTOR, listingBases } from './bases.js';
import { counted, cutNow, cutting, generationOf, send, standing } from './world.js';

/** A cut by somebody who then is gone: its record without the bytes, and the bytes. */
function foreignCut(ids: string[], at = 1000) {
  const base = { version: 1, hash: 'listing', stamp: 1, ids };
  const bytes = genesisBytes({ kind: 'actors', index: 0, generation: 1 }, [
    {
      map: 'base',
      key: `base:${ACTOR}`,
      record: new Map([['base', { value: base, stamp: 1, cause: 'cut' }]]),
    },
  ]);
  const content: CutContent = { parent: '', heads: ['00'.repeat(32)], bytesHash: A.decodeChange(bytes).hash };
  const id = cutId(content);
  const record = {
    kind: 'cut' as const,
    key: cutKey(0, 1, id),
    fields: { parent: '', heads: [...content.heads], bytes_hash: content.bytesHash, at, replica: 'gone' },
  };
  return { record, bytes, document: documentId(CLUSTER, documentOf(0, { generation: 1, id })), id };
}

/** Hands a document to the relay, as the one who made it would have. */
async function supply(url: string, { bytes, document }: ReturnType<typeof foreignCut>): Promise<() => void> {
  const self = { replica: 'supplier', incarnation: 'x' };
  const relays = connectRelays({
    self,
    relays: [{ url }],
    clusterCheck: clusterCheck(CLUSTER),
    clock: systemClock,
    log: silentLog,
  });
  const repo = new Repo({ peerId: peerIdOf(self), network: relays.networkAdapters });
  repo.import(bytes, { docId: document });
  await eventually(async () => {
    const [said] = (await relays.relayHeads([document], 1000)).values();
    return (said?.get(document)?.length ?? 0) > 0;
  });
  return () => relays.close();
}

describe('a replica that has the record and not the bytes', () => {
  it('A6-wait: writes nothing to the shard, reads on, and takes the bytes when they come', async () => {
    const hub = await relay();
    const one = await cutting([hub]);
    await send(one, '$1', 100);
    await send(one, '$2', 200);
    const cut = foreignCut(['$1']);
    await one.change([cut.record], { id: 'cut', ts: 1000 });
    let written = false;
    const writing = send(one, '$3', 300).then(() => (written = true));
    await one.change([{ kind: 'room', key: 'matrix_room:!r:x', fields: { chat_id: 'C1' } }], { id: '$r' });
    expect(await cutNow(one)).toBe(0);
    expect(await one.synced(200)).toBe(false);
    expect(written).toBe(false);
    expect(standing(one)).toEqual({ base: [], events: ['$1', '$2'], late: [] });
    const close = await supply(hub.url, cut);
    try {
      await writing;
      expect(standing(one)).toEqual({ base: ['$1'], events: ['$2', '$3'], late: ['$2'] });
    } finally {
      close();
    }
  });

  it('A6-wait: waits on after a restart, and closing fails what waits', async () => {
    const hub = await relay();
    const dataDir = await folder();
    const first = await cutting([hub], { dataDir });
    await send(first, '$1', 100);
    await first.change([foreignCut(['$1']).record], { id: 'cut', ts: 1000 });
    await first.close();
    const second = await cutting([hub], { dataDir });
    expect(standing(second)).toEqual({ base: [], events: ['$1'], late: [] });
    const writing = send(second, '$2', 200);
    const failed = expect(writing).rejects.toMatchObject({ code: 'closed' });
    await second.close();
    await failed;
  });

  it('A6-switch: goes over to an earlier cut that it hears of late, and takes everything along', async () => {
    const hub = await relay();
    const one = await cutting([hub]);
    // A member that is away keeps the cut from being settled.
    await one.change([{ kind: 'member', key: 'member:away', fields: { joined_at: 1 } }], { id: 'm' });
    await send(one, '$1', 100);
    await cutNow(one);
    await send(one, '$2', 200);
    const own = generationOf(one);
    const cut = foreignCut([], 1);
    const close = await supply(hub.url, cut);
    try {
      await one.change([cut.record], { id: 'cut', ts: 1000 });
      await eventually(() => generationOf(one) === `actors/0.1.${cut.id}`);
      expect(generationOf(one)).not.toBe(own);
      expect(standing(one)).toEqual({ base: [], events: ['$1', '$2'], late: ['$1', '$2'] });
    } finally {
      close();
    }
  });
});

describe('a replica that cannot make the bytes', () => {
  const pair = async (foldBases: typeof listingBases.foldBases): Promise<[StateNode, StateNode]> => {
    const hub = await relay();
    const one = await cutting([hub]);
    const two = await cutting([hub], { generations: { bases: { ...listingBases, foldBases }, events: 1 } });
    await send(one, '$1', 100);
    await eventually(() => counted(two).length === 1);
    return [one, two];
  };

  it('A6-differ: because its fold gives others counts that, and takes them from a peer', async () => {
    const [one, two] = await pair(() => new Map([[ACTOR, { version: 9, hash: 'other', stamp: 1 }]]));
    await cutNow(one);
    await eventually(() => standing(two).base.length === 1);
    expect(two.counters().generations.notComputed).toBe(1);
    expect(generationOf(two)).toBe(generationOf(one));
  });

  it('A6-machine: because a machine is not known there makes no cut, and takes those of others', async () => {
    const [one, two] = await pair(() => {
      throw new ActorError('unknown-machine', 'no machine light');
    });
    expect(await cutNow(two)).toBe(0);
    expect(two.counters().generations.cutsNotMade).toBe(1);
    expect(await cutNow(one)).toBe(1);
    await eventually(() => standing(two).base.length === 1);
  });
});

describe('a cut', () => {
  it('is not made where the history could not be archived, nor where this replica may not', async () => {
    const one = await cutting([], { found: true });
    await send(one, '$1', 100);
    expect(await one.cutIfDue({ mayCut: () => false })).toBe(0);
    const archived: unknown[] = [];
    const archive = (shard: unknown) => {
      archived.push(shard);
      return Promise.reject(new Error('disk full'));
    };
    expect(await one.cutIfDue({ mayCut: () => true, archive })).toBe(0);
    expect(one.counters().generations.cutsFailed).toBe(1);
    expect(archived).toEqual([{ index: 0, generation: 0 }]);
    expect(generationOf(one)).toBe('actors/0');
    expect(await cutNow(one)).toBe(1);
  });

  it('is due at the number of events or of bytes, and not where it would free nothing', async () => {
    const one = await cutting([], {
      found: true,
      generations: { bases: listingBases, events: 3, bytes: 20_000 },
    });
    await send(one, '$1', 100);
    await send(one, '$2', 200);
    expect(await cutNow(one)).toBe(0);
    await send(one, '$3', 300);
    expect(await cutNow(one)).toBe(1);
    expect(await cutNow(one)).toBe(0);
    const big = Array.from({ length: 1500 }, (_, at) => ({
      kind: 'mark' as const,
      key: `mark:!r:x $${Math.random()}${at}`,
      fields: { reason: 'answered', final_event_id: `$${Math.random()}`, settled_at: Date.now() },
    }));
    await one.change(big, { id: '$m' });
    expect(await cutNow(one)).toBe(1);
    expect(await cutNow(one)).toBe(0);
  });
});
