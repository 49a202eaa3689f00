import type { ActorLog } from './log.js';

export interface CacheBounds {
  /** Actors kept folded in memory although nobody watches them. */
  most: number;
  /** What their events and bases take, about, bytes. */
  bytes: number;
}

const DEFAULT_BOUNDS: CacheBounds = { most: 5000, bytes: 64 * 1024 * 1024 };

interface Entry {
  readonly log: ActorLog;
  readonly baseBytes: number;
  /** As it was counted last: a log grows while it is here. */
  bytes: number;
}

/** Logs of actors by their keys. Of those that nobody wants the oldest go when there are too many, or too much in them. */
export class LogCache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(
    /** Must stay. */
    private readonly wanted: (key: string) => boolean,
    private readonly bounds: CacheBounds = DEFAULT_BOUNDS,
  ) {}

  get(key: string): ActorLog | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#count(entry);
    return entry?.log;
  }

  /** @param baseBytes what the base of its generation takes. */
  set(key: string, log: ActorLog, baseBytes: number): void {
    this.delete(key);
    const entry = { log, baseBytes, bytes: 0 };
    this.#entries.set(key, entry);
    this.#count(entry);
    this.#trim(key);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.bytes;
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  #count(entry: Entry): void {
    const bytes = entry.baseBytes + entry.log.bytes;
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  #trim(keep: string): void {
    if (this.#fits) return;
    for (const key of this.#entries.keys()) {
      if (this.#fits) return;
      if (key !== keep && !this.wanted(key)) this.delete(key);
    }
  }

  get #fits(): boolean {
    return this.#entries.size <= this.bounds.most && this.#bytes <= this.bounds.bytes;
  }
}
