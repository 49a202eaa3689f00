import { writeSync } from 'node:fs';
import { openNode } from '../../../src/node/open-node.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';

/** Makes a backup in a folder, and kills itself at the nth file call of that; prints the calls when it lives. */
const [clusterId = '', dataDir = '', dieAt = ''] = process.argv.slice(2);
const files = watchFileCalls();
const node = await openNode({
  clusterId,
  dataDir,
  relays: [],
  found: true,
  backups: { everyMs: 0, keep: 1 },
});
files.arm(dieAt === '' ? undefined : Number(dieAt));
await node.backups.create('asked');
files.disarm();
await node.close();
writeSync(1, `calls ${JSON.stringify(files.calls)}\n`);
