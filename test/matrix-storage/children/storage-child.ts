import { writeSync } from 'node:fs';
import { openNode } from '../../../src/index.js';

/** Sets tokens and values, one after the other, and says what was acknowledged, until it is killed. */
const [dataDir = '', clusterId = '', from = '1'] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);
const node = await openNode({ clusterId, dataDir, relays: [], found: true, shards: 1, durability: 'fsync' });
const storage = node.matrixStorage();
for (let n = Number(from); ; n += 1) {
  await storage.setSyncToken(`s${n}`);
  say(`token ${n}`);
  await storage.storeValue('k', `v${n}`);
  say(`value ${n}`);
}
