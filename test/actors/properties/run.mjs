// Replays random schedules of actors: a whole run by its seed, or one schedule by its path in that run.
//   npm run schedules -- --seed 123 [--path 70:0:4] [--runs 1000]
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const folder = dirname(fileURLToPath(import.meta.url));
const tree = join(folder, '..', '..', '..');
const { values } = parseArgs({
  options: { seed: { type: 'string' }, path: { type: 'string' }, runs: { type: 'string' } },
});
for (const name of ['seed', 'runs']) {
  if (values[name] !== undefined && !/^\d+$/.test(values[name])) {
    process.stderr.write(`--${name} is a number, not ${JSON.stringify(values[name])}\n`);
    process.exit(2);
  }
}
const wished = Object.entries(values).map(([name, value]) => [`SCHEDULES_${name.toUpperCase()}`, value]);
const child = spawn(
  process.execPath,
  [
    join(tree, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--project',
    'unit',
    join(folder, 'schedules-first.test.ts'),
  ],
  { cwd: tree, stdio: 'inherit', env: { ...process.env, ...Object.fromEntries(wished) } },
);
child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
