import type { PeerId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { silentLog, systemClock } from '../../src/index.js';
import { OpenDocuments, type OpenDocumentsOptions } from '../../src/node/open-documents.js';
import { CLUSTER, MemoryStorage } from './world.js';

/** The documents of a node, without the node. */
export function openDocuments(options: Partial<OpenDocumentsOptions> = {}): OpenDocuments {
  const storage: StorageAdapterInterface = new MemoryStorage();
  return new OpenDocuments({
    clusterId: CLUSTER,
    peerId: 'peer' as PeerId,
    storage,
    clock: systemClock,
    log: silentLog,
    onIncomplete: () => {},
    onTouched: () => {},
    onFailed: () => {},
    ...options,
  });
}
