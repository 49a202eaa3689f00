import type { StorageKey } from '@automerge/automerge-repo';
import { contentFault } from './chunk-check.js';
import type { ChunkSource, Look } from './chunk-store.js';

/** A source whose chunks are also what their keys say: named by their sum, and readable by Automerge. */
export class VerifiedChunks implements ChunkSource {
  constructor(private readonly inner: ChunkSource) {}

  keys(prefix: StorageKey): Promise<StorageKey[]> {
    return this.inner.keys(prefix);
  }

  async look(key: StorageKey): Promise<Look> {
    const look = await this.inner.look(key);
    if (look.state !== 'good') return look;
    const reason = contentFault(key, look.bytes);
    return reason === undefined ? look : { state: 'bad', reason, size: look.bytes.length };
  }
}
