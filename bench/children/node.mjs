/** A state node in a process of its own: changes records at a pace, or notes when each change shows here. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { openNode } from '../../dist/index.js';
import { encodeCbor } from '../../dist/sync/codec.js';
import { encodeFrame } from '../../dist/sync/frame.js';
import { roomWrite } from './records.mjs';
import { serve, sharedNow } from './serve.mjs';

const CONNECT_MS = 20_000;
const topicSchema = z.object({ docId: z.string(), bytes: z.instanceof(Uint8Array) });

let node;
const seen = new Map();
let frames = [];

serve(
  {
    async open({ dir, relay, clusterId, replica, shards }) {
      node = await openNode({
        clusterId,
        dataDir: dir,
        replicaId: replica,
        relays: [relay],
        shards,
        signal: AbortSignal.timeout(60_000),
      });
      node.onChange(({ key }) => seen.set(key, [...(seen.get(key) ?? []), sharedNow()]));
      // The bytes of each change as they crossed the relay, for the bare relay to carry too.
      node.channel.on('change', topicSchema, (body, from) => {
        const { replica: sender, incarnation } = from;
        const frame = ['channel', null, sender, incarnation, frames.length, 'change', encodeCbor(body)];
        frames.push(Buffer.from(encodeFrame(frame)).toString('base64'));
      });
    },
    async others() {
      const until = performance.now() + CONNECT_MS;
      while (node.channel.present().size === 0) {
        if (performance.now() > until) throw new Error('the other node did not connect');
        await pause(10);
      }
    },
    async write({ first, count, everyMs }) {
      const sent = [];
      const durable = [];
      for (let index = first; index < first + count; index += 1) {
        const { write, cause } = roomWrite(index);
        sent.push([write.key, sharedNow()]);
        durable.push(node.change([write], cause));
        await pause(everyMs);
      }
      await Promise.all(durable);
      return sent;
    },
    async synced() {
      if (!(await node.synced(CONNECT_MS))) throw new Error('the nodes did not come to the same state');
    },
    take() {
      const taken = { seen: [...seen].map(([key, [time]]) => [key, time]), frames };
      seen.clear();
      frames = [];
      return taken;
    },
  },
  () => node?.close(),
);
