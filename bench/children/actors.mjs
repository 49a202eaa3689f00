/** A state node alone on its folder that holds many actors: makes them, moves them, opens and folds them. */
import { openNode } from '../../dist/index.js';
import { conversation, eventAfter, events, stateAfter } from './actor-machine.mjs';
import { cpuMsSince, memoryMb, moving } from './actors-in-flight.mjs';
import { roomId } from './records.mjs';
import { serve, sharedNow } from './serve.mjs';

let node;
let sent = 0;
/** Events that each actor has taken. */
const turns = [];

const keyOf = (index) => `conversation/${roomId(index)}`;

async function send(index, before) {
  sent += 1;
  const cause = { id: `$${process.pid}-${sent}-abcdefghijklmnopqrstuvwxyz0123456789`, ts: Date.now() };
  await node.actors.get(keyOf(index)).send(eventAfter(before), { cause });
}

serve(
  {
    async open({ dir, clusterId, actors, events: taken = 0, found = false, durability = 'fsync' }) {
      turns.push(...Array.from({ length: actors }, () => taken));
      const { rssMb } = memoryMb();
      const before = { at: sharedNow(), rssMb, cpu: process.cpuUsage() };
      node = await openNode({
        clusterId,
        dataDir: dir,
        relays: [],
        found,
        durability,
        signal: AbortSignal.timeout(120_000),
      });
      node.actors.register(conversation, { events });
      await node.actors.ready();
      const ms = sharedNow() - before.at;
      const cpuMs = cpuMsSince(before.cpu);
      return { ms, cpuMs, rssMb: memoryMb().rssMb - before.rssMb };
    },
    /** Every actor takes events, each in a change of its own. */
    async fill({ actors, events: each }) {
      for (let turn = 0; turn < each; turn += 1) {
        await moving({ actors, inFlight: 256, count: actors, turns, send });
      }
      await node.flush();
    },
    move: (plan) => moving({ ...plan, turns, send }),
    /** One actor: what somebody who asks for it waits, once open. */
    one({ index }) {
      const start = sharedNow();
      const { value } = node.actors.get(keyOf(index)).snapshot();
      return { ms: sharedNow() - start, value: JSON.stringify(value) };
    },
    /** Every actor's state, asked for one after the other. */
    fold({ actors, events: taken, from = 0 }) {
      const before = memoryMb();
      const start = sharedNow();
      const cpu = process.cpuUsage();
      for (let index = from; index < actors; index += 1) {
        const { value } = node.actors.get(keyOf(index)).snapshot();
        if (JSON.stringify(value) !== stateAfter(taken))
          throw new Error(`${keyOf(index)} is not as it was left`);
      }
      const ms = sharedNow() - start;
      const cpuMs = cpuMsSince(cpu);
      const after = memoryMb();
      return { ms, cpuMs, rssMb: after.rssMb - before.rssMb, heapMb: after.heapMb - before.heapMb };
    },
  },
  () => node?.close(),
);
