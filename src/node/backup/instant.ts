import * as A from '@automerge/automerge';
import { BackupError } from '../../backup/errors.js';
import { assembled, toBackUp, type StoredChunks } from '../../backup/stored-document.js';
import type { DocumentToBackUp } from '../../backup/write-backup.js';
import type { Log } from '../../telemetry/log.js';
import { documentAt } from '../generations/past.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import { sameHeads } from '../saver.js';

/**
 * All documents of a running node as they stand at this moment, to be read out one after the other while the node goes
 * on: a change that spans documents is in all of them or in none. Taken from memory, which is what counts: a chunk
 * that has rotted on disk since it was read is whole here.
 */
export class Instant {
  readonly #open: { document: OpenDocument; heads: A.Heads }[];

  constructor(
    private readonly documents: Pick<OpenDocuments, 'all' | 'get'>,
    private readonly stored: StoredChunks,
    private readonly log: Log,
  ) {
    this.#open = [...documents.all()]
      .map((document) => ({ document, heads: A.getHeads(document.handle.doc()) }))
      .filter(({ heads }) => heads.length > 0);
  }

  get count(): number {
    return this.#open.length;
  }

  /** @throws {BackupError} `moved` when a document was closed before it was read: take another instant. */
  async *read(): AsyncGenerator<DocumentToBackUp> {
    for (const { document, heads } of this.#open) {
      // Closed is freed soon after; between this look and the save nothing is waited for.
      if (this.documents.get(document.id) !== document) {
        throw new BackupError('moved', 'a generation was removed while it was backed up');
      }
      const one = saved(document, heads);
      if (one !== undefined) yield one;
    }
    yield* this.#closed();
  }

  /** What stands on disk only: archives of history, and generations of which nothing is awaited. */
  async *#closed(): AsyncGenerator<DocumentToBackUp> {
    const open = new Set<string>(this.#open.map(({ document }) => document.id));
    for (const id of await this.stored.ids()) {
      if (open.has(id) || this.documents.get(id) !== undefined) continue;
      const document = assembled(await this.stored.chunks(id));
      try {
        // Removed meanwhile, or half removed.
        if (A.getHeads(document).length === 0) continue;
        const isWhole = A.getMissingDeps(document, []).length === 0;
        const one = isWhole ? toBackUp(id, document) : undefined;
        if (one === undefined || one.kind === 'cluster' || one.kind === 'routing') {
          this.log.warn({ document: id }, 'a stored document is none of ours or has gaps: not backed up');
        } else yield one;
      } finally {
        A.free(document);
      }
    }
  }
}

function saved({ id, handle }: OpenDocument, heads: A.Heads): DocumentToBackUp | undefined {
  const now = handle.doc();
  if (sameHeads(A.getHeads(now), heads)) return toBackUp(id, now);
  const past = documentAt(now, heads);
  try {
    return toBackUp(id, past.document);
  } finally {
    past.free();
  }
}
