import { join } from 'node:path';
import { makeFolderDurably, readIfThere } from '../storage/atomic-write.js';
import { errnoOf, type FileLayer } from '../storage/file-layer.js';
import { encodeFileName } from '../storage/filename.js';
import type { LogEntry } from './run-machine.js';
import { TaskError } from './task.js';

/** Of one file, bytes; then it is put aside. */
const MOST_BYTES = 4 * 1024 * 1024;
/** Files put aside per session; older ones go. */
const MOST_ASIDE = 3;
/** Sessions whose file's end is remembered. */
const MOST_KNOWN = 1000;
const NEWLINE = 10;

interface End {
  bytes: number;
  /** A kill cut the last line. */
  torn: boolean;
}

/**
 * Session logs of this replica: `sessions/<encoded id>.log`, JSON lines, mode 0600, appended and synced; put aside as
 * `.log.1`, `.log.2`, … when they grow. Of two replicas each has what it saved itself.
 */
export class SessionLogs {
  readonly #ends = new Map<string, End>();
  readonly #queues = new Map<string, Promise<void>>();

  private constructor(
    private readonly folder: string,
    private readonly files: FileLayer,
    private readonly mostBytes: number,
  ) {}

  static async open(dir: string, files: FileLayer, mostBytes = MOST_BYTES): Promise<SessionLogs> {
    const folder = join(dir, 'sessions');
    await makeFolderDurably(files, folder);
    return new SessionLogs(folder, files, mostBytes);
  }

  /**
   * Appends lines, in the order of the calls. Resolves when they are on disk; tried again after an error they may
   * stand there twice, and a line that a kill cut stands alone.
   *
   * @throws {TaskError} `session-log`.
   */
  async append(session: string, lines: readonly LogEntry[]): Promise<void> {
    if (lines.length === 0) return;
    const before = this.#queues.get(session) ?? Promise.resolve();
    // The one before has told its own caller of its error.
    const work = before.then(
      () => this.#append(session, lines),
      () => this.#append(session, lines),
    );
    this.#queues.set(session, work);
    try {
      await work;
    } finally {
      if (this.#queues.get(session) === work) this.#queues.delete(session);
    }
  }

  pathOf(session: string): string {
    return join(this.folder, `${encodeFileName(session)}.log`);
  }

  async #append(session: string, lines: readonly LogEntry[]): Promise<void> {
    const path = this.pathOf(session);
    try {
      let end = this.#ends.get(path) ?? (await this.#endOf(path));
      this.#ends.delete(path);
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      if (end !== undefined && end.bytes > 0 && end.bytes + text.length > this.mostBytes) {
        await this.#putAside(path);
        end = undefined;
      }
      const bytes = Buffer.from(end?.torn === true ? `\n${text}` : text);
      await this.#write(path, bytes, end === undefined);
      this.#remember(path, { bytes: (end?.bytes ?? 0) + bytes.length, torn: false });
    } catch (error) {
      throw new TaskError('session-log', `${path} could not be written: ${String(error)}`, { cause: error });
    }
  }

  async #write(path: string, bytes: Uint8Array, isNew: boolean): Promise<void> {
    const file = isNew ? await this.files.create(path) : await this.files.append(path);
    try {
      await file.write(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (isNew) await this.files.syncFolder(this.folder);
  }

  async #endOf(path: string): Promise<End | undefined> {
    const bytes = await readIfThere(this.files, path);
    return bytes && { bytes: bytes.length, torn: bytes.length > 0 && bytes.at(-1) !== NEWLINE };
  }

  async #putAside(path: string): Promise<void> {
    for (let n = MOST_ASIDE; n > 1; n -= 1) await this.#rename(`${path}.${n - 1}`, `${path}.${n}`);
    await this.#rename(path, `${path}.1`);
    await this.files.syncFolder(this.folder);
  }

  async #rename(from: string, to: string): Promise<void> {
    try {
      await this.files.rename(from, to);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  #remember(path: string, end: End): void {
    this.#ends.set(path, end);
    const oldest = this.#ends.keys().next();
    if (this.#ends.size > MOST_KNOWN && oldest.done !== true) this.#ends.delete(oldest.value);
  }
}
