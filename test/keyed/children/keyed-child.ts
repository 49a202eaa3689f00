import { writeSync } from 'node:fs';
import { openNode, systemClock, type Clock } from '../../../src/index.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';
import { CLUSTER, VOTES } from './votes.js';

/** What a child does with the folder; it kills itself at the nth file call of that. */
export interface Plan {
  dir: string;
  /** `consume`: takes `k`. `rotate`: starts days later, when the windows on its disk are over, and registers `new`. */
  do: 'consume' | 'rotate';
  /** What its clock shows too much, milliseconds. */
  ahead: number;
  dieAt?: number;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const say = (line: string) => writeSync(1, `${line}\n`);
const files = watchFileCalls();
const clock: Clock = { ...systemClock, now: () => systemClock.now() + plan.ahead };
const node = await openNode({
  clusterId: CLUSTER,
  dataDir: plan.dir,
  relays: [],
  shards: 1,
  found: true,
  durability: 'fsync',
  clock,
});
if (plan.do === 'rotate') files.arm(plan.dieAt);
const store = await node.openKeyedStore(VOTES);
if (plan.do === 'consume') {
  files.arm(plan.dieAt);
  say(`took ${String(store.consume('k'))}`);
} else {
  store.register('new', 2);
}
if (await store.flush()) say('acknowledged');
await node.close();
say(`calls ${JSON.stringify(files.calls)}`);
process.exit(0);
