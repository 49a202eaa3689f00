import { writeSync } from 'node:fs';
import { openNode, systemClock } from '../../../src/index.js';
import { seedLedger } from '../../../src/seed/ledger.js';
import { seedGenesis } from '../../../src/seed/seed.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';

/**
 * Seeds a scaffold into a node's folder and prints `calls` with what it did to the disk; killed instead of making the
 * call of that number.
 */
const [clusterId = '', dataDir = '', agentsFile = '', machinesDir = '', dieAt = ''] = process.argv.slice(2);
const files = watchFileCalls();
const node = await openNode({
  clusterId,
  dataDir,
  relays: [],
  shards: 1,
  found: true,
  durability: 'fsync',
});
files.arm(dieAt === '' ? undefined : Number(dieAt));
const places = { agentsFile, machinesDir, env: {} };
const seeded = await seedGenesis(seedLedger(node, systemClock), 'first', ['writer', 'ticket'], places);
files.disarm();
writeSync(1, `calls ${JSON.stringify(files.calls)}\n`);
writeSync(1, `seeded ${JSON.stringify(seeded)}\n`);
await node.close();
process.exit(0);
