import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep, type Clock } from '../../time/clock.js';
import type { Environment } from '../config/reader.js';
import { UserError } from '../user-error.js';

const program = fileURLToPath(new URL('../../../bin/understudy.js', import.meta.url));
/** Longer than the deadline after which a process of ours ends itself by force. */
const stopMs = 17_000;
const readyMs = 60_000;
/** Long enough to see the other replica take over, short enough not to wait for. */
const restartMs = 3_000;
const mostRestartMs = 60_000;
/** A process that ran for so long ended for a new reason. */
const steadyMs = 30_000;

export interface ChildOptions {
  name: string;
  args: string[];
  /** Settings, secrets among them: they travel by environment, never on the command line. */
  env: Environment;
  dataDir: string;
  health: string;
  /** Its standard output, one JSON line per event. */
  log: string;
  clock: Clock;
  say: (line: string) => void;
  /** It was started again, under another pid. */
  restarted: () => void;
}

/**
 * One process of ours under supervision: when it ends by itself it is started again after a moment, later and
 * later while it keeps ending. It runs in a process group of its own, so that a Ctrl-C meant for `up` does not
 * reach it beside `up`'s orderly end; when `up` is gone, however that came, its channel closes and it ends.
 */
export class Child {
  private process: ChildProcess | undefined;
  private lastWords = '';
  private readonly stopping = new AbortController();

  constructor(readonly options: ChildOptions) {}

  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Starts it and waits until it is ready. Rejects with its own last words when it ends before. */
  async start(signal: AbortSignal): Promise<void> {
    await mkdir(dirname(this.options.log), { recursive: true, mode: 0o700 });
    const child = this.launch();
    await this.untilReady(child, signal);
    this.watch(child, this.options.clock.monotonic(), restartMs);
  }

  /** SIGTERM; SIGKILL when that is not obeyed in time. Resolves when it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('stopping'));
    const child = this.process;
    if (!child || hasEnded(child)) return;
    child.kill('SIGTERM');
    const cancel = this.options.clock.after(stopMs, () => child.kill('SIGKILL'));
    await ended(child);
    cancel();
  }

  private launch(): ChildProcess {
    const log = openSync(this.options.log, 'a', 0o600);
    try {
      const child = spawn(process.execPath, [program, ...this.options.args], {
        env: this.options.env,
        detached: true,
        stdio: ['ignore', log, 'pipe', 'ipc'],
      });
      this.lastWords = '';
      child.stderr
        ?.setEncoding('utf8')
        .on('data', (text: string) => (this.lastWords = (this.lastWords + text).slice(-4_000)));
      child.on('error', (error) => (this.lastWords += `\n${error.message}`));
      this.process = child;
      return child;
    } finally {
      closeSync(log);
    }
  }

  private async untilReady(child: ChildProcess, signal: AbortSignal): Promise<void> {
    const { clock, name, health, log } = this.options;
    const until = clock.monotonic() + readyMs;
    let reason = 'it does not answer';
    while (clock.monotonic() < until) {
      signal.throwIfAborted();
      if (hasEnded(child))
        throw new UserError(child.exitCode === 2 ? 2 : 1, `${name} ended: ${this.reason(child)}`);
      const answer = await readiness(health);
      if (answer === undefined) return;
      reason = answer;
      await sleep(clock, 50, signal);
    }
    throw new UserError(1, `${name} is not ready after ${readyMs / 1000} s: ${reason}; its log is ${log}`);
  }

  private watch(child: ChildProcess, since: number, waitMs: number): void {
    this.restartAfter(child, since, waitMs).catch((error: unknown) => {
      if (this.stopping.signal.aborted) return;
      this.options.say(
        `✗ ${this.options.name} cannot be started again: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  }

  private async restartAfter(child: ChildProcess, since: number, waitMs: number): Promise<void> {
    const { clock, name, say } = this.options;
    await ended(child);
    if (this.stopping.signal.aborted) return;
    const wait = clock.monotonic() - since > steadyMs ? restartMs : waitMs;
    say(`✗ ${name} (pid ${child.pid}) ended: ${this.reason(child)}; starting it again in ${wait / 1000} s`);
    await sleep(clock, wait, this.stopping.signal);
    const next = this.launch();
    this.options.restarted();
    const begun = clock.monotonic();
    this.watch(next, begun, Math.min(wait * 2, mostRestartMs));
    await this.untilReady(next, this.stopping.signal);
    say(`✓ ${name} runs again, pid ${next.pid}`);
  }

  private reason(child: ChildProcess): string {
    const words = this.lastWords
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^understudy: /, '');
    const how = child.signalCode ? `killed by ${child.signalCode}` : `exit code ${child.exitCode}`;
    return words ? `${words} (${how})` : `${how}; its log is ${this.options.log}`;
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

async function ended(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, 'exit');
}

/** Undefined when the process says that it is ready, else the reason why not. */
async function readiness(health: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${health}/readyz`, { signal: AbortSignal.timeout(3_000) });
    const text = await response.text();
    return response.ok ? undefined : text.trim();
  } catch (error) {
    // Its port is not open yet; whoever asks has a deadline.
    return error instanceof Error ? error.message : String(error);
  }
}
