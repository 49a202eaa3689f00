import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Relay, silentLog, startRelay, systemClock } from '../../src/index.js';
import { MemoryStorage } from '../node/world.js';
import { buildOnce } from '../world/build.js';
import { programOf } from './program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = new URL('../../docs/actors.md', import.meta.url);
const readme = new URL('../../README.md', import.meta.url);
const clusterId = 'a cluster of the guide';
const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});
beforeAll(buildOnce);

async function relay(): Promise<Relay> {
  const started = await startRelay({
    port: 0,
    tokens: undefined,
    storage: new MemoryStorage(),
    clock: systemClock,
    log: silentLog,
  });
  undo.push(() => started.close());
  return started;
}

/** What the page takes as given. */
const prelude = (dataDir: string) => `
const clusterId = ${JSON.stringify(clusterId)};
const dataDir = ${JSON.stringify(dataDir)};
async function until(isSo) {
  const deadline = AbortSignal.timeout(10_000);
  while (!isSo()) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
`;

/** Runs a module in the repository's root; rejects, with what it wrote, when a promise in it does not hold. */
async function runs(program: string): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'understudy-guide-'));
  undo.push(() => rm(dataDir, { recursive: true, force: true }));
  const args = ['--input-type=module', '--eval', prelude(dataDir) + program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 });
  return stdout;
}

describe('docs/actors.md', () => {
  it('is a program that does what its comments say', async () => {
    const program = programOf(page);
    expect(program.match(/assert\./gu)?.length).toBeGreaterThan(15);
    expect(program).not.toMatch(/\/\/ [→✗]/u);
    await runs(program);
  }, 120_000);
});

describe('README.md', () => {
  it('shows a program that runs, as it stands, beside a relay', async () => {
    const { url } = await relay();
    const program = programOf(readme).replace('ws://127.0.0.1:3030', url);
    const end = "await until(() => crossing.snapshot().value === 'green'); await node.close();";
    expect(await runs(`${program}\n${end}`)).toContain('off → red\nred → green\n');
  }, 120_000);
});
