import { lookAtFolder, type FolderLook } from '../storage/disk-room.js';
import { folderSize, type PartSize } from '../storage/folder-size.js';
import type { Check, Facts } from '../telemetry/health.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Cancel, Clock } from '../time/clock.js';

/** How often the disk is asked, and the files are counted, milliseconds. */
const LOOK_MS = 5_000;
const COUNT_MS = 60_000;
/** A disk that has not answered for so long hangs. */
const HANGS_MS = 30_000;

/** Below these the disk is called low. */
export interface LowDisk {
  bytes: number;
  inodes: number;
}

/**
 * Watches the folder that a process keeps its data in, for its health and metrics pages: that it is there and can be
 * written, what room the disk has left, what lies in it. Asked in the background: a disk that hangs hangs no page.
 */
export class DataFolder {
  readonly #stops: Cancel[];
  readonly #ended = new AbortController();
  #look: FolderLook = { fault: undefined, room: undefined };
  #lookedAt: number;
  #looking: Promise<void> | undefined;
  #sizes = new Map<string, PartSize>();
  #counting: Promise<void> | undefined;
  #wasLow = false;

  private constructor(
    private readonly dir: string,
    private readonly low: LowDisk,
    private readonly deps: { metrics: Metrics; clock: Clock; log: Log },
  ) {
    const { clock } = deps;
    this.#lookedAt = clock.monotonic();
    this.#stops = [
      clock.every(LOOK_MS, () => void this.#lookOnce()),
      clock.every(COUNT_MS, () => void this.#countOnce()),
    ];
  }

  /** Resolves when it has looked once. The folder need not be there. */
  static async watch(
    dir: string,
    low: LowDisk,
    deps: { metrics: Metrics; clock: Clock; log: Log },
  ): Promise<DataFolder> {
    const folder = new DataFolder(dir, low, deps);
    await folder.#lookOnce();
    // Not waited for: there may be many thousands of files.
    void folder.#countOnce();
    folder.#show();
    return folder;
  }

  /** Nothing can be kept: others should not rely on this process. A low disk alone is no reason, only a note. */
  readonly check: Check = {
    name: 'data folder',
    kind: 'ready',
    ask: () => this.#fault(),
  };

  notes(): string[] {
    return this.#lacks().map((what) => `the disk of the data folder is low: ${what}`);
  }

  facts(): Facts {
    const { room } = this.#look;
    return {
      data_folder: {
        path: this.dir,
        usable: this.#fault() === undefined,
        ...(room && {
          free_bytes: room.freeBytes,
          size_bytes: room.sizeBytes,
          free_inodes: room.freeInodes,
          low: this.#lacks().length > 0,
        }),
        parts: Object.fromEntries(this.#sizes),
      },
    };
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#ended.abort();
  }

  #fault(): string | undefined {
    const silentMs = this.deps.clock.monotonic() - this.#lookedAt;
    if (silentMs > HANGS_MS) return `the disk has not answered for ${Math.round(silentMs / 1000)} s`;
    return this.#look.fault;
  }

  #lacks(): string[] {
    const { freeBytes = Infinity, freeInodes = Infinity } = this.#look.room ?? {};
    return [
      ...(freeBytes < this.low.bytes
        ? [`${megabytes(freeBytes)} left of ${megabytes(this.low.bytes)} wanted`]
        : []),
      ...(freeInodes < this.low.inodes
        ? [`room for ${freeInodes} more files, ${this.low.inodes} wanted`]
        : []),
    ];
  }

  #lookOnce(): Promise<void> {
    this.#looking ??= lookAtFolder(this.dir)
      .then((look) => {
        this.#lookedAt = this.deps.clock.monotonic();
        this.#tell(this.#look.fault, look.fault);
        this.#look = look;
        const lacks = this.#lacks();
        if (lacks.length > 0 && !this.#wasLow)
          this.deps.log.warn({ lacks }, 'the disk of the data folder is low');
        if (lacks.length === 0 && this.#wasLow) this.deps.log.info({}, 'the disk has room again');
        this.#wasLow = lacks.length > 0;
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  #tell(before: string | undefined, fault: string | undefined): void {
    if (before === fault) return;
    const { log } = this.deps;
    if (fault !== undefined) log.error({ dir: this.dir, fault }, 'the data folder cannot be used');
    else log.info({ dir: this.dir }, 'the data folder can be used again');
  }

  #countOnce(): Promise<void> {
    this.#counting ??= folderSize(this.dir, this.#ended.signal)
      .then((sizes) => {
        this.#sizes = sizes;
      })
      .catch((error: unknown) => {
        // What was counted last stays shown.
        if (this.#ended.signal.aborted) return;
        this.deps.metrics.counted('data-folder', 'uncounted');
        this.deps.log.warn({ err: error }, 'the files of the data folder could not be counted');
      })
      .finally(() => {
        this.#counting = undefined;
      });
    return this.#counting;
  }

  #show(): void {
    const { metrics } = this.deps;
    const room = () => this.#look.room;
    metrics.gauge(
      'data_folder_usable',
      'Whether the data folder is there and can be written: 1 or 0. /readyz says why not.',
      () => (this.#fault() === undefined ? 1 : 0),
    );
    metrics.gauge(
      'disk_free_bytes',
      'Bytes left to this process on the file system of its data folder.',
      () => room()?.freeBytes,
    );
    metrics.gauge('disk_size_bytes', 'Size of the file system of the data folder.', () => room()?.sizeBytes);
    metrics.gauge(
      'disk_free_inodes',
      'Files that can still be made on the file system of the data folder; absent where it has no bound.',
      () => room()?.freeInodes,
    );
    metrics.gauge(
      'disk_low',
      'Whether less is free than UNDERSTUDY_DISK_LOW and UNDERSTUDY_DISK_LOW_FILES want: 1 or 0, by what is low.',
      () =>
        room() && {
          bytes: Number((room()?.freeBytes ?? Infinity) < this.low.bytes),
          files: Number((room()?.freeInodes ?? Infinity) < this.low.inodes),
        },
      'what',
    );
    metrics.gauge(
      'data_bytes',
      'Bytes of the files in the data folder, by part; counted once a minute.',
      () => new Map([...this.#sizes].map(([part, { bytes }]) => [part, bytes])),
      'part',
    );
    metrics.gauge(
      'data_files',
      'Files in the data folder, by part; counted once a minute. quarantine: damaged ones that were put aside.',
      () => new Map([...this.#sizes].map(([part, { files }]) => [part, files])),
      'part',
    );
  }
}

const megabytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MB`;
