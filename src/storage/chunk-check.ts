import * as Automerge from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import { isDocumentChunk } from './chunk-key.js';
import { nameIsSum, sha256 } from './checksum.js';
import { frameFault } from './chunk-frames.js';

/**
 * What is wrong with a chunk, judged by its key and itself, or undefined. Whether it is what was written, the store
 * has said (a chunk that stock tools wrote has no checksum of ours); here come the name, the framing, and
 * Automerge's own decoding.
 */
export function contentFault(key: StorageKey, bytes: Uint8Array): string | undefined {
  if (nameIsSum(key) && key[2] !== sha256(bytes)) return 'bytes do not match the name';
  if (!isDocumentChunk(key)) return undefined;
  const fault = frameFault(bytes);
  if (fault !== undefined) return fault;
  try {
    // Incremental chunks rest on changes in other files. An actor is given only to spare making a random one.
    Automerge.free(Automerge.load(bytes, { allowMissingChanges: true, actor: '00' }));
    return undefined;
  } catch (error) {
    return `Automerge cannot read it (${error instanceof Error ? error.message : String(error)})`;
  }
}
