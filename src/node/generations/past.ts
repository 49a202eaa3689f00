import * as A from '@automerge/automerge';
import type { Document } from '../../documents/document.js';

/** A document as it was at some heads, and what frees it. */
export interface PastDocument {
  document: Document;
  free(): void;
}

/**
 * The document that holds exactly the changes that `heads` stand for, all of which it must have. A copy, which stays
 * as it is while the document goes on; not a view: reading all concurrent values of a key looks at a document's
 * present also in a view (documents/document.ts).
 */
export function documentAt(document: Document, heads: readonly string[]): PastDocument {
  const fork = A.getBackend(document).fork(undefined, [...heads]);
  try {
    const past = A.load<Record<string, unknown>>(fork.save());
    return { document: past, free: () => A.free(past) };
  } finally {
    fork.free();
  }
}
