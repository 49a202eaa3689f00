/**
 * The stage of an example: a relay and the players, each a process with a folder of its own. What they say is printed
 * line by line; whoever still plays when the stage is closed is ended, and the folders go.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const understudy = fileURLToPath(new URL('../bin/understudy.js', import.meta.url));
/** The stage brings its own settings: none of the person's. */
const surroundings = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('UNDERSTUDY_')),
);
const PATIENCE_MS = 30_000;
const LEAVE_MS = 15_000;

export const tell = (text) => process.stdout.write(`\n— ${text}\n`);

/** One process of the story. */
class Player {
  #lines = [];
  #heard = 0;
  #more = [];

  constructor(name, command, { env, cwd, show }) {
    this.name = name;
    // The IPC channel tells a player that the stage is gone, however that came.
    this.process = spawn(process.execPath, command, {
      env: { ...surroundings, ...env },
      cwd,
      stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    });
    // Not `exit`: what it said last is heard first.
    this.ended = once(this.process, 'close');
    // A word to one that has just ended is lost, and `until` says so.
    this.process.stdin.on('error', (error) => this.#hear(`(hears nothing any more: ${error.code})`));
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      if (show) process.stdout.write(`  ${name.padEnd(9)} ${line}\n`);
      this.#hear(line);
    });
    this.process.once('close', () => this.#hear('(ended)'));
  }

  say(line) {
    this.process.stdin.write(`${line}\n`);
  }

  /** The next line that the pattern matches; lines are gone through once. */
  async until(pattern, signal = AbortSignal.timeout(PATIENCE_MS)) {
    for (;;) {
      for (; this.#heard < this.#lines.length; this.#heard += 1) {
        const found = this.#lines[this.#heard].match(pattern);
        if (found === null) continue;
        this.#heard += 1;
        return found;
      }
      if (this.#lines.includes('(ended)'))
        throw new Error(`${this.name} ended before it said anything like ${pattern}`);
      if (signal.aborted) throw new Error(`${this.name} said nothing like ${pattern} in time`);
      await new Promise((resolve) => {
        this.#more.push(resolve);
        signal.addEventListener('abort', resolve, { once: true });
      });
    }
  }

  /** Pulls the plug. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Asks it to end, and pulls the plug when it does not. */
  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGTERM');
    const plug = setTimeout(() => this.process.kill('SIGKILL'), LEAVE_MS);
    await this.ended;
    clearTimeout(plug);
  }

  #hear(line) {
    this.#lines.push(line);
    for (const resolve of this.#more.splice(0)) resolve();
  }
}

/** The players, who says something like it first before the others. */
export async function firstToSay(pattern, players) {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(PATIENCE_MS)]);
  const first = await Promise.any(players.map((player) => player.until(pattern, signal).then(() => player)));
  // The others listen no longer, and so miss nothing that is asked of them next.
  done.abort();
  return [first, ...players.filter((player) => player !== first)];
}

/** Opens a stage with a relay, plays `story` on it, and closes it. */
export async function play(story) {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-example-'));
  const env = {
    UNDERSTUDY_CLUSTER_ID: randomBytes(32).toString('base64url'),
    UNDERSTUDY_RELAY_PORT: '0',
    UNDERSTUDY_RELAY_STORAGE: 'memory',
    UNDERSTUDY_DATA_DIR: join(dir, 'relay'),
  };
  const players = [];
  const start = (name, command, show) => {
    const player = new Player(name, command, { env, cwd: dir, show });
    players.push(player);
    return player;
  };
  const asked = new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
    }
  });
  const told = async () => {
    const relay = start('relay', [understudy, 'relay'], false);
    const [, url] = await relay.until(/"url":"(ws:[^"]+)"/);
    await story({
      dir,
      /** A player with a folder of its own, the same one each time it comes. */
      enter: (name, file, ...args) => start(name, [file, join(dir, name), url, ...args], true),
    });
  };
  try {
    await Promise.race([told(), asked]);
  } finally {
    await Promise.all(players.map((player) => player.stop()));
    await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
