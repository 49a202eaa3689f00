import { writeSync } from 'node:fs';
import { openNode } from '../../../src/node/open-node.js';
import { rollBackFolder } from '../../../src/node/migrations/roll-back-folder.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { systemClock } from '../../../src/time/clock.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';
import { routingOnly } from '../next-release.js';

/** Migrates a folder, or rolls it back, and kills itself at the nth file call of that; prints the calls when it lives. */
const [clusterId = '', dataDir = '', dieAt = '', what = ''] = process.argv.slice(2);
const files = watchFileCalls();
const at = dieAt === '' ? undefined : Number(dieAt);
if (what === 'rollback') {
  files.arm(at);
  await rollBackFolder({
    dataDir,
    to: 1,
    backup: undefined,
    dryRun: false,
    schemas: routingOnly,
    clock: systemClock,
    log: silentLog,
  });
  files.disarm();
} else {
  const node = await openNode({
    clusterId,
    dataDir,
    relays: [],
    found: true,
    schemas: routingOnly,
    backups: { everyMs: 0 },
    migrations: { auto: false },
  });
  const create = node.backups.create.bind(node.backups);
  // What a kill leaves of a backup is test/backup/kill.test.ts's.
  node.backups.create = async (reason) => {
    const made = await create(reason);
    files.arm(at);
    // What is acknowledged meanwhile, at whichever version, is not lost either.
    const write = {
      kind: 'room' as const,
      key: 'matrix_room:!b:x',
      fields: { title: { text: 'meanwhile' } },
    };
    await node.change([write], { id: '$m' });
    writeSync(1, 'acknowledged\n');
    return made;
  };
  await node.migrations.run();
  files.disarm();
  await node.close();
}
writeSync(1, `calls ${JSON.stringify(files.calls)}\n`);
