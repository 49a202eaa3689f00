import { writeSync } from 'node:fs';
import { recordsIn } from '../../../src/sync/claim-records.js';
import { RelayClaims } from '../../../src/sync/relay-claims.js';
import { DurableStorage } from '../../../src/storage/durable.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { watchFileCalls } from '../../actors/children/file-calls.js';
import { claiming, committing, patientClock } from '../world.js';

/**
 * The claims of a relay over its folder: starts, gives a key out, takes it for good, and says each when it is answered.
 * At the nth file call it dies.
 */
const [dir = '', dieAt = ''] = process.argv.slice(2);
const files = watchFileCalls();
files.arm(dieAt === '' ? undefined : Number(dieAt));
const say = (word: string, more: unknown = '') => writeSync(1, `${word} ${JSON.stringify(more)}\n`);

const records = recordsIn(new DurableStorage({ dir, log: silentLog }));
const claims = new RelayClaims({ head: records, parts: records, clock: patientClock, log: silentLog });
await claims.open();
say('opened');
const ballot = { term: 1, relay: claims.relay ?? '' };
const granted = await claims.answer(
  claiming('k', { ballot, request: 'the-one', worker: 'w', leaseMs: 60_000 }),
  'a',
);
if (granted?.is !== 'granted') throw new Error(`not granted: ${JSON.stringify(granted)}`);
say('granted', granted.token);
const committed = await claims.answer(committing('k', granted.token, { ballot }), 'a');
say(committed?.is ?? 'nothing');
files.disarm();
say('calls', files.calls);
process.exit(0);
