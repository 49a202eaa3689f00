import { describe, expect, it } from 'vitest';
import type { Relay, StateNode } from '../../src/index.js';
import { eventually, folder, MemoryStorage, relay, sameHeads } from '../node/world.js';
import { counted, cutNow, cutting, generationOf, send, standing } from './world.js';

/** GENERATION_SCHEDULES=50 tries as many; a seed that fails is in the test's name. */
const SEEDS = Array.from({ length: Number(process.env['GENERATION_SCHEDULES'] ?? 4) }, (_, at) => at + 1);

/** Replicas that each have a relay of their own, and one in common that can be taken away. */
async function sides(count: number) {
  const storage = new MemoryStorage();
  let common: Relay = await relay({ storage });
  const own = await Promise.all(Array.from({ length: count }, () => relay()));
  const dirs = await Promise.all(own.map(() => folder()));
  const open = (at: number) => cutting([own[at]!, common], { dataDir: dirs[at]! });
  const nodes: StateNode[] = [];
  for (const at of own.keys()) nodes.push(await open(at));
  await together(nodes);
  return {
    nodes,
    restart: async (at: number): Promise<void> => {
      await nodes[at]!.close();
      nodes[at] = await open(at);
    },
    part: async (): Promise<void> => {
      await common.close();
      await eventually(() =>
        nodes.every((one) => one.relays().filter(({ state }) => state === 'open').length === 1),
      );
    },
    join: async (): Promise<void> => {
      common = await relay({ storage, port: common.port });
      await together(nodes);
    },
  };
}

async function together(nodes: StateNode[]): Promise<void> {
  await eventually(() => sameHeads(...nodes));
}

const numbered = (count: number, from = 1) =>
  Array.from({ length: count }, (_, at) => `$${at + from}`).sort();

describe('replicas apart', () => {
  it('A6-late: what one of them wrote to the earlier generation counts once in the next, marked late', async () => {
    const { nodes, part, join } = await sides(2);
    const [one, two] = nodes as [StateNode, StateNode];
    await send(one, '$1', 100);
    await eventually(() => counted(two).length === 1);
    await part();
    await send(two, '$2', 50);
    expect(await cutNow(one)).toBe(1);
    await send(one, '$3', 300);
    await join();
    for (const side of nodes) {
      expect(standing(side)).toEqual({ base: ['$1'], events: ['$2', '$3'], late: ['$2'] });
      expect(side.provenance('event', 'event:light/!room:x $2')!['event']!.stamp).toBe(50);
    }
  });

  it('A6-fork: two that each cut twice come to one generation, and every event counts once', async () => {
    const { nodes, part, join } = await sides(2);
    const [one, two] = nodes as [StateNode, StateNode];
    await send(one, '$1', 100);
    await eventually(() => counted(two).length === 1);
    await part();
    let event = 2;
    for (let round = 0; round < 2; round += 1) {
      for (const side of nodes) {
        await send(side, `$${event}`, event * 100);
        event += 1;
        expect(await cutNow(side)).toBe(1);
      }
    }
    await send(one, `$${event}`, event * 100);
    expect(generationOf(one)).not.toBe(generationOf(two));
    await join();
    await eventually(() => generationOf(one) === generationOf(two));
    await eventually(() => nodes.every((side) => counted(side).length === event));
    for (const side of nodes) expect(counted(side)).toEqual(numbered(event));
    expect(await cutNow(one)).toBe(1);
    await together(nodes);
    for (const side of nodes) expect(standing(side)).toEqual({ base: numbered(event), events: [], late: [] });
  });

  it('A6-keep: what only one holds of a losing generation counts also after a restart, when the other has gone on', async () => {
    const { nodes, part, join, restart } = await sides(2);
    await part();
    for (const round of [0, 1, 2]) {
      await send(nodes[0]!, `$${round * 2 + 1}`, 100 + round);
      await send(nodes[1]!, `$${round * 2 + 2}`, 200 + round);
      expect(await cutNow(nodes[0]!)).toBe(1);
      expect(await cutNow(nodes[1]!)).toBe(1);
    }
    await restart(0);
    await restart(1);
    await join();
    await eventually(() => nodes.every((side) => counted(side).length === 6));
    for (const side of nodes) expect(counted(side)).toEqual(numbered(6));
  });
});

describe('any schedule', () => {
  it.each(SEEDS)(
    'A6-schedule: of events, cuts, partings and restarts ends with every event counted once (seed %i)',
    async (seed) => {
      const { nodes, part, join, restart } = await sides(3);
      let state = seed * 7919;
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return Math.floor((state / 2147483648) * below);
      };
      // Apart from the start: what is written and cut on several sides is what can go wrong.
      await part();
      let apart = true;
      let event = 0;
      const log: string[] = [];
      for (let step = 0; step < 24; step += 1) {
        const at = random(nodes.length);
        const what = random(10);
        log.push(`${what}@${at}`);
        if (what < 5) await send(nodes[at]!, `$${++event}`, 1000 + random(1000));
        else if (what < 8) await cutNow(nodes[at]!);
        else if (what === 8) await restart(at);
        else {
          if (apart) await join();
          else await part();
          apart = !apart;
        }
      }
      if (apart) await join();
      await together(nodes);
      await eventually(() => nodes.every((side) => counted(side).length >= event));
      await together(nodes);
      for (const side of nodes) expect(counted(side), log.join(' ')).toEqual(numbered(event));
      expect(new Set(nodes.map(generationOf)).size).toBe(1);
    },
    90_000,
  );
});
