import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupFolder, type FoundBackup, type GoodBackup } from '../../backup/backup-folder.js';
import { BackupError } from '../../backup/errors.js';
import { fingerprintOfCluster, type BackupReason } from '../../backup/manifest.js';
import { BackupSchedule } from '../../backup/schedule.js';
import type { StoredChunks } from '../../backup/stored-document.js';
import { writeBackup } from '../../backup/write-backup.js';
import { errnoOf, nodeFiles, type FileLayer } from '../../storage/file-layer.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { SharedNext } from '../../time/shared-next.js';
import type { OpenDocuments } from '../open-documents.js';
import { Instant } from './instant.js';

/** How often an instant is taken anew because a generation went while it was read. */
const INSTANTS = 3;
/** Left to the documents beside what a backup takes: a full disk harms them more than a backup is worth. */
const SPARE_BYTES = 64 * 1024 * 1024;

export const DEFAULT_BACKUP_EVERY_MS = 24 * 3600_000;
export const DEFAULT_BACKUP_KEEP = 10;

export interface BackupOptions {
  /** A backup is made when the newest is older than so many milliseconds; 0: never by itself. Default: a day. */
  everyMs?: number;
  /** So many good ones are kept. Default 10. */
  keep?: number;
}

export interface NodeBackupsContext {
  dataDir: string;
  clusterId: string;
  replica: string;
  documents: Pick<OpenDocuments, 'all' | 'get'>;
  stored: StoredChunks;
  options: BackupOptions;
  /** Backups are encrypted as the folder is. */
  keys?: Keyring;
  /** Backups came or went. */
  changed: () => void;
  clock: Clock;
  log: Log;
  files?: FileLayer;
  /** Bytes that the disk has left. */
  free?: (dir: string) => Promise<number>;
}

/** How the backups of a running node stand. */
export interface BackupStatus {
  state: 'idle' | 'running';
  /** Of the one that is being made. */
  progress: { documents: number; of: number; bytes: number } | undefined;
  /** Good ones in the folder, and the newest of them; as of the last look, which every making of one is. */
  good: number;
  newest: { name: string; createdAt: string; bytes: number; documents: number } | undefined;
  /** Since the newest was made, milliseconds. */
  ageMs: number | undefined;
  /** Since the start. */
  made: number;
  failed: number;
  pruned: number;
  /** Why the last one failed; undefined once one was made. */
  fault: string | undefined;
}

/** Makes, keeps and counts the backups of a running node; see `backup/` for what one is. */
export class NodeBackups {
  readonly folder: BackupFolder;
  /** Age of the newest at which the next is made, milliseconds; 0: never by itself. */
  readonly everyMs: number;
  readonly #ended = new AbortController();
  readonly #files: FileLayer;
  readonly #makings: SharedNext<BackupReason, GoodBackup>;
  #schedule: BackupSchedule | undefined;
  #status: BackupStatus = {
    state: 'idle',
    progress: undefined,
    good: 0,
    newest: undefined,
    ageMs: undefined,
    made: 0,
    failed: 0,
    pruned: 0,
    fault: undefined,
  };

  constructor(private readonly context: NodeBackupsContext) {
    this.#files = context.files ?? nodeFiles;
    this.#makings = new SharedNext(
      (reason) => this.#make(reason),
      (error) => context.log.debug({ err: error }, 'an earlier backup failed'),
    );
    this.everyMs = context.options.everyMs ?? DEFAULT_BACKUP_EVERY_MS;
    this.folder = new BackupFolder(join(context.dataDir, 'backups'), this.#files, context.keys);
  }

  /** From now on backups are made by themselves. */
  start(): void {
    const { clock, log } = this.context;
    const { everyMs } = this;
    this.#look().catch((error: unknown) => log.error({ err: error }, 'the backups could not be looked at'));
    if (everyMs === 0) return;
    this.#schedule = new BackupSchedule({
      everyMs,
      clock,
      newest: () => this.#newest(),
      make: () =>
        this.create('interval').then(
          () => true,
          // Logged and counted where it is made.
          () => false,
        ),
    });
  }

  status(): BackupStatus {
    const { newest } = this.#status;
    const ageMs = newest && this.context.clock.now() - Date.parse(newest.createdAt);
    return { ...this.#status, ageMs };
  }

  /**
   * Makes a backup of all documents, on disk and read back when it resolves: as they stand now, or, while another is
   * under way, when that has ended; who asks meanwhile shares it. Call it before a migration. What fails is logged and
   * counted, and leaves the node and all earlier backups as they are.
   *
   * @throws {BackupError} and file system errors as they are.
   */
  create(reason: BackupReason): Promise<GoodBackup> {
    return this.#makings.run(reason);
  }

  /** Breaks off what is under way; nothing half made stays. */
  async close(): Promise<void> {
    this.#ended.abort(new Error('the node is closing'));
    await this.#schedule?.stop();
    await this.#makings.last?.catch((error: unknown) =>
      this.context.log.info({ err: error }, 'a backup was broken off by closing'),
    );
  }

  async #make(reason: BackupReason): Promise<GoodBackup> {
    const { clock, log } = this.context;
    const from = clock.monotonic();
    this.#status = { ...this.#status, state: 'running' };
    try {
      this.#ended.signal.throwIfAborted();
      await this.folder.removeLeftovers();
      await this.#assertRoom();
      const made = await this.#write(reason, INSTANTS);
      const ms = Math.round(clock.monotonic() - from);
      this.#status = { ...this.#status, made: this.#status.made + 1, fault: undefined };
      const { documents } = made.manifest;
      log.info(
        { backup: made.name, reason, documents: documents.length, bytes: made.size, ms },
        'backup made',
      );
      await this.#prune(made);
      return made;
    } catch (error) {
      if (!this.#ended.signal.aborted) {
        const fault = error instanceof Error ? error.message : String(error);
        this.#status = { ...this.#status, failed: this.#status.failed + 1, fault };
        log.error({ err: error, reason }, 'the backup failed; those before it are as they were');
      }
      throw error;
    } finally {
      this.#status = { ...this.#status, state: 'idle', progress: undefined };
    }
  }

  async #write(reason: BackupReason, instants: number): Promise<GoodBackup> {
    const { documents, stored, clusterId, replica, keys = {}, clock, log } = this.context;
    const created_at = new Date(clock.now()).toISOString();
    const path = this.folder.pathFor(created_at);
    const instant = new Instant(documents, stored, log);
    try {
      const manifest = await writeBackup({
        files: this.#files,
        path,
        head: { cluster: fingerprintOfCluster(clusterId), replica, created_at, reason },
        documents: instant.read(),
        keys,
        count: instant.count,
        onProgress: (progress) => {
          this.#status = { ...this.#status, progress };
        },
        signal: this.#ended.signal,
      });
      const found = (await this.folder.list({ contents: false })).find((one) => one.path === path);
      const size = found?.size ?? 0;
      return { path, name: path.slice(this.folder.dir.length + 1), size, state: 'good', manifest };
    } catch (error) {
      const isMoved = error instanceof BackupError && error.code === 'moved';
      if (!isMoved || instants <= 1) throw error;
      log.info({ reason }, 'a generation was removed while it was backed up: the backup begins anew');
      return this.#write(reason, instants - 1);
    }
  }

  /** What was made stands whatever comes of the older ones. */
  async #prune(made: GoodBackup): Promise<void> {
    const { options, log } = this.context;
    try {
      const removed = await this.folder.prune(options.keep ?? DEFAULT_BACKUP_KEEP, made.path);
      this.#status = { ...this.#status, pruned: this.#status.pruned + removed.length };
      if (removed.length > 0) log.info({ removed }, 'older backups removed');
      await this.#look();
    } catch (error) {
      log.error({ err: error }, 'older backups could not be removed; tried again with the next one');
    } finally {
      this.context.changed();
    }
  }

  /** When the newest good one was made; undefined also when nobody can say: then making one says what is wrong. */
  async #newest(): Promise<number | undefined> {
    try {
      const newest = (await this.folder.list({ contents: false })).find(({ state }) => state === 'good');
      return newest?.state === 'good' ? Date.parse(newest.manifest.created_at) : undefined;
    } catch (error) {
      this.context.log.warn({ err: error }, 'the backups cannot be listed');
      return undefined;
    }
  }

  async #look(): Promise<void> {
    const all = await this.folder.list({ contents: false });
    const good = all.filter((one) => one.state === 'good');
    const [newest] = good;
    this.#status = { ...this.#status, good: good.length, newest: newest && summaryOf(newest) };
    const damaged = all.filter((one) => one.state === 'damaged');
    if (damaged.length > 0) {
      const backups = damaged.map(({ name, reason }) => `${name}: ${reason}`);
      this.context.log.warn({ backups }, 'backups are damaged');
    }
  }

  /** Before anything is written: half as much again as the last one took, and what the documents may need. */
  async #assertRoom(): Promise<void> {
    const needed = SPARE_BYTES + Math.ceil((this.#status.newest?.bytes ?? 0) * 1.5);
    const free = await (this.context.free ?? freeBytes)(this.context.dataDir);
    if (free >= needed) return;
    throw new BackupError(
      'no-space',
      `the disk of ${this.context.dataDir} has ${megabytes(free)} left, and a backup needs ${megabytes(needed)}: make room`,
    );
  }
}

const summaryOf = ({ name, size, manifest }: Extract<FoundBackup, { state: 'good' }>) => ({
  name,
  createdAt: manifest.created_at,
  bytes: size,
  documents: manifest.documents.length,
});

const megabytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MB`;

async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (error) {
    // Not every file system says; the write itself will.
    if (errnoOf(error) === 'ENOSYS') return Infinity;
    throw error;
  }
}
