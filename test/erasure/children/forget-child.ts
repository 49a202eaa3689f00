import { writeSync } from 'node:fs';
import { registerOwn } from '../../../src/bot/actors/own.js';
import { openNode } from '../../../src/node/open-node.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';

/** Forgets a person and cuts, and kills itself at the nth file call of that; prints the calls when it lives. */
const [clusterId = '', dataDir = '', person = '', dieAt = ''] = process.argv.slice(2);
const files = watchFileCalls();
const node = await openNode({
  clusterId,
  dataDir,
  relays: [],
  found: true,
  generations: { everyMs: 0 },
  backups: { everyMs: 0 },
});
registerOwn(node.actors);
files.arm(dieAt === '' ? undefined : Number(dieAt));
await node.erasure.forget(person);
await node.cutIfDue({ mayCut: () => true });
files.disarm();
await node.close();
writeSync(1, `calls ${JSON.stringify(files.calls)}\n`);
