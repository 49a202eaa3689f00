import * as A from '@automerge/automerge';
import type { PeerId } from '@automerge/automerge-repo';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { keysOf, putRecord } from '../../src/documents/document.js';
import { NodeCounters } from '../../src/node/counters.js';
import { FastPath } from '../../src/node/fast-path.js';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { nameOf } from '../../src/node/shards.js';
import type { Channel } from '../../src/sync/channel.js';
import { connectRelays } from '../../src/sync/connect.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { silentLog, systemClock } from '../../src/index.js';
import { CLUSTER, eventually, MemoryStorage, node, relay } from './world.js';

describe('bytes from a peer', () => {
  it('that are no change are counted and dropped, and the node goes on', async () => {
    const hub = await relay();
    const one = await node([hub]);
    const stranger = connectRelays({
      self: { replica: 'stranger', incarnation: 'x' },
      relays: [{ url: hub.url }],
      clusterCheck: clusterCheck(CLUSTER),
      clock: systemClock,
      log: silentLog,
    });
    try {
      await eventually(() => stranger.channel.present().has(one.self.replica));
      const docId = one.heads()[0]!.id;
      const other = A.change(A.init<Record<string, unknown>>(), (draft) => void (draft['schema'] = 9));
      for (const body of [
        { docId, bytes: new Uint8Array([1, 2, 3]) },
        { docId, bytes: new Uint8Array() },
        { docId: 'no-such-document', bytes: A.getLastLocalChange(other)! },
        { docId, bytes: 'text' },
        null,
      ]) {
        stranger.channel.broadcast('change', body);
      }
      stranger.channel.on('never', z.unknown(), () => {});
      await eventually(() => one.counters().refusedChanges === 3);
      await one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { chat_id: 'C1' } }], { id: '$1' });
      expect(one.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1' });
    } finally {
      stranger.close();
    }
  });
});

/** Two channels of replicas that hear each other, and no relay. */
function pairOfChannels(): [Channel, Channel] {
  const handlers: Map<string, (body: unknown) => void>[] = [new Map(), new Map()];
  const channel = (own: number): Channel => ({
    self: { replica: String(own), incarnation: 'x' },
    connected: () => true,
    present: () => new Map(),
    broadcast: (topic, body) => handlers[1 - own]!.get(topic)?.(body),
    send: () => expect.unreachable(),
    on(topic, schema, handle) {
      const from = { replica: String(1 - own), incarnation: 'x' };
      handlers[own]!.set(topic, (body) => handle(schema.parse(body), from));
      return () => handlers[own]!.delete(topic);
    },
    onPresence: () => () => {},
  });
  return [channel(0), channel(1)];
}

describe('the fast path', () => {
  it('carries every change by itself, in whatever order they arrive, without the Repo’s sync', async () => {
    const name = nameOf('routing', 0);
    const sides = await Promise.all(
      pairOfChannels().map(async (channel) => {
        const documents = new OpenDocuments({
          clusterId: 'c',
          peerId: channel.self.replica as PeerId,
          storage: new MemoryStorage(),
          clock: systemClock,
          log: silentLog,
          onIncomplete: () => expect.unreachable(),
          onFailed: () => {},
          onTouched: () => {},
        });
        const document = await documents.open(name);
        return { documents, document, path: new FastPath(channel, documents, new NodeCounters(), silentLog) };
      }),
    );
    const [one, two] = sides as [(typeof sides)[0], (typeof sides)[0]];
    const changes = Array.from({ length: 5 }, (_, index) =>
      one.documents.change(one.document, 'm', [], (draft) =>
        putRecord(
          draft,
          'room',
          `matrix_room:!${index}`,
          new Map([['chat_id', { value: 'C', stamp: 1, cause: '$' }]]),
        ),
      ),
    );
    for (const index of [3, 1, 4, 0, 2]) one.path.send(one.document, changes[index]!);
    expect(A.getHeads(two.document.handle.doc())).toEqual(A.getHeads(one.document.handle.doc()));
    expect(keysOf(two.document.handle.doc(), 'room', () => expect.unreachable())).toHaveLength(5);
  });
});

describe('handlers of changes', () => {
  it('may write, and one that throws stops nobody', async () => {
    const hub = await relay();
    const one = await node([hub]);
    const two = await node([hub]);
    const seen: string[] = [];
    two.onChange(() => {
      throw new Error('broken');
    });
    const written: Promise<void>[] = [];
    two.onChange(({ kind, key }) => {
      seen.push(key);
      if (kind !== 'room') return;
      const fields = { reason: 'answered' };
      written.push(two.change([{ kind: 'mark', key: `mark:${key.slice(12)} $1`, fields }], { id: '$1' }));
    });
    await one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { chat_id: 'C1' } }], {
      id: '$1',
      ts: 1,
    });
    await eventually(() => one.read('mark', 'mark:!a:x $1') !== undefined);
    await Promise.all(written);
    expect(seen).toContain('matrix_room:!a:x');
    expect(seen).toContain('mark:!a:x $1');
    expect(two.counters().failedHandlers).toBeGreaterThan(0);
  });
});

describe('a closed node', () => {
  it('refuses to write with a typed error, and closing twice is harmless', async () => {
    const one = await node([], { found: true });
    await one.close();
    await one.close();
    expect(one.status()).toEqual({ state: 'closed' });
    const write = one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { chat_id: 'C1' } }], {
      id: '$1',
    });
    await expect(write).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('members', () => {
  it('are registered once, seen at most daily, with the incarnation of their last start', async () => {
    const one = await node([], { found: true, replicaId: 'one' });
    const member = one.read('member', 'member:one')!;
    expect(member.incarnation).toBe(one.self.incarnation);
    expect(member.joined_at).toBe(member.last_seen_at);
  });
});
