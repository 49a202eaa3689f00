import { spawn } from 'node:child_process';

/** How a finished command ended; `lines` are the last lines that it printed, standard output and error together. */
export interface Finished {
  code: number | null;
  lines: string[];
}

const KEPT_LINES = 200;

/**
 * Runs a command to its end without a shell and without standard input. Resolves with its exit code (null: killed
 * by a signal, its deadline among them) and rejects only when it cannot be started at all, or when `signal` aborts.
 */
export function run(
  command: string,
  args: string[],
  options: {
    deadlineMs: number;
    signal?: AbortSignal;
    env?: NodeJS.ProcessEnv;
    onLine?: (line: string) => void;
  },
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.deadlineMs,
      killSignal: 'SIGKILL',
      ...(options.signal && { signal: options.signal }),
      ...(options.env && { env: options.env }),
    });
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text: string) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) {
          lines.push(line);
          options.onLine?.(line);
        }
        if (lines.length > KEPT_LINES) lines.splice(0, lines.length - KEPT_LINES);
      });
      stream.on('end', () => rest && lines.push(rest));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, lines }));
  });
}
