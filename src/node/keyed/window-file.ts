import { join } from 'node:path';
import { z } from 'zod';
import { readJsonOrAside, writeJson } from '../../storage/json-file.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';

const schema = z.object({
  windows: z
    .array(
      z.object({
        /** Document id. */
        id: z.string(),
        /** When nothing in it counts any more, milliseconds. */
        over_at: z.number(),
      }),
    )
    .default([]),
});

/** A document of a keyed store that this folder holds or is about to. */
export interface KnownWindow {
  readonly id: string;
  readonly overAt: number;
}

/** Which documents of keyed stores are on this disk: their ids are hashes, so that the folder itself cannot say it. */
export interface KnownWindows {
  all(): readonly KnownWindow[];
  /** On disk when it resolves: before anything of the documents is. */
  begin(windows: readonly KnownWindow[]): Promise<void>;
  /** The documents are gone from the disk. */
  end(ids: readonly string[]): Promise<void>;
}

/** `keyed.json` in the data folder. */
export class WindowFile implements KnownWindows {
  #writing: Promise<void> = Promise.resolve();
  /** The file does not say what was said last. */
  #failed = false;

  private constructor(
    private readonly path: string,
    private known: ReadonlyMap<string, number>,
  ) {}

  /**
   * What cannot be read is begun anew, and `failed` is told: no cache keeps a node from starting. Windows that are open
   * are noted down again; a document of one that is over stays on the disk then.
   */
  static async open(
    dataDir: string,
    { log, clock, failed }: { log: Log; clock: Clock; failed: () => void },
  ): Promise<WindowFile> {
    const path = join(dataDir, 'keyed.json');
    const lost = 'which documents of keyed stores this folder holds: one that is over stays on the disk';
    try {
      const value = await readJsonOrAside(path, schema, { lost, log, clock, onDamage: failed });
      return new WindowFile(path, new Map(value?.windows.map(({ id, over_at }) => [id, over_at])));
    } catch (error) {
      failed();
      log.error({ err: error, lost }, 'keyed.json cannot be read and is begun anew');
      return new WindowFile(path, new Map());
    }
  }

  all(): readonly KnownWindow[] {
    return [...this.known].map(([id, overAt]) => ({ id, overAt }));
  }

  async begin(windows: readonly KnownWindow[]): Promise<void> {
    const fresh = windows.filter(({ id, overAt }) => this.known.get(id) !== overAt);
    if (fresh.length === 0) await this.#writing;
    if (fresh.length === 0 && !this.#failed) return;
    await this.#change(new Map([...this.known, ...fresh.map(({ id, overAt }) => [id, overAt] as const)]));
  }

  async end(ids: readonly string[]): Promise<void> {
    await this.#change(new Map([...this.known].filter(([id]) => !ids.includes(id))));
  }

  async #change(known: ReadonlyMap<string, number>): Promise<void> {
    this.known = known;
    // One after the other, so that the file says in the end what was said last; a failed one stands in nobody's way.
    const written = this.#writing.then(() =>
      writeJson(this.path, { windows: [...this.known].map(([id, over_at]) => ({ id, over_at })) }),
    );
    this.#writing = written.then(
      () => void (this.#failed = false),
      () => void (this.#failed = true),
    );
    await written;
  }
}
