// Takes each rule of the protocol out, one patch at a time, and expects the tests that are named after it to go red.
//   npm run mutants              all of them
//   npm run mutants -- D3 C2     those whose name begins so
// A patch is named after what it takes out; `D3-parts.patch` is held by the tests named `D3-parts: …`.
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const patches = dirname(fileURLToPath(import.meta.url));
const tree = join(patches, '..', '..');
const copied = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
const deadlineMs = 240_000;

const wanted = process.argv.slice(2);
const names = (await readdir(patches))
  .filter((file) => file.endsWith('.patch'))
  .map((file) => file.slice(0, -'.patch'.length))
  .filter((name) => wanted.length === 0 || wanted.some((one) => name.startsWith(one)))
  .sort();

/** Runs a command to its end, or to the deadline: a mutant may well loop for ever. */
function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      detached: true,
      env: { ...process.env, CI: '1', NO_COLOR: '1' },
    });
    let output = '';
    let late = false;
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, deadlineMs);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output, late });
    });
  });
}

const plain = (name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/**
 * The file or folder with the tests of a rule: the platform's are tested on the platform, what storage rests on (S) by
 * the storage's own tests, those of generations on nodes, those of actors on actors; every other, and what the bot makes of its actors, on the simulated world.
 */
function placeOf(name) {
  if (name.startsWith('P2')) return 'test/platform/service.test.ts';
  if (name === 'P5-platform') return 'test/platform/approvals.test.ts';
  if (name.startsWith('S-')) return 'test/storage';
  if (name.startsWith('A6')) return 'test/generations';
  if (name.startsWith('V-')) return placeOfVersion(name);
  if (name.startsWith('R-')) return 'test/sync';
  if (name.startsWith('K1')) return 'test/claims';
  if (name.startsWith('B-')) return 'test/backup';
  if (name.startsWith('N-')) return 'test/matrix-storage';
  if (name.startsWith('E-')) return 'test/erasure';
  if (name.startsWith('T-')) return 'test/state';
  if (name.startsWith('X-')) return 'test/doctor';
  if (name.startsWith('W-')) return 'test/node';
  if (name.startsWith('H-')) return 'test/history';
  if (name.startsWith('M-')) return 'test/matrix';
  const isOfBot = name.endsWith('-bot') || name.endsWith('-newer');
  return /^A[1-5]-/.test(name) && !isOfBot ? 'test/actors/rules.test.ts' : 'test/rules';
}

/** Of the data format's versions: the steps themselves, what goes along unknown, and nodes. */
function placeOfVersion(name) {
  const files = {
    passing: ['V-foreign', 'V-late', 'V-base', 'V-audit'],
    run: ['V-members', 'V-backup', 'V-ahead'],
    reader: ['V-reader'],
    folder: ['V-held'],
  };
  const [file] = Object.entries(files).find(([, names]) => names.includes(name)) ?? ['steps'];
  return `test/migrations/${file}.test.ts`;
}

/** What became of one mutant: `red` is what is wanted. */
async function judge(name) {
  const copy = await mkdtemp(join(tmpdir(), `understudy-mutant-${name}-`));
  try {
    for (const path of copied) await cp(join(tree, path), join(copy, path), { recursive: true });
    await symlink(join(tree, 'node_modules'), join(copy, 'node_modules'));
    const applied = await run('patch', ['-p1', '--fuzz=0', '-i', join(patches, `${name}.patch`)], copy);
    if (applied.code !== 0) return { verdict: 'no longer applies', output: applied.output };
    const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', '--reporter=json'];
    const filter = [placeOf(name), '-t', `(^| )${plain(name)}: `, '--testTimeout=20000'];
    const tested = await run(process.execPath, [...args, ...filter], copy);
    if (tested.late) return { verdict: 'red', output: 'did not end' };
    const found = /\{"numTotalTestSuites".*\}/s.exec(tested.output);
    if (!found) return { verdict: 'no tests ran', output: tested.output };
    const { numTotalTests, numPendingTests, numPassedTests, numFailedTests, testResults } = JSON.parse(
      found[0],
    );
    // A file that cannot even be loaded fails too, and proves nothing.
    const broken = testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
    );
    if (broken.length > 0)
      return { verdict: 'does not load', output: broken.map(({ message }) => message).join('\n') };
    if (numFailedTests > 0)
      return { verdict: 'red', output: `${numFailedTests} of ${numFailedTests + numPassedTests}` };
    if (numTotalTests - numPendingTests > numPassedTests) return { verdict: 'red', output: 'crashed' };
    return {
      verdict: numPassedTests === 0 ? 'no tests ran' : 'SURVIVED',
      output: `${numPassedTests} passed`,
    };
  } finally {
    await rm(copy, { recursive: true, force: true, maxRetries: 10 });
  }
}

const results = new Map();
const queue = names.values();
async function work() {
  for (const name of queue) {
    const result = await judge(name);
    results.set(name, result);
    process.stdout.write(`${name.padEnd(16)} ${result.verdict.padEnd(18)} ${result.output.split('\n')[0]}\n`);
    if (!['red', 'SURVIVED'].includes(result.verdict)) process.stdout.write(`${result.output}\n`);
  }
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
const wrong = [...results].filter(([, { verdict }]) => verdict !== 'red').map(([name]) => name);
process.stdout.write(
  `\n${results.size - wrong.length} of ${results.size} rules taken out were noticed` +
    (wrong.length > 0 ? `; not: ${wrong.join(', ')}\n` : '\n'),
);
process.exitCode = wrong.length > 0 || results.size === 0 ? 1 : 0;
