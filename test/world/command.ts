import { spawn } from 'node:child_process';
import { cleanEnvironment, program, type Environment } from './process.js';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs one of our commands to its end, as another user when `uid` is given. Killed after `deadlineMs`. */
export function understudy(
  args: readonly string[],
  options: { settings?: Environment; input?: string; cwd?: string; uid?: number; deadlineMs?: number } = {},
): Promise<Outcome> {
  const { settings = {}, input = '', cwd, uid, deadlineMs = 180_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      env: cleanEnvironment(settings),
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
      ...(cwd !== undefined && { cwd }),
      ...(uid !== undefined && { uid, gid: uid }),
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    // A command that ends without reading its input breaks the pipe; its exit code tells the rest.
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(input);
  });
}
