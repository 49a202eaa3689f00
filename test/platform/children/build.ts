import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { PlatformOptions } from '../../../src/platform/service/start.js';
import { AGENTS, scratchFile } from '../world.js';

const program = fileURLToPath(new URL('./platform-child.ts', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface PlatformChild {
  url: string;
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  ended: Promise<unknown>;
}

export type StartChild = (options: Pick<PlatformOptions, 'database' | 'leaseMs'>) => Promise<PlatformChild>;

/** Compiles the platform as its sources are now, for the tests of one file; children end with their test. */
export function platformChildren(): StartChild {
  let out = '';
  beforeAll(async () => {
    // Inside the project, so that the compiled files find its packages.
    const cache = join(root, 'node_modules', '.cache');
    await mkdir(cache, { recursive: true });
    out = await mkdtemp(join(cache, 'platform-children-'));
    await writeFile(join(out, 'package.json'), '{"type":"module"}');
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        outDir: join(out, 'js'),
        rootDir: root,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files: [program],
      include: [],
    };
    await writeFile(join(out, 'tsconfig.json'), JSON.stringify(config));
    await promisify(execFile)(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', out]);
  });
  afterAll(() => rm(out, { recursive: true, force: true, maxRetries: 10 }));

  return async (options) => {
    const agentsFile = await scratchFile('agents.yaml', AGENTS);
    const compiled = join(out, 'js/test/platform/children/platform-child.js');
    const child = spawn(process.execPath, [compiled, JSON.stringify({ port: 0, agentsFile, ...options })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const [url] = (await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      ended.then(([code]) => Promise.reject(new Error(`the platform ended with ${code}`))),
    ])) as [string];
    return { url, ended, signal: (name) => void child.kill(name) };
  };
}
