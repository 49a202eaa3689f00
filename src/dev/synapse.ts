import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../telemetry/log.js';
import { homeserverConfig, logConfig, type HomeserverConfig } from './config.js';
import { DevError } from './errors.js';
import { venvPython } from './install.js';
import { launcher } from './launch.js';
import { freePort } from './port.js';
import { keptSecrets, replacePrivately } from './secrets.js';

export { ensureSynapse } from './install.js';
export { ensureUsers } from './users.js';
export { keptSecrets } from './secrets.js';

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 10_000;
const START_ATTEMPTS = 3;

export interface StartSynapse {
  /** A virtual environment made by `ensureSynapse`. */
  venvDir: string;
  /** Database, keys, secrets and logs; made when missing, mode 0700. */
  dir: string;
  /** Taken when it is free, else another one is picked; the result tells which. */
  port?: number;
  /** The part of every user id after the colon; fixed with the first start on a folder. Default `localhost`. */
  serverName?: string;
  rateLimits?: HomeserverConfig['rateLimits'];
  encrypted?: HomeserverConfig['encrypted'];
  log: Log;
  report?: (progress: string) => void;
  signal?: AbortSignal;
}

/** A Synapse of ours on loopback. It ends when this process ends, also by SIGKILL. */
export interface Synapse {
  readonly url: string;
  readonly port: number;
  readonly serverName: string;
  /** The process of the last start. */
  readonly pid: number;
  /** Secret of the registration API, for `ensureUsers`. */
  readonly registrationSecret: string;
  /** Resolves when the process of the last start has ended, for whatever reason. */
  ended(): Promise<void>;
  /** SIGTERM, and SIGKILL when that is not obeyed within 10 s; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Stops it when it runs, then starts it on the same folder and port. */
  restart(): Promise<void>;
}

/**
 * Starts Synapse on `dir` and resolves when it answers. Errors: {@link DevError} `start-failed`, which names the log
 * to look into.
 */
export async function startSynapse(options: StartSynapse): Promise<Synapse> {
  const dir = resolve(options.dir);
  const {
    log,
    report = () => {},
    signal,
    serverName = 'localhost',
    rateLimits = 'generous',
    encrypted,
  } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const secrets = await keptSecrets(join(dir, 'secrets.json'), ['registration', 'macaroon', 'form']);
  await makeSigningKey(join(dir, 'signing.key'));
  await writeFile(join(dir, 'log.yaml'), logConfig(dir));

  const begin = async (port: number): Promise<ChildProcess> => {
    const instance = randomBytes(12).toString('hex');
    const file = join(dir, 'homeserver.yaml');
    await replacePrivately(
      file,
      homeserverConfig({ dir, port, serverName, rateLimits, instance, encrypted, secrets }),
    );
    const child = launch(venvPython(options.venvDir), file, dir);
    try {
      await untilReady(child, `http://127.0.0.1:${port}`, instance, dir, signal);
    } catch (error) {
      await end(child, 'SIGKILL');
      throw error;
    }
    log.info({ port, pid: child.pid }, 'Synapse answers');
    return child;
  };

  report('starting Synapse');
  let port = 0;
  let child: ChildProcess | undefined;
  for (let attempt = 1; !child; attempt += 1) {
    port = await freePort(attempt === 1 ? options.port : 0);
    child = await begin(port).catch((error: unknown) => {
      // Somebody may have taken the port between our look and Synapse's bind.
      if (attempt < START_ATTEMPTS && error instanceof PortTaken) return undefined;
      throw error;
    });
  }
  let current = child;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    serverName,
    get pid() {
      return current.pid as number;
    },
    registrationSecret: secrets.registration,
    ended: () => gone(current),
    stop: () => end(current, 'SIGTERM'),
    kill: () => end(current, 'SIGKILL'),
    async restart() {
      await end(current, 'SIGTERM');
      current = await begin(port);
    },
  };
}

class PortTaken extends DevError {
  constructor(message: string) {
    super('start-failed', message);
  }
}

interface Launched extends ChildProcess {
  /** The end of what it has printed so far. */
  words?: string;
}

function launch(python: string, config: string, dir: string): Launched {
  const args = ['-c', launcher, config, join(dir, 'lock')];
  const child: Launched = spawn(python, args, { cwd: dir, stdio: ['pipe', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream
      ?.setEncoding('utf8')
      .on('data', (text: string) => (child.words = ((child.words ?? '') + text).slice(-8000)));
  }
  // The pipe breaks when Synapse goes first; its exit is what is looked at.
  child.stdin?.on('error', () => undefined);
  return child;
}

async function untilReady(child: Launched, url: string, instance: string, dir: string, signal?: AbortSignal) {
  const until = performance.now() + START_DEADLINE_MS;
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  while (performance.now() < until) {
    signal?.throwIfAborted();
    if (failure || hasEnded(child)) {
      const words = failure?.message ?? (child.words ?? '').trim().split('\n').slice(-3).join(' ');
      const message = `Synapse ended while starting: ${words} (log: ${join(dir, 'homeserver.log')})`;
      throw /Address already in use/.test(child.words ?? '')
        ? new PortTaken(message)
        : new DevError('start-failed', message);
    }
    if (await isOurs(url, instance)) return;
    await pause(50, undefined, signal && { signal });
  }
  throw new DevError(
    'start-failed',
    `Synapse did not answer in ${START_DEADLINE_MS / 1000} s (log: ${dir}/homeserver.log)`,
  );
}

/** Whether the process that answers there is the one of this start: another may have been quicker on its port. */
async function isOurs(url: string, instance: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/.well-known/matrix/client`, { signal: AbortSignal.timeout(2000) });
    const body = (await answer.json()) as Record<string, unknown>;
    return body['dev.understudy.instance'] === instance;
  } catch {
    // Nothing listens yet, or it is no Synapse: asked again until the deadline.
    return false;
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

async function gone(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined && !hasEnded(child)) await once(child, 'exit');
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  child.kill(signal);
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  await gone(child);
  clearTimeout(patience);
}

async function makeSigningKey(file: string): Promise<void> {
  const seed = randomBytes(32).toString('base64').replace(/=+$/, '');
  try {
    await writeFile(file, `ed25519 a_${randomBytes(2).toString('hex')} ${seed}\n`, {
      flag: 'wx',
      mode: 0o600,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
