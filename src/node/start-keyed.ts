import type { NodeInside } from './inside.js';
import { KeyedStores } from './keyed/keyed-stores.js';
import { WindowFile } from './keyed/window-file.js';

/** The keyed stores of a node. What an earlier process left of windows that are over goes now. */
export async function startKeyed(inside: NodeInside): Promise<KeyedStores> {
  const { parts, documents, counters, fastPath } = inside;
  const { clock, log, storage, options } = parts;
  const keyed = new KeyedStores({
    documents,
    storage,
    known: await WindowFile.open(options.dataDir, {
      log,
      clock,
      failed: () => void (counters.keyed.persistenceErrors += 1),
    }),
    replica: parts.self.replica,
    schema: inside.schemas.known,
    epoch: () => inside.epoch,
    sent: (document, bytes) => fastPath.send(document, bytes),
    counters: counters.keyed,
    count: counters.countMalformed,
    clock,
    log,
  });
  keyed.sweep();
  return keyed;
}
