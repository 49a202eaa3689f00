import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds `dist/`, which the processes under test run, unless the caller of the tests has just done so. */
export async function buildOnce(): Promise<void> {
  if (process.env['UNDERSTUDY_BUILT'] === '1') return;
  await promisify(execFile)(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    {
      cwd: root,
    },
  ).catch((error: Error & { stdout?: string }) => {
    // Half-done work elsewhere in the tree still gives a build to test with; `npm test` itself insists.
    process.stderr.write(`build: ${error.stdout ?? error.message}\n`);
  });
}
