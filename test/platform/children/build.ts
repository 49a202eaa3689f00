import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { PlatformOptions } from '../../../src/platform/service/start.js';
import { compiled } from '../../world/compiled.js';
import { AGENTS, scratchFile } from '../world.js';

const program = 'test/platform/children/platform-child';

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
    out = await compiled([`${program}.ts`]);
  });
  afterAll(() => rm(out, { recursive: true, force: true, maxRetries: 10 }));

  return async (options) => {
    const agentsFile = await scratchFile('agents.yaml', AGENTS);
    const child = spawn(
      process.execPath,
      [join(out, `${program}.js`), JSON.stringify({ port: 0, agentsFile, ...options })],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
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
