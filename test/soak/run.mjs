// Runs the long variants of tests, hours of them where that is what it takes, and prints their figures as a report.
//   npm run soak               all parts
//   npm run soak -- relay      one of them
// A test takes its long way under UNDERSTUDY_SOAK=1, and says each figure on a line of its own that begins `soak: `.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tree = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Which files hold the tests of a part. */
const parts = {
  relay: ['test/sync/attacked.test.ts'],
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  process.stderr.write(
    `there is no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}\n`,
  );
  process.exit(2);
}

/** Runs one part to its end; resolves to its exit code and the figures that it said. */
function run(files) {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', '--testTimeout=3600000'];
  const child = spawn(process.execPath, [...args, ...files], {
    cwd: tree,
    env: { ...process.env, UNDERSTUDY_SOAK: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const figures = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    process.stdout.write(chunk);
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    figures.push(...lines.filter((line) => /^(soak: |FUZZ_SEED=)/.test(line)));
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, figures }));
  });
}

const report = [];
for (const [name, files] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const begin = performance.now();
  const { code, figures } = await run(files);
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  report.push(
    `${name}: ${code === 0 ? 'passed' : 'FAILED'} in ${minutes} min`,
    ...figures.map((line) => `  ${line}`),
  );
  if (code !== 0) process.exitCode = 1;
}
process.stdout.write(`\n${report.join('\n')}\n`);
