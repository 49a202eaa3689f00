import { interpretAsDocumentId, type BinaryDocumentId, type DocumentId } from '@automerge/automerge-repo';
import { digest } from './digest.js';

export type DocumentKind = 'cluster' | 'routing' | 'actors' | 'audit' | 'keyed';

/**
 * Which document: its family, its shard index and its generation (both 0 for `cluster`). A generation above 0 is
 * begun by a cut, whose id is part of the name: two replicas that cut apart have made two documents (PROTOCOL A6).
 * Of `keyed` documents the index is a window of time, and `cut` names the width of it and the namespace.
 */
export interface DocumentName {
  kind: DocumentKind;
  index: number;
  generation: number;
  cut?: string;
}

/**
 * The id every replica derives for the same document (DESIGN §3): the first 16 bytes of SHA-256 over cluster
 * id, kind, index, generation and, where there is one, the id of the cut. The cluster id is a secret: who knows a document id can ask for it.
 */
export function documentId(cluster: string, name: DocumentName): DocumentId {
  const { kind, index, generation, cut } = name;
  const parts = [kind, String(index), String(generation), ...(cut === undefined ? [] : [cut])];
  const hash = digest('understudy-document', cluster, ...parts);
  return interpretAsDocumentId(new Uint8Array(hash.subarray(0, 16)) as BinaryDocumentId);
}

/**
 * For people and logs: `cluster`, `routing/3`, `actors/3`, with generation and cut when it is not the first
 * (`actors/3.1.<cut>`), `keyed/20000.1d.<namespace>`.
 */
export function describeDocument(name: DocumentName): string {
  const base = name.kind === 'cluster' ? 'cluster' : `${name.kind}/${name.index}`;
  const generation = name.generation === 0 ? '' : `.${name.generation}`;
  return `${base}${generation}${name.cut === undefined ? '' : `.${name.cut}`}`;
}
