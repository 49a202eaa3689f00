import { dirname } from 'node:path';
import { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import { makeFolderDurably, readIfThere, removeIfThere, writeAtomically } from './atomic-write.js';
import type { Durability } from './atomic-write.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer, OpenFile } from './file-layer.js';
import { JournalError } from './journal-error.js';
import { encodeLine, HEADER } from './journal-line.js';
import { replay } from './journal-replay.js';
import { isFolderInPlace, putAside } from './put-aside.js';

export interface JournalOptions<State, Entry> {
  file: string;
  entry: z.ZodType<Entry>;
  initial: () => State;
  /** Must not throw, and must do the same each time: a state is what its entries make it. */
  apply: (state: State, entry: Entry) => void;
  /** Few entries that make the same state from the initial one. */
  snapshot: (state: State) => Entry[];
  log: Log;
  /** Entries are lost: takes back from the state what may stand only beside them. */
  afterDamage?: (state: State) => void;
  durability?: Durability;
  /** Bytes below which the file is never rewritten; default 64 KiB. */
  compactAfter?: number;
  /** A write has failed; `append` has told its callers too. */
  onError?: (error: JournalError) => void;
  files?: FileLayer;
  clock?: Clock;
}

/** A write-ahead log, and the state that its entries make. */
export interface Journal<State, Entry> {
  readonly state: State;
  /**
   * Applies the entries at once and resolves when they are on disk, all of them or, after a kill, none.
   * Appends at the same time share one fsync.
   *
   * @throws JournalError `invalid`, `closed`, or `unwritable`: then they are in the state but not
   *   acknowledged, and go to disk with the next append that succeeds. Do not append them again.
   */
  append(entries: Entry[]): Promise<void>;
  /** After the appends that are on their way. */
  close(): Promise<void>;
}

interface Waiting {
  line: Buffer;
  resolve: () => void;
  reject: (error: JournalError) => void;
}

/** The file is rewritten when it is this many times as large as its snapshot. */
const SLACK = 4;

/**
 * Opens a journal, or makes it. A torn end is cut; a line that is not what was written is copied aside
 * (`<file>.quarantine-<ms>`) and left out; the rest counts.
 *
 * @throws JournalError `newer`, or `unwritable` when the file cannot be read or mended.
 */
export async function openJournal<State, Entry>(
  options: JournalOptions<State, Entry>,
): Promise<Journal<State, Entry>> {
  const { file, log } = options;
  const files = options.files ?? nodeFiles;
  const clock = options.clock ?? systemClock;
  try {
    await makeFolderDurably(files, dirname(file), options.durability);
    const bytes = await readWhole(file, files, clock, log);
    // It is made with its first line.
    if (bytes?.length === 0) log.error({ file }, 'journal: emptied by somebody or something, begun anew');
    const entries = z.array(options.entry);
    const found = replay(bytes ?? new Uint8Array(), { ...options, entries });
    if (found.torn > 0) log.warn({ file, bytes: found.torn }, 'journal: unfinished last write cut');
    if (found.bad.length > 0) {
      const aside = `${file}.quarantine-${clock.now()}`;
      await writeAtomically(files, aside, Buffer.concat(found.bad.map(({ raw }) => raw)), options.durability);
      const reasons = found.bad.map(({ reason }) => reason);
      log.error({ file, aside, lines: reasons.length, reasons }, 'journal: corrupt lines left out');
      options.afterDamage?.(found.state);
    }
    const journal = new FileJournal(options, files, entries, found.state);
    const whole = bytes !== undefined && bytes.length > 0 && found.torn === 0 && found.bad.length === 0;
    await journal.start(whole ? bytes.length : undefined);
    return journal;
  } catch (error) {
    if (error instanceof JournalError) throw error;
    throw unwritable(file, error);
  }
}

/** The journal's bytes; a folder in its place goes aside. */
async function readWhole(
  file: string,
  files: FileLayer,
  clock: Clock,
  log: Log,
): Promise<Uint8Array | undefined> {
  try {
    return await readIfThere(files, file);
  } catch (error) {
    if (!isFolderInPlace(error)) throw error;
    const aside = await putAside(files, file, clock);
    log.error({ file, aside }, 'journal: a folder stood in its place and was put aside; begun anew');
    return undefined;
  }
}

class FileJournal<State, Entry> implements Journal<State, Entry> {
  readonly state: State;
  readonly #options: JournalOptions<State, Entry>;
  readonly #files: FileLayer;
  readonly #entries: z.ZodType<Entry[]>;
  readonly #waiting: Waiting[] = [];
  /** Undefined while the file's end cannot be trusted: then the next thing written is the whole file. */
  #out: OpenFile | undefined;
  #size = 0;
  #compactAt: number;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(
    options: JournalOptions<State, Entry>,
    files: FileLayer,
    entries: z.ZodType<Entry[]>,
    state: State,
  ) {
    this.#options = options;
    this.#files = files;
    this.#entries = entries;
    this.state = state;
    this.#compactAt = options.compactAfter ?? 64 * 1024;
  }

  /** @param size of a file that is good to its end; without it the file is written anew. */
  async start(size: number | undefined): Promise<void> {
    await removeIfThere(this.#files, this.#temporary);
    if (size === undefined) return await this.#rewrite();
    this.#out = await this.#files.append(this.#options.file);
    this.#size = size;
  }

  async append(entries: Entry[]): Promise<void> {
    if (this.#closed) throw new JournalError('closed', `${this.#options.file} is closed`);
    const json = JSON.stringify(entries);
    // What is applied is what a later start will read back, so that both make the same state.
    const parsed = this.#entries.safeParse(JSON.parse(json));
    if (!parsed.success) {
      throw new JournalError('invalid', `not an entry of ${this.#options.file}: ${parsed.error.message}`);
    }
    for (const entry of parsed.data) this.#options.apply(this.state, entry);
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ line: encodeLine(json), resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#drop();
  }

  async #write(): Promise<void> {
    // One turn, so that appends made together share the flush.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      try {
        await this.#writeGroup(group);
        for (const { resolve } of group) resolve();
      } catch (cause) {
        const error = unwritable(this.#options.file, cause);
        this.#alarm(error);
        for (const { reject } of group) reject(error);
      }
    }
    this.#writing = undefined;
  }

  async #writeGroup(group: Waiting[]): Promise<void> {
    if (this.#out && this.#size < this.#compactAt) return await this.#extend(this.#out, group);
    try {
      await this.#rewrite();
    } catch (error) {
      // The old file may still be whole: the group can go to its end, and the rewrite waits.
      if (!this.#out) throw error;
      this.#compactAt = this.#size * 2;
      this.#options.log.warn(
        { file: this.#options.file, error },
        'journal: not compacted, going on as it is',
      );
      await this.#extend(this.#out, group);
    }
  }

  async #extend(out: OpenFile, group: Waiting[]): Promise<void> {
    const bytes = Buffer.concat(group.map(({ line }) => line));
    try {
      await out.write(bytes);
      if (this.#options.durability !== 'os') await out.sync();
      this.#size += bytes.length;
    } catch (error) {
      // After a failed write or fsync nobody knows what the end of the file holds.
      await this.#drop();
      throw error;
    }
  }

  /**
   * The whole state as a new file in the place of the old one. It holds what was applied up to this call, so
   * no append may be taken from the queue between its being applied and the snapshot: called first thing
   * after the group was taken, before any await.
   */
  async #rewrite(): Promise<void> {
    const lines = this.#options.snapshot(this.state).map((entry) => encodeLine(JSON.stringify([entry])));
    const bytes = Buffer.concat([Buffer.from(HEADER), ...lines]);
    const { file, durability, compactAfter = 64 * 1024 } = this.#options;
    await removeIfThere(this.#files, this.#temporary);
    const out = await this.#files.create(this.#temporary);
    try {
      await out.write(bytes);
      if (durability !== 'os') await out.sync();
      await this.#files.rename(this.#temporary, file);
    } catch (error) {
      await out.close();
      throw error;
    }
    // The old file has no name any more: what is written to it is lost.
    await this.#drop();
    try {
      if (durability !== 'os') await this.#files.syncFolder(dirname(file));
    } catch (error) {
      await out.close();
      throw error;
    }
    this.#out = out;
    this.#size = bytes.length;
    this.#compactAt = Math.max(compactAfter, SLACK * bytes.length);
  }

  async #drop(): Promise<void> {
    const out = this.#out;
    this.#out = undefined;
    await out?.close();
  }

  #alarm(error: JournalError): void {
    const { file, log, onError } = this.#options;
    log.error({ file, error }, 'journal: write failed, nothing acknowledged');
    try {
      onError?.(error);
    } catch (failure) {
      log.error({ file, error: failure }, 'journal: a listener of errors threw');
    }
  }

  get #temporary(): string {
    return `${this.#options.file}.tmp`;
  }
}

function unwritable(file: string, cause: unknown): JournalError {
  const reason = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new JournalError('unwritable', `cannot write ${file} (${reason})`, { cause });
}
