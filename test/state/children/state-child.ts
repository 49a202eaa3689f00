import { writeSync } from 'node:fs';
import { openNode, openState } from '../../../src/index.js';
import { entry, report, task } from './said.js';

/** Saves tasks, log lines, reports and snapshots for ever, and prints `<what> <n>` once n of it is acknowledged. */
const [dataDir = '', clusterId = '', from = '1'] = process.argv.slice(2);
const say = (what: string, n: number) => writeSync(1, `${what} ${n}\n`);

const node = await openNode({ clusterId, dataDir, relays: [], found: true, shards: 1 });
const state = await openState(node, { dir: dataDir, autosaveMs: 5 });
say('booted', 0);

async function forever(what: string, save: (n: number) => Promise<unknown>): Promise<never> {
  for (let n = Number(from); ; n += 1) {
    await save(n);
    say(what, n);
  }
}

await Promise.all([
  forever('task', (n) => state.saveTask(task(n))),
  forever('line', (n) => state.saveSessionLog('s', [entry(n)])),
  forever('report', (n) => state.saveReport('r', report(n))),
  forever('state', async () => state.saveState()),
]);
