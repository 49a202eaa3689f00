/**
 * `npm test`: builds, then runs every test, the quick ones first, and ends with one line over all of them:
 * `N passed, N failed` (and `, N skipped`). Arguments go on to vitest, as filters or options.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const filters = process.argv.slice(2);
// Short, because paths of sockets below it have to fit into 108 bytes.
const scratch = await mkdtemp(join(tmpdir(), 'us-'));
// PostgreSQL refuses to run as root: the user it runs as must reach its folder below this one.
await chmod(scratch, 0o711);
let current;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill(signal);
  });
}

const total = { passed: 0, failed: 0, skipped: 0 };
/** The failed tests, a line each, told once more at the end: the output before it is long. */
const failures = [];
try {
  if ((await node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])) === 0) {
    for (const project of ['unit', 'world']) add(await suite(project));
  } else {
    process.stderr.write('The build failed; no test was run.\n');
    total.failed += 1;
  }
} finally {
  await rm(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
const { passed, failed, skipped } = total;
for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exitCode = failed > 0 || passed === 0 || interrupted ? 1 : 0;

/** Runs one of the projects in vitest.config.ts and resolves to its counts. */
async function suite(project) {
  if (interrupted) return { passed: 0, failed: 0, skipped: 0 };
  const file = join(scratch, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    project,
    '--passWithNoTests',
    ...reporters,
  ];
  const code = await node([...args, ...filters], { UNDERSTUDY_BUILT: '1' });
  const counts = await counted(file);
  // A file that could not be loaded, a failed hook or an error outside of any test has no failed test to show for it.
  if (code !== 0 && counts.failed === 0) {
    process.stderr.write(`The ${project} tests ended with code ${code ?? 'none'} outside of any test.\n`);
    counts.failed += 1;
  }
  return counts;
}

async function counted(file) {
  try {
    const report = JSON.parse(await readFile(file, 'utf8'));
    for (const { name, message, assertionResults } of report.testResults) {
      const told = assertionResults.filter(({ status }) => status === 'failed');
      if (message) failures.push(`${relative(root, name)}: ${firstLine(message)}`);
      for (const { fullName, failureMessages } of told) {
        failures.push(`${relative(root, name)} > ${fullName}: ${firstLine(failureMessages[0] ?? '')}`);
      }
    }
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

function firstLine(text) {
  return text.split('\n', 1)[0].slice(0, 300);
}

function add(counts) {
  for (const kind of Object.keys(total)) total[kind] += counts[kind];
}

/**
 * Runs a Node program in the repository and resolves to its exit code, null when a signal ended it. It leads a process
 * group of its own, and whatever is left of that group when it ends is killed: no process under test outlives its run,
 * also one that was cut off.
 */
function node(args, env = {}) {
  return new Promise((resolve, reject) => {
    current = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...process.env, TMPDIR: scratch, ...env },
    });
    const { pid } = current;
    current.once('error', reject);
    current.once('exit', (code) => {
      endGroup(pid);
      resolve(code);
    });
  });
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody left is how it should be.
    if (error.code !== 'ESRCH') throw error;
  }
}
