import { writeSync } from 'node:fs';
import { restoreFolder } from '../../../src/node/backup/restore-folder.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';

/** Restores a backup into a folder, and kills itself at the nth file call of that; prints the calls when it lives. */
const [clusterId = '', dataDir = '', dieAt = '', path = ''] = process.argv.slice(2);
const files = watchFileCalls();
files.arm(dieAt === '' ? undefined : Number(dieAt));
await restoreFolder({ path, dataDir, dryRun: false, clusterId, log: silentLog });
files.disarm();
writeSync(1, `calls ${JSON.stringify(files.calls)}\n`);
