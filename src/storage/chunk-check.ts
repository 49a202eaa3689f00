import * as Automerge from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import { isDocumentChunk } from './chunk-key.js';
import { nameIsSum, sha256 } from './checksum.js';
import { frameFault } from './chunk-frames.js';
import type { Sidecar } from './checksum.js';

/**
 * What is wrong with a stored file, judged by itself, or undefined. Three looks: our checksum (the name or the
 * sidecar; a file that stock tools wrote has none), the framing, and Automerge's own decoding.
 */
export function chunkFault(
  key: StorageKey,
  bytes: Uint8Array,
  sidecar: Sidecar | undefined,
): string | undefined {
  const sum = sha256(bytes);
  if (nameIsSum(key) && key[2] !== sum) return 'bytes do not match the name';
  if (sidecar && !sidecar.sha256.includes(sum)) return 'bytes do not match the checksum';
  return isDocumentChunk(key) ? documentFault(bytes) : undefined;
}

function documentFault(bytes: Uint8Array): string | undefined {
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
