/**
 * `npm run test:compose`: builds the image, brings docker-compose.yml up on whatever Docker engine answers, and ends
 * with one line: `N passed, N failed`. Without an engine it says so and is skipped; UNDERSTUDY_COMPOSE=required makes
 * that a failure. Arguments go on to vitest.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const missing = lacking(['docker', 'compose', 'version']) ?? lacking(['docker', 'info']);
if (missing === undefined) {
  process.exitCode = await test();
} else {
  const required = process.env.UNDERSTUDY_COMPOSE === 'required';
  process.stdout.write(`No Docker engine with Compose v2 answers (${missing}).\n`);
  process.stdout.write(required ? '0 passed, 1 failed\n' : 'Skipped.\n0 passed, 0 failed, 1 skipped\n');
  process.exitCode = required ? 1 : 0;
}

/** Why a command cannot be run, in its own last words; undefined when it can. */
function lacking([command, ...args]) {
  const ran = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  if (ran.status === 0) return undefined;
  const words = `${ran.stderr ?? ''}`.trim().split('\n').at(-1);
  return `${[command, ...args].join(' ')}: ${words || (ran.error?.message ?? `exit code ${ran.status}`)}`;
}

async function test() {
  const scratch = await mkdtemp(join(tmpdir(), 'us-compose-'));
  try {
    const report = join(scratch, 'report.json');
    const code = await vitest([
      'run',
      '--config',
      'test/compose/vitest.config.ts',
      '--reporter=verbose',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...process.argv.slice(2),
    ]);
    const counts = await counted(report);
    // A file that could not be loaded or a failed hook has no failed test to show for it.
    if (code !== 0 && counts.failed === 0) counts.failed += 1;
    const { passed, failed, skipped } = counts;
    process.stdout.write(
      `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
    );
    return failed > 0 || passed === 0 ? 1 : 0;
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Resolves to the exit code. A signal goes on to vitest, whose hooks take everything down. */
function vitest(args) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', ...args], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    child.once('error', fail);
    child.once('exit', done);
  });
}

async function counted(file) {
  try {
    const report = JSON.parse(await readFile(file, 'utf8'));
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
