import { interpretAsDocumentId, type BinaryDocumentId, type DocumentId } from '@automerge/automerge-repo';
import { digest } from './digest.js';

export type DocumentKind = 'cluster' | 'routing' | 'actors';

/** Which document: its family, its shard index and its generation (both 0 for `cluster`). */
export interface DocumentName {
  kind: DocumentKind;
  index: number;
  generation: number;
}

/**
 * The id every replica derives for the same document (DESIGN §3): the first 16 bytes of SHA-256 over cluster
 * id, kind, index and generation. The cluster id is a secret: who knows a document id can ask for it.
 */
export function documentId(cluster: string, name: DocumentName): DocumentId {
  const hash = digest('understudy-document', cluster, name.kind, String(name.index), String(name.generation));
  return interpretAsDocumentId(new Uint8Array(hash.subarray(0, 16)) as BinaryDocumentId);
}

/** For people and logs: `cluster`, `routing/3`, `actors/3`, with the generation when it is not the first. */
export function describeDocument(name: DocumentName): string {
  const base = name.kind === 'cluster' ? 'cluster' : `${name.kind}/${name.index}`;
  return name.generation === 0 ? base : `${base}.${name.generation}`;
}
