/**
 * `npm run bench`: measures the product beside what it is compared with, on this machine and in one run, and prints
 * what was aimed at and what was measured. Speed never fails it; a measurement that cannot be made does.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './program.mjs';

const KEYS = 20_000;
const QUICK_KEYS = 2_000;
const MEASURES = ['replication', 'changes', 'opening', 'storage', 'backup', 'actors', 'failover'];
const USAGE = `npm run bench -- [--only NAME]… [--quick] [--json]

  --only NAME  ${MEASURES.join(', ')}; may be given several times
  --quick      few, short runs at ${QUICK_KEYS} rooms: to see that it works, not to compare
  --json       the numbers of every run, as one JSON object on stdout
`;

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const unknown = (values.only ?? []).filter((name) => !MEASURES.includes(name));
    if (unknown.length > 0) throw new Error(`there is no measurement ${unknown.join(', ')}`);
    return values;
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const options = parse();
if (options.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
if (process.env.UNDERSTUDY_BUILT !== '1') {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  const { status } = spawnSync(process.execPath, tsc, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}

// What follows loads `dist/`, which the build has just made.
const { print, machine } = await import('./print.mjs');
const { RoomsFolder } = await import('./rooms-folder.mjs');
const scratch = await mkdtemp(join(tmpdir(), 'understudy-bench-'));
// Also after Ctrl-C; what was measured has been killed by then (program.mjs).
process.once('exit', () =>
  rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
);
const rooms = options.quick ? QUICK_KEYS : KEYS;
const context = { scratch, rooms, quick: options.quick, folder: new RoomsFolder(scratch, rooms) };
const report = { machine: machine(), quick: options.quick, results: {}, failures: {} };
for (const name of MEASURES.filter((one) => options.only?.includes(one) ?? true)) {
  const { measure, lines } = await import(`./${name}.mjs`);
  try {
    const result = await measure(context);
    report.results[name] = result;
    if (!options.json) print.result(name, lines(result), result);
  } catch (error) {
    report.failures[name] = error.message;
    process.stderr.write(`${name} could not be measured: ${error.stack}\n`);
  }
}
if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else print.aims(report);
process.exitCode = Object.keys(report.failures).length > 0 ? 1 : 0;
