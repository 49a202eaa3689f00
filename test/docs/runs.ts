import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const clusterId = 'a cluster of the guide';

/** What the page takes as given. */
const prelude = (dataDir: string) => `
const clusterId = ${JSON.stringify(clusterId)};
const dataDir = ${JSON.stringify(dataDir)};
async function until(isSo) {
  const deadline = AbortSignal.timeout(60_000);
  while (!isSo()) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
`;

/** Runs a module in the repository's root; rejects, with what it wrote, when a promise in it does not hold. */
export async function runs(program: string): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'understudy-guide-'));
  try {
    const args = ['--input-type=module', '--eval', prelude(dataDir) + program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 110_000 });
    return stdout;
  } finally {
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
  }
}
