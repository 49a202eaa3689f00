import { writeSync } from 'node:fs';
import { connectRelays } from '../../../src/sync/connect.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { sleep, systemClock } from '../../../src/time/clock.js';
import { claiming, wordOf } from '../world.js';

/** Claims one key, says what came of it, and lives until it is killed. */
const [url = '', clusterCheck = '', relay = '', key = '', leaseMs = ''] = process.argv.slice(2);
const relays = connectRelays({
  self: { replica: 'holder', incarnation: 'i' },
  relays: [{ url }],
  clusterCheck,
  clock: systemClock,
  log: silentLog,
});
while (relays.named().length === 0) await sleep(systemClock, 10);
const request = claiming(key, { ballot: { term: 1, relay }, leaseMs: Number(leaseMs) });
const answer = await relays.claims(relay, request, 30_000);
writeSync(1, `${answer === undefined ? 'nothing' : wordOf(answer)}\n`);
