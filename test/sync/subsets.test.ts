import { beforeAll, expect, test } from 'vitest';
import type { StateNode } from '../../src/index.js';
import { folder, node, sameHeads } from '../node/world.js';
import { seeded } from '../storage/random.js';
import { buildOnce } from '../world/build.js';
import { isSoak, report, seedOfRun } from './attack.js';
import { relayProcess, type RelayProcess } from './relay-process.js';
import { until } from './world.js';

// Several real relays, of which now these and now those are up: killed, frozen and started again in an order by chance.
beforeAll(buildOnce, 120_000);

const clusterId = 'cluster-of-the-subsets-test-0001';
const rounds = isSoak ? 40 : 3;
type State = 'up' | 'frozen' | 'dead';

async function bring(relay: RelayProcess, from: State, to: State): Promise<void> {
  if (from === to) return;
  if (from === 'frozen') relay.process.thaw();
  if (to === 'dead') await relay.process.kill();
  else if (from === 'dead') await relay.process.start();
  if (to === 'frozen') relay.process.freeze();
}

test(`whichever of three relays are up, what three nodes acknowledged is everywhere in the end, in ${rounds} rounds`, async () => {
  const random = seeded(seedOfRun());
  const below = (n: number) => Math.floor(random() * n);
  const settings = { UNDERSTUDY_CLUSTER_ID: clusterId };
  const relays = await Promise.all([1, 2, 3].map(() => relayProcess(settings)));
  const states: State[] = relays.map(() => 'up');
  const nodes: StateNode[] = [];
  for (const name of ['a', 'b', 'c']) {
    nodes.push(await node(relays, { clusterId, dataDir: await folder(), replicaId: name }));
  }
  const acknowledged: string[] = [];
  const write = async (one: StateNode, n: number): Promise<void> => {
    const key = `matrix_room:!${one.self.replica}-${n}:x`;
    await one.change([{ kind: 'room', key, fields: { chat_id: `C${n}` } }], { id: `$${key}` });
    acknowledged.push(key);
  };
  const missing = () => nodes.flatMap((one) => acknowledged.filter((key) => !one.read('room', key)));
  let [outages, quiet] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const next = states.map((): State => (['up', 'up', 'frozen', 'dead'] as const)[below(4)]!);
    if (!next.includes('up')) outages += 1;
    // While they change, too: a write must not hang on a relay.
    const changing = Promise.all(relays.map((relay, n) => bring(relay, states[n]!, next[n]!)));
    await Promise.all(nodes.flatMap((one) => [write(one, round), write(one, 1_000 + round)]));
    await changing;
    states.splice(0, states.length, ...next);
    await Promise.all(nodes.map((one) => write(one, 2_000 + round)));
    if (below(2) === 0 && next.includes('up')) {
      await until('all have all, by those that are up', () => missing().length === 0, 60_000);
      quiet += 1;
    }
  }
  // One alone is enough, and any of them.
  const last = below(3);
  await Promise.all(relays.map((relay, n) => bring(relay, states[n]!, n === last ? 'up' : 'dead')));
  await until('all have all, by one relay', () => missing().length === 0, 60_000);
  await until('the same', () => sameHeads(...nodes), 60_000);
  expect(acknowledged.length).toBe(9 * rounds);
  expect(relays.flatMap(({ process }) => process.crashes)).toEqual([]);
  report('three relays, any of them up', { rounds, 'all down': outages, 'met in between': quiet });
}, 600_000);
