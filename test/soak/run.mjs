// Runs the long variants of tests, hours of them where that is what it takes, and prints their figures as a report.
// A test takes its long way under UNDERSTUDY_SOAK=1, for UNDERSTUDY_SOAK_MINUTES where it can, and says each figure
// on a line of its own that begins `soak: `; of a line that is said again (`soak: what: …`) the last counts.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const tree = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Which tests a part is, how many minutes it takes unless it is told, and what it is about. */
const parts = {
  relay: {
    files: ['test/sync/attacked.test.ts', 'test/sync/bombed.test.ts', 'test/sync/subsets.test.ts'],
    about:
      'a relay under attack: 1,000,000 frames through the parser, 20,000 over sockets, 5,000 connections',
  },
  frames: {
    files: ['test/sync/attacked.test.ts'],
    only: 'fuzzed frames over sockets',
    env: { UNDERSTUDY_SOAK_FRAMES: '1000000' },
    minutes: 60,
    about: '1,000,000 fuzzed frames over sockets at a relay with which two replicas work',
  },
  kills: {
    files: [
      'test/actors/kill-effects.test.ts',
      'test/actors/kill-transition.test.ts',
      'test/backup/kill.test.ts',
      'test/claims/kill.test.ts',
      'test/erasure/kill.test.ts',
      'test/generations/growth.test.ts',
      'test/keyed/kill.test.ts',
      'test/migrations/kill.test.ts',
      'test/seed/kill.test.ts',
    ],
    about:
      'killed at each call to the disk, where `npm test` draws some of them; 100,000 events of one actor',
  },
  starts: {
    files: ['test/damage/starts.test.ts'],
    about: 'a real start for every kind of file and every kind of damage',
  },
  corruption: {
    files: ['test/soak/corruption.test.ts'],
    minutes: 30,
    about: 'every bit of a big folder flipped, in an order that covers it evenly, with real starts between',
  },
  hostile: {
    files: ['test/matrix/fuzz.test.ts'],
    only: 'M-fuzz',
    minutes: 30,
    about:
      'hostile events through both replicas of a simulated world, 1,000 to a world, with prompts among them',
  },
  commands: {
    files: ['test/e2e/commands-killed.test.ts'],
    project: 'world',
    about: 'every command killed before and after each of its steps, taken over by the other replica',
  },
  crowd: {
    files: ['test/e2e/crowd.test.ts'],
    project: 'world',
    about:
      '10,000 prompts and 2,000 pictures of two people, and a planted leak that must be seen (UNDERSTUDY_SOAK_PROMPTS: others)',
  },
  saves: {
    files: ['test/soak/saves.test.ts'],
    minutes: 60,
    about:
      'a replica under save load, killed again and again, its disk failing now and then: nothing acknowledged lost',
  },
};

const names = Object.keys(parts);
const usage = `Usage: npm run soak -- [part …] [--minutes N]

Runs the long variants of tests and prints a report; Ctrl-C ends them and prints the report so far.

${names.map((name) => `  ${name.padEnd(11)} ${parts[name].about}`).join('\n')}

  --minutes N  how long each part with a time of its own may take (${names
    .filter((name) => parts[name].minutes)
    .map((name) => `${name} ${parts[name].minutes}`)
    .join(', ')})
  --help       this text

Examples:
  npm run soak                              all parts
  npm run soak -- corruption --minutes 3    a short look
  npm run soak -- saves --minutes 480       over night
  FUZZ_SEED=7 npm run soak -- frames        a run that failed, again
`;

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

let asked;
try {
  asked = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: 'string' }, help: { type: 'boolean' } },
  });
} catch (error) {
  fail(`${error.message}\n\n${usage}`);
}
const { positionals: wanted, values } = asked;
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) fail(`there is no part ${unknown.join(', ')}; there are ${names.join(', ')}`);
const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
if (minutes !== undefined && !(minutes > 0)) fail(`--minutes ${values.minutes}: say a number above 0`);

let isStopped = false;
let running;
process.on('SIGINT', () => {
  // A terminal has told the child too; where only this process was told, it is told here.
  isStopped = true;
  running?.kill('SIGINT');
});

/** Runs one part to its end; resolves to its exit code. Its figures go into `figures` as it says them. */
function run({ files, only, env, minutes: usual, project = 'unit' }, figures) {
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    project,
    '--testTimeout=86400000',
    '--hookTimeout=600000',
  ];
  running = spawn(process.execPath, [...args, ...(only ? ['-t', only] : []), ...files], {
    cwd: tree,
    env: {
      ...process.env,
      UNDERSTUDY_SOAK: '1',
      ...(usual && { UNDERSTUDY_SOAK_MINUTES: String(minutes ?? usual) }),
      NO_COLOR: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let rest = '';
  running.stdout.setEncoding('utf8').on('data', (chunk) => {
    process.stdout.write(chunk);
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const what = /^(soak: [^:]+|FUZZ_SEED|SEED)/.exec(line)?.[1];
      if (what !== undefined) figures.set(what, line);
    }
  });
  return new Promise((resolve, reject) => {
    running.on('error', reject);
    running.on('close', (code) => resolve(code));
  });
}

const report = [];
for (const [name, part] of Object.entries(parts)) {
  if (isStopped || (wanted.length > 0 && !wanted.includes(name))) continue;
  const begin = performance.now();
  const figures = new Map();
  const code = await run(part, figures);
  const took = ((performance.now() - begin) / 60_000).toFixed(1);
  const verdict = isStopped ? 'stopped' : code === 0 ? 'passed' : 'FAILED';
  report.push(`${name}: ${verdict} after ${took} min`, ...[...figures.values()].map((line) => `  ${line}`));
  if (code !== 0) process.exitCode = isStopped ? 130 : 1;
}
process.stdout.write(`\n${report.join('\n')}\n`);
