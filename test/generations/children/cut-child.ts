import { writeSync } from 'node:fs';
import { openNode } from '../../../src/node/open-node.js';
import { nodeFiles } from '../../../src/storage/file-layer.js';
import { silentLog, type Log } from '../../../src/telemetry/log.js';
import { eventWrite, listingBases } from '../bases.js';

/**
 * Writes one event, prints `sent`, cuts, prints `cut`, and `done` when the earlier generation is gone; killed instead
 * of making the n-th change to the disk after `sent`.
 */
const [clusterId = '', dataDir = '', url = '', event = '', killAt = '0'] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

let removed = (): void => {};
const gone = new Promise<void>((resolve) => (removed = resolve));
const log: Log = {
  ...silentLog,
  info: (_fields: unknown, message?: string) => {
    if (message?.includes('counts no more') === true) removed();
  },
};

const node = await openNode({
  clusterId,
  dataDir,
  relays: [{ url }],
  replicaId: 'killed',
  shards: 1,
  durability: 'os',
  generations: { bases: listingBases, events: 1 },
  log,
});
await node.change([eventWrite(event, 1000)], { id: event, ts: 1000 });
say('sent');

let left = Number(killAt);
const before =
  <A extends unknown[]>(act: (...args: A) => Promise<void>) =>
  (...args: A) => {
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
    return act(...args);
  };
nodeFiles.rename = before(nodeFiles.rename);
nodeFiles.remove = before(nodeFiles.remove);

if ((await node.cutIfDue({ mayCut: () => true })) === 1) say('cut');
await gone;
await node.close();
say('done');
