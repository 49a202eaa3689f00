import { join } from 'node:path';
import { makeFolderDurably, readIfThere } from '../storage/atomic-write.js';
import {
  errnoOf,
  type FileFacts,
  type FileLayer,
  type FolderEntry,
  type OpenFile,
} from '../storage/file-layer.js';
import { decodeFileName, encodeFileName } from '../storage/filename.js';
import { inFolder } from '../storage/in-folder.js';
import { isFolderInPlace, putAside } from '../storage/put-aside.js';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
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

/** Of one session, with what was put aside of it. */
export interface SessionLogFile {
  /** Undefined where the name of its file is a hash of an id that nobody here knows. */
  readonly id: string | undefined;
  /** In the folder. */
  readonly file: string;
  readonly bytes: number;
  /** When it was last written, milliseconds. */
  readonly writtenAt: number;
}

const idOfFile = (file: string): string | undefined => decodeFileName(file.slice(0, -'.log'.length));
const NAME = /^(.+\.log)(?:\.\d+)?$/;

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
    private readonly log: Log,
    private readonly mostBytes: number,
  ) {}

  static async open(
    dir: string,
    files: FileLayer,
    log: Log,
    mostBytes: number | undefined,
  ): Promise<SessionLogs> {
    const folder = join(dir, 'sessions');
    await makeFolderDurably(files, folder);
    return new SessionLogs(folder, files, log, mostBytes ?? MOST_BYTES);
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

  /**
   * Every session that has a log here, by the names of the files.
   *
   * @param known ids that may have one: a long id cannot be read back from its file's name.
   */
  async list(known: Iterable<string>): Promise<SessionLogFile[]> {
    const found = new Map<string, { bytes: number; writtenAt: number }>();
    for (const { name, folder } of await this.#entries()) {
      const file = NAME.exec(name)?.[1];
      if (folder || file === undefined) continue;
      const facts = await this.#factsOf(name);
      const { bytes = 0, writtenAt = 0 } = found.get(file) ?? {};
      if (facts === undefined) continue;
      found.set(file, {
        bytes: bytes + facts.bytes,
        writtenAt: Math.max(writtenAt, facts.writtenAt),
      });
    }
    const hashed = new Set([...found.keys()].filter((file) => idOfFile(file) === undefined));
    const named = new Map<string, string>();
    // Mostly there are none, and thousands of ids.
    for (const id of hashed.size > 0 ? known : []) {
      const file = `${encodeFileName(id)}.log`;
      if (hashed.has(file)) named.set(file, id);
    }
    return [...found].map(([file, facts]) => ({ id: named.get(file) ?? idOfFile(file), file, ...facts }));
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
      const isThere = end !== undefined;
      const { folder, files, log } = this;
      const isNew = await inFolder(folder, { files, log }, () => this.#write(path, bytes, isThere));
      this.#remember(path, { bytes: (isNew ? 0 : (end?.bytes ?? 0)) + bytes.length, torn: false });
    } catch (error) {
      throw new TaskError('session-log', `${path} could not be written: ${String(error)}`, { cause: error });
    }
  }

  /** True when the file was made. */
  async #write(path: string, bytes: Uint8Array, isThere: boolean): Promise<boolean> {
    const old = isThere ? await this.#openOld(path) : undefined;
    const file = old ?? (await this.files.create(path));
    try {
      await file.write(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (old === undefined) await this.files.syncFolder(this.folder);
    return old === undefined;
  }

  /** Undefined when somebody has taken it away. */
  async #openOld(path: string): Promise<OpenFile | undefined> {
    try {
      return await this.files.append(path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }

  async #entries(): Promise<FolderEntry[]> {
    try {
      return await this.files.list(this.folder);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return [];
    }
  }

  /** Undefined for a file that went while the folder was listed. */
  async #factsOf(name: string): Promise<FileFacts | undefined> {
    try {
      return await this.files.facts(join(this.folder, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }

  async #endOf(path: string): Promise<End | undefined> {
    const bytes = await this.#bytesOf(path);
    return bytes && { bytes: bytes.length, torn: bytes.length > 0 && bytes.at(-1) !== NEWLINE };
  }

  async #bytesOf(path: string): Promise<Uint8Array | undefined> {
    try {
      return await readIfThere(this.files, path);
    } catch (error) {
      if (!isFolderInPlace(error)) throw error;
      const aside = await putAside(this.files, path, systemClock);
      this.log.error({ file: path, aside }, 'a folder stood in the place of a session log');
      return undefined;
    }
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
