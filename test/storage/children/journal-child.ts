import { writeSync } from 'node:fs';
import { silentLog } from '../../../src/telemetry/log.js';
import { openCounts } from './counts.js';

/** Appends from three places at once for ever and prints `<name> <n>` once count n is acknowledged. */
const [file = ''] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

say('booted');
const journal = await openCounts(file, { log: silentLog, compactAfter: 600 });

async function countUp(name: string): Promise<never> {
  for (let n = (journal.state.get(name) ?? 0) + 1; ; n += 1) {
    await journal.append([
      { name, n },
      { name: `${name}-twin`, n },
    ]);
    say(`${name} ${n}`);
  }
}

await Promise.all(['a', 'b', 'c'].map(countUp));
