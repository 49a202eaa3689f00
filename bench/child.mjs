import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endWithUs, environment, hasEnded } from './program.mjs';

const STOP_DEADLINE_MS = 20_000;

/**
 * A program of `bench/children/` in a process of its own, which does what it is asked over the IPC channel (see
 * `children/serve.mjs`).
 */
export class Child {
  #child;
  #errors = '';

  constructor(file, execArgv = []) {
    const path = fileURLToPath(new URL(`children/${file}`, import.meta.url));
    this.#child = endWithUs(
      fork(path, { env: environment(), execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }),
    );
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
  }

  /** What the child answers; rejects with its error, when it ends first, and at the deadline. */
  async ask(name, args = {}, deadlineMs = 300_000) {
    if (hasEnded(this.#child)) throw new Error(`a measured process has ended\n${this.#errors}`);
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, AbortSignal.timeout(deadlineMs)]);
    const ended = once(this.#child, 'exit', { signal }).then(() => {
      throw new Error(`a measured process ended while it was asked to ${name}\n${this.#errors}`);
    });
    const answered = once(this.#child, 'message', { signal }).then(([answer]) => {
      if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`);
      return answer.value;
    });
    this.#child.send({ name, args });
    try {
      return await Promise.race([answered, ended]);
    } finally {
      ended.catch(() => undefined);
      answered.catch(() => undefined);
      done.abort();
    }
  }

  /** Asks it to close, and kills it when it does not. */
  async close() {
    if (hasEnded(this.#child)) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await gone;
    clearTimeout(patience);
  }
}
