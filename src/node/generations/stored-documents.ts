import { join } from 'node:path';
import { z } from 'zod';
import { readJsonOrAside, writeJson } from '../../storage/json-file.js';
import type { DurableStorage } from '../../storage/durable.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';

const schema = z.object({
  /** Documents of generations whose cut record was not on disk yet. */
  begun: z.array(z.string()).default([]),
  /** Documents whose removal was decided: what is left of them says nothing. */
  removing: z.array(z.string()).default([]),
});

/**
 * Which documents this folder holds, and what a kill would leave half done of their coming and going:
 * `generations.json` in the data folder. A document that was begun and has no record is unused, and goes at the
 * next start; a cut with the same heads would have made the same one.
 */
export class StoredDocuments {
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly storage: Pick<DurableStorage, 'removeRange'>,
    private readonly ids: Set<string>,
    private value: z.output<typeof schema>,
  ) {}

  /** Reads the folder, and ends the removals that a kill cut short. */
  static async open(
    dataDir: string,
    storage: Pick<DurableStorage, 'documents' | 'removeRange'>,
    { log, clock }: { log: Log; clock: Clock },
  ): Promise<StoredDocuments> {
    const path = join(dataDir, 'generations.json');
    const lost = 'which documents were being made or removed: what a kill left of them stays on the disk';
    const value = (await readJsonOrAside(path, schema, { lost, log, clock })) ?? { begun: [], removing: [] };
    const stored = new StoredDocuments(path, storage, new Set(await storage.documents()), value);
    for (const id of value.removing) await stored.remove(id);
    return stored;
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  added(id: string): void {
    this.ids.add(id);
  }

  get begun(): readonly string[] {
    return this.value.begun;
  }

  /** On disk when it resolves: call it before anything of the document is. */
  async begin(id: string): Promise<void> {
    this.ids.add(id);
    await this.#change({ begun: [...new Set([...this.value.begun, id])] });
  }

  /** The document has a record, or is gone. */
  async end(id: string): Promise<void> {
    if (this.value.begun.includes(id))
      await this.#change({ begun: this.value.begun.filter((one) => one !== id) });
  }

  /** Takes a document from the disk; it must be closed. */
  async remove(id: string): Promise<void> {
    await this.#change({ removing: [...new Set([...this.value.removing, id])] });
    await this.storage.removeRange([id]);
    this.ids.delete(id);
    await this.#change({
      begun: this.value.begun.filter((one) => one !== id),
      removing: this.value.removing.filter((one) => one !== id),
    });
  }

  async #change(change: Partial<z.output<typeof schema>>): Promise<void> {
    this.value = { ...this.value, ...change };
    const { value } = this;
    // One after the other, so that the file says in the end what was said last; a failed one stands in nobody's way.
    const written = this.#writing.then(() => writeJson(this.path, value));
    this.#writing = written.then(
      () => {},
      () => {},
    );
    await written;
  }
}
