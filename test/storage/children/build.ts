import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { compiled, startsCheaply } from '../../world/compiled.js';

/**
 * Compiles what the children of this file run, from the sources as they are now, for the file's tests.
 * Returns where the compiled programs are.
 *
 * @param folder of the programs, in the project.
 * @param names of the programs, without `.ts`.
 */
export function compiledChildren(
  folder = 'test/storage/children',
  names = ['storage-child', 'journal-child', 'lock-child'],
): { path: (name: string) => string } {
  let out = '';
  beforeAll(async () => {
    out = await compiled(names.map((name) => join(folder, `${name}.ts`)));
  }, 300_000);
  afterAll(() => rm(out, { recursive: true, force: true, maxRetries: 10 }));
  afterEach(async () => {
    // A test that failed or ran out of time leaves none behind.
    await Promise.all([...running].map((child) => child.kill()));
  });
  return { path: (name) => join(out, folder, `${name}.js`) };
}

export interface Child {
  process: ChildProcess;
  /** Lines it has printed so far. */
  lines: string[];
  /** Resolves with the exit code, or the signal's name. */
  ended: Promise<number | string>;
  /** Resolves when a line for which `test` holds has been printed; rejects when the child ends before. */
  line(test: (line: string) => boolean): Promise<string>;
  /** Ends it as a loss of power does to a process, and waits until it is gone. */
  kill(): Promise<void>;
}

const running = new Set<Child>();

export function startChild(program: string, args: string[]): Child {
  const child = spawn(process.execPath, [...startsCheaply, program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const watchers = new Set<() => void>();
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => {
    lines.push(line);
    for (const watcher of watchers) watcher();
  });
  const drained = once(reader, 'close');
  const ended = once(child, 'exit').then(async ([code, signal]) => {
    await drained;
    return (code ?? signal) as number | string;
  });
  const started: Child = {
    process: child,
    lines,
    ended,
    line: (test) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(test);
          if (found === undefined) return;
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
        look();
        void ended.then((code) =>
          reject(new Error(`child ended (${code}) after: ${lines.slice(-3).join(' | ')}`)),
        );
      }),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
  running.add(started);
  void ended.then(() => running.delete(started));
  return started;
}
