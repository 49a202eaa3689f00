/** A state node alone on its folder: fills it with rooms, opens it, changes it. */
import { openNode } from '../../dist/index.js';
import { renameWrite, roomWrite } from './records.mjs';
import { serve, sharedNow } from './serve.mjs';

const BATCH = 512;
const MB = 1024 * 1024;
let node;
let turn = 0;

const residentMb = () => process.memoryUsage().rss / MB;

/** Keeps `inFlight` changes under way until all are durable, or until the time is up; resolves to how many were. */
async function changing({ rooms, count, inFlight, forMs = Infinity }) {
  const until = performance.now() + forMs;
  let begun = 0;
  turn += 1;
  const work = async () => {
    while (begun < count && performance.now() < until) {
      begun += 1;
      // A step without a common divisor: neighbours in time are not neighbours in the data.
      const { write, cause } = renameWrite((begun * 7919) % rooms, `${turn}-${begun}`);
      await node.change([write], cause);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return begun;
}

serve(
  {
    async open({ dir, clusterId, found = false, durability = 'fsync' }) {
      const before = { at: sharedNow(), rssMb: residentMb(), cpu: process.cpuUsage() };
      node = await openNode({
        clusterId,
        dataDir: dir,
        relays: [],
        found,
        durability,
        signal: AbortSignal.timeout(120_000),
      });
      const ms = sharedNow() - before.at;
      const rssMb = residentMb();
      const peakMb = process.resourceUsage().maxRSS / 1024;
      const { user, system } = process.cpuUsage(before.cpu);
      return { ms, cpuMs: (user + system) / 1000, rssMb, peakMb, emptyRssMb: before.rssMb };
    },
    /** One change per room, as rooms come to be. */
    async fill({ rooms }) {
      for (let first = 0; first < rooms; first += BATCH) {
        const batch = Array.from({ length: Math.min(BATCH, rooms - first) }, (_, offset) =>
          roomWrite(first + offset),
        );
        await Promise.all(batch.map(({ write, cause }) => node.change([write], cause)));
      }
    },
    count() {
      let rooms = 0;
      for (const [, record] of node.entries('room')) if (record.platform_chat_id !== undefined) rooms += 1;
      return rooms;
    },
    async change(plan) {
      const start = sharedNow();
      const count = await changing(plan);
      return { count, ms: sharedNow() - start };
    },
  },
  () => node?.close(),
);
