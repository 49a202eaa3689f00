import * as A from '@automerge/automerge';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import { documentOf, type Cut } from './cut.js';
import type { StoredDocuments } from './stored-documents.js';

/** A generation of a shard that is open here; without a cut it is the first one. */
export interface Generation {
  readonly document: OpenDocument;
  readonly cut: Cut | undefined;
}

/** The documents of one shard's generations, by the cuts that began them. */
export class ShardDocuments {
  constructor(
    readonly index: number,
    private readonly context: { documents: OpenDocuments; stored: StoredDocuments },
  ) {}

  idOf(cut: Cut | undefined): string {
    return this.context.documents.idOf(documentOf(this.index, cut));
  }

  isStored(cut: Cut | undefined): boolean {
    return this.context.stored.has(this.idOf(cut));
  }

  /** Opens it from disk, else from its first bytes; without any it is empty until a peer brings them. */
  async open(cut: Cut | undefined, first?: Uint8Array): Promise<OpenDocument> {
    const { documents, stored } = this.context;
    const document = await documents.open(documentOf(this.index, cut), first);
    if (A.getHeads(document.handle.doc()).length > 0) stored.added(document.id);
    return document;
  }

  /** What this replica has of it; undefined when it is neither open nor on this disk. */
  async held(cut: Cut | undefined): Promise<OpenDocument | undefined> {
    return this.context.documents.get(this.idOf(cut)) ?? (this.isStored(cut) ? this.open(cut) : undefined);
  }
}

/** The first change of a generation is here, and so everything that its cut took over. */
export function holds({ handle }: OpenDocument, cut: Cut | undefined): boolean {
  return cut === undefined || A.hasHeads(handle.doc(), [cut.bytesHash]);
}
