import { randomUUID } from 'node:crypto';
import type { StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';

const retryMs = 1_000;
/** A Repo asks for it as soon as it is made, where nobody can catch what fails, and a relay's tells it to nobody. */
const idKey = 'storage-adapter-id';

/**
 * Storage as the relay's Repo may be given it. A save that fails is kept and tried again, and does not reject:
 * the Repo saves in the background and leaves a rejection unhandled, which ends the process, and it never
 * again compacts a document whose save rejected. {@link unsaved} says what may not be called stored meanwhile.
 */
export class RetryingStorage implements StorageAdapterInterface {
  readonly #waiting = new Map<string, { key: StorageKey; data: Uint8Array }>();
  #retry: Cancel | undefined;
  #closed = false;

  constructor(
    private readonly inner: StorageAdapterInterface,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly failed: () => void,
  ) {}

  async load(key: StorageKey): Promise<Uint8Array | undefined> {
    if (key[0] !== idKey) return await this.inner.load(key);
    try {
      return await this.inner.load(key);
    } catch (error) {
      this.#report(error, 'The relay could not read the id of its storage; it goes by another one');
      return Buffer.from(randomUUID());
    }
  }

  loadRange(prefix: StorageKey): ReturnType<StorageAdapterInterface['loadRange']> {
    return this.inner.loadRange(prefix);
  }

  async save(key: StorageKey, data: Uint8Array): Promise<void> {
    const name = key.join('\0');
    try {
      await this.inner.save(key, data);
      this.#waiting.delete(name);
    } catch (error) {
      this.#waiting.set(name, { key, data });
      this.#report(error, 'The relay could not store a chunk; it is kept in memory and tried again');
      this.#schedule();
    }
  }

  /** A chunk that cannot be removed is superseded by what was saved before, so that it does no harm. */
  async remove(key: StorageKey): Promise<void> {
    this.#waiting.delete(key.join('\0'));
    try {
      await this.inner.remove(key);
    } catch (error) {
      this.#report(error, 'The relay could not remove a superseded chunk');
    }
  }

  /**
   * Removes nothing. A Repo asks for it when it is told to forget a document, as a relay's is of those that were
   * announced and never came; if one comes at that very moment, what is stored is its changes.
   */
  removeRange(): Promise<void> {
    return Promise.resolve();
  }

  /** Some chunk of this document is in memory only. */
  unsaved(documentId: string): boolean {
    for (const { key } of this.#waiting.values()) if (key[0] === documentId) return true;
    return false;
  }

  /** Chunks that are in memory only. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Tries what is waiting once more, and never after that. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.();
    await this.#saveAgain();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#retry ??= this.clock.after(retryMs, () => {
      this.#retry = undefined;
      void this.#saveAgain();
    });
  }

  async #saveAgain(): Promise<void> {
    for (const { key, data } of this.#waiting.values()) await this.save(key, data);
  }

  #report(error: unknown, message: string): void {
    this.failed();
    this.log.error({ error: error instanceof Error ? error.message : String(error) }, message);
  }
}
