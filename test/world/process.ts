import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

export const program = fileURLToPath(new URL('../../bin/understudy.js', import.meta.url));
/** Deadlines are there for what never comes: a machine that stands still for seconds passes all of them. */
const READY_DEADLINE_MS = 180_000;
const PAGE_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 20_000;

/** One line that a process printed; `fields` when it was JSON, as every log line is. */
export interface LogLine {
  text: string;
  fields?: Record<string, unknown>;
}

export type Environment = Record<string, string>;

/** What a process of ours is started with: our settings come from the test alone, never from its surroundings. */
export function cleanEnvironment(settings: Environment): Environment {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      !/^(MATRIX_|UNDERSTUDY_|OPENAI_|DATABASE_URL|DEBUG|NODE_OPTIONS|VITEST)/.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), NODE_ENV: 'production', ...settings };
}

const running = new Set<ChildProcess>();
const killAll = () => {
  for (const child of running) child.kill('SIGKILL');
};
process.once('exit', killAll);
// A runner that is interrupted does not end its workers; a worker that has lost it ends by itself.
process.once('disconnect', () => {
  killAll();
  process.exit(1);
});

/** A command of ours as a process that can be started again and again with the same settings. */
export class Process {
  readonly lines: LogLine[] = [];
  /** How its runs ended that ended by themselves, with something else than exit code 0. */
  readonly crashes: string[] = [];
  /** Called after each of those. */
  onCrash: () => void = () => {};
  #ending = false;
  #child: ChildProcess | undefined;
  #waiting = new Set<() => void>();

  constructor(
    readonly name: string,
    readonly args: readonly string[],
    /** May be changed between two starts. */
    readonly settings: Environment & { UNDERSTUDY_HTTP_PORT: string },
    private readonly script = program,
  ) {}

  get pid(): number {
    if (!this.#child?.pid) throw new Error(`${this.name} does not run`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** How the last run ended; undefined while it goes on. */
  get ended(): { code: number | null; signal: NodeJS.Signals | null } | undefined {
    if (!this.#child || this.isRunning) return undefined;
    return { code: this.#child.exitCode, signal: this.#child.signalCode };
  }

  /** Starts it and resolves when it says that it is ready. */
  async start(deadlineMs = READY_DEADLINE_MS): Promise<void> {
    this.launch();
    await this.ready(deadlineMs);
  }

  /** Starts it without waiting for anything. */
  launch(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    const child = spawn(process.execPath, [this.script, ...this.args], {
      // Should it end by itself, its last words say where.
      env: { ...cleanEnvironment(this.settings), DEBUG: 'understudy:cli' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#ending = false;
    running.add(child);
    child.once('exit', (code, signal) => {
      running.delete(child);
      if (!this.#ending && code !== 0) {
        this.crashes.push(`${this.name} ended by itself (${signal ?? `exit code ${code}`})`);
        this.onCrash();
      }
      this.#wake();
    });
    for (const stream of [child.stdout, child.stderr]) this.#collect(stream);
  }

  /** Resolves when `/readyz` says yes; rejects with the last words of a process that ends or stays unready. */
  async ready(deadlineMs = READY_DEADLINE_MS): Promise<void> {
    const until = performance.now() + deadlineMs;
    let reasons = 'nothing answered';
    while (performance.now() < until) {
      if (!this.isRunning) throw new Error(`${this.name} ended while starting:\n${this.tail()}`);
      const left = Math.max(1, until - performance.now());
      const page = await this.page('/readyz', Math.min(left, PAGE_DEADLINE_MS));
      if (page?.status === 200) return;
      reasons = page?.text ?? reasons;
      await pause(25);
    }
    throw new Error(`${this.name} was not ready in ${deadlineMs} ms: ${reasons}\n${this.tail()}`);
  }

  /** One of its pages; undefined when nobody answers. */
  async page(
    path: string,
    deadlineMs = PAGE_DEADLINE_MS,
  ): Promise<{ status: number; text: string } | undefined> {
    const url = `http://127.0.0.1:${this.settings.UNDERSTUDY_HTTP_PORT}${path}`;
    try {
      const signal = AbortSignal.timeout(Math.ceil(deadlineMs));
      // A connection of its own: a kept one that the other side has ended meanwhile looks as if nobody were there.
      const answer = await fetch(url, { signal, headers: { connection: 'close' } });
      return { status: answer.status, text: await answer.text() };
    } catch {
      // Not listening yet, not any more, or frozen: the caller asks again or reports it.
      return undefined;
    }
  }

  /** The value of a metric without labels, or the sum over its labels; undefined when it has none. */
  async metric(name: string): Promise<number | undefined> {
    const lines = ((await this.page('/metrics'))?.text ?? '').split('\n');
    const values = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return values.length === 0
      ? undefined
      : values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM; resolves when it is gone, with its exit code (null: it had to be killed). */
  async stop(): Promise<number | null> {
    await this.#end('SIGTERM');
    return this.#child?.exitCode ?? null;
  }

  /** SIGSTOP: alive and frozen. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  /** SIGCONT. */
  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** The first line from now on, or from `from`, that `look` accepts. */
  async line(
    look: (line: LogLine) => boolean,
    { from = this.lines.length, deadlineMs = 120_000 } = {},
  ): Promise<LogLine> {
    const until = performance.now() + deadlineMs;
    for (let next = from; ;) {
      for (; next < this.lines.length; next += 1) {
        const line = this.lines[next];
        if (line && look(line)) return line;
      }
      const left = until - performance.now();
      if (left <= 0 || !this.isRunning)
        throw new Error(`${this.name} did not log what was awaited:\n${this.tail()}`);
      await this.#nextLine(left);
    }
  }

  /** The last lines that it printed. */
  tail(count = 30): string {
    return this.lines
      .slice(-count)
      .map(({ text }) => `  [${this.name}] ${text.slice(0, 500)}`)
      .join('\n');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    this.#ending = true;
    child.kill(signal);
    // A frozen process takes no other signal before it is thawed.
    if (signal !== 'SIGKILL') child.kill('SIGCONT');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await gone;
    clearTimeout(patience);
  }

  #collect(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const text of parts) this.#add(text);
    });
    stream.on('end', () => rest && this.#add(rest));
  }

  #add(text: string): void {
    this.lines.push({ text, ...asJson(text) });
    this.#wake();
  }

  #nextLine(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

function asJson(text: string): { fields?: Record<string, unknown> } {
  if (!text.startsWith('{')) return {};
  try {
    return { fields: JSON.parse(text) as Record<string, unknown> };
  } catch {
    // A line that only looks like JSON stays text.
    return {};
  }
}
