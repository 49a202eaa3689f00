import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../dist/dev/port.js';
import { endWithUs, environment, hasEnded, understudy } from './program.mjs';

const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 20_000;

/** One of our commands (`relay`, `platform`, `replica`) as a process, as an operator runs it. */
export class Service {
  #child;
  #words = '';

  constructor(command, settings) {
    this.command = command;
    this.settings = settings;
  }

  static async start(command, settings) {
    const port = String(await freePort());
    const service = new Service(command, { UNDERSTUDY_HTTP_PORT: port, ...settings });
    await service.start();
    return service;
  }

  /** Starts it, again with the same settings after an end, and resolves when it says that it is ready. */
  async start() {
    const child = endWithUs(
      spawn(process.execPath, [understudy, this.command], {
        env: environment(this.settings),
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#words = (this.#words + text).slice(-4000);
      });
    }
    const until = performance.now() + READY_DEADLINE_MS;
    while (!(await this.#page('/readyz'))?.ok) {
      if (hasEnded(child)) throw new Error(`understudy ${this.command} ended while starting\n${this.#words}`);
      if (performance.now() > until) {
        throw new Error(`understudy ${this.command} did not become ready\n${this.#words}`);
      }
      await pause(25);
    }
  }

  /** The sum of a metric over its labels; undefined when it has none. */
  async metric(name) {
    const text = (await this.#page('/metrics'))?.text ?? '';
    const found = text
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return found.length === 0
      ? undefined
      : found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** SIGKILL; resolves to the instant at which it was sent, with the process gone. */
  async kill() {
    const gone = once(this.#child, 'exit');
    const at = performance.now();
    this.#child.kill('SIGKILL');
    await gone;
    return at;
  }

  async close() {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await gone;
    clearTimeout(patience);
  }

  async #page(path) {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.settings.UNDERSTUDY_HTTP_PORT}${path}`, {
        signal: AbortSignal.timeout(5000),
      });
      return { ok: answer.ok, text: await answer.text() };
    } catch {
      // Not listening yet: the caller asks again until its deadline.
      return undefined;
    }
  }
}
