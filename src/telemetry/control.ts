import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve as absolute } from 'node:path';
import { z } from 'zod';
import { systemClock, type Clock } from '../time/clock.js';
import { readLines } from './lines.js';
import type { Log } from './log.js';

/**
 * The control socket of a running process: one JSON object per line in each direction, over a Unix socket
 * that only its owner may open. It is how `inspect` asks the process that holds a data folder.
 */
const version = 1;
const maxLine = 1 << 20;
/** The operating system's bound on a socket's path is 104 to 108 bytes. */
const longestPath = 100;

const request = z.object({
  version: z.literal(version),
  method: z.string().max(64),
  params: z.record(z.string(), z.unknown()).default({}),
});
const reply = z.union([
  z.object({ version: z.literal(version), result: z.unknown() }),
  z.object({ version: z.literal(version), error: z.object({ code: z.string(), message: z.string() }) }),
]);

/** `params` are hostile until parsed; what is thrown goes back as `{code, message}`. */
export type Handler = (params: Record<string, unknown>) => unknown;

/**
 * - `nobody`: no process listens there.
 * - `late`: no answer within the deadline.
 * - `refused`: the process answered with an error, or with something that is no answer.
 */
export class ControlError extends Error {
  constructor(
    readonly code: 'nobody' | 'late' | 'refused',
    message: string,
    /** The code of the error that the process answered with. */
    readonly reason?: string,
  ) {
    super(message);
    this.name = 'ControlError';
  }
}

/** Where the holder of a data folder listens: in the folder, or under a short name when that is too long. */
export function controlPath(dataDir: string): string {
  const inside = join(absolute(dataDir), 'control.sock');
  if (Buffer.byteLength(inside) <= longestPath) return inside;
  const name = createHash('sha256').update(inside).digest('hex').slice(0, 24);
  return join(tmpdir(), `understudy-${userInfo().uid}`, `${name}.sock`);
}

/** The caller holds the lock of the folder, so whatever stands at `path` was left by a process that is gone. */
export async function startControl(options: {
  path: string;
  handlers: Record<string, Handler>;
  log: Log;
}): Promise<{ path: string; close(): Promise<void> }> {
  const { path, handlers, log } = options;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await ownFolder(dirname(path));
  await clear(path, log);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    // The asker went away; there is nobody left to tell.
    socket.on('error', (error) => log.debug({ part: 'control', error }, 'a control connection broke'));
    readLines(
      socket,
      maxLine,
      (line) => {
        answer(handlers, line)
          .then((text) => socket.writable && socket.write(`${text}\n`))
          .catch((error: unknown) => {
            log.warn({ part: 'control', error }, 'an answer could not be written');
            socket.destroy();
          });
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(path, () => {
      server.off('error', failed);
      // No more files for a connection, or the like: those that are open go on.
      server.on('error', (error) => log.error({ part: 'control', error }, 'the control socket failed'));
      done();
    });
  });
  await chmod(path, 0o600);
  return {
    path,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Takes away what a process that is gone left there. A folder is nothing of ours, and is kept beside it. */
async function clear(path: string, log: Log): Promise<void> {
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (stat?.isDirectory() !== true) return rm(path, { force: true });
  const aside = `${path}.quarantine-${systemClock.now()}`;
  await rename(path, aside);
  log.error({ path, aside }, 'a folder stood in the place of the control socket');
}

/** The socket is safe from the moment it exists because nobody else may enter its folder. */
async function ownFolder(dir: string): Promise<void> {
  const stat = await lstat(dir);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid) {
    throw new Error(`${dir} belongs to somebody else: no control socket is put there`);
  }
}

async function answer(handlers: Record<string, Handler>, line: string): Promise<string> {
  try {
    const { method, params } = request.parse(JSON.parse(line));
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
    if (!handler) return failure('unknown-method', `this process does not answer ${JSON.stringify(method)}`);
    return JSON.stringify({ version, result: (await handler(params)) ?? null });
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      return failure('bad-request', 'the request is not of this version of the control protocol');
    }
    const { code } = error as { code?: unknown };
    return failure(
      typeof code === 'string' ? code : 'failed',
      error instanceof Error ? error.message : String(error),
    );
  }
}

const failure = (code: string, message: string): string =>
  JSON.stringify({ version, error: { code, message } });

/** Asks the process that listens at `path` one question. Rejects with {@link ControlError}. */
export function askControl(
  path: string,
  method: string,
  params: Record<string, unknown> = {},
  { deadlineMs = 10_000, clock = systemClock }: { deadlineMs?: number; clock?: Clock } = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const cancel = clock.after(deadlineMs, () => {
      end(() => reject(new ControlError('late', `no answer from ${path} within ${deadlineMs} ms`)));
    });
    const end = (finish: () => void): void => {
      cancel();
      socket.destroy();
      finish();
    };
    socket.on('connect', () => socket.write(`${JSON.stringify({ version, method, params })}\n`));
    socket.on('error', (error) => end(() => reject(new ControlError('nobody', `${path}: ${error.message}`))));
    socket.on('close', () =>
      end(() => reject(new ControlError('nobody', `${path} closed without an answer`))),
    );
    readLines(
      socket,
      64 * maxLine,
      (line) => end(() => settle(line, resolve, reject)),
      () => end(() => reject(new ControlError('refused', `the answer from ${path} is too long`))),
    );
  });
}

function settle(line: string, resolve: (value: unknown) => void, reject: (error: Error) => void): void {
  try {
    const parsed = reply.parse(JSON.parse(line));
    if ('error' in parsed) reject(new ControlError('refused', parsed.error.message, parsed.error.code));
    else resolve(parsed.result);
  } catch (error) {
    reject(
      new ControlError(
        'refused',
        `that was no answer: ${error instanceof Error ? error.name : 'unreadable'}`,
      ),
    );
  }
}
