import type { ClaimStoreOptions } from '../keyed/claim-options.js';
import type { ClaimStore } from '../keyed/claim-store.js';
import type { KeyedStoreOptions } from '../keyed/options.js';
import type { KeyedStore } from '../keyed/store.js';
import type { NodeInside } from './inside.js';
import { LocalState } from './matrix-storage/local-state.js';
import { NodeMatrixStorage } from './matrix-storage/provider.js';
import { OnceHandlers } from './once/once-handlers.js';

export interface NodeMatrix {
  storage: NodeMatrixStorage;
  once: OnceHandlers;
  close(): Promise<void>;
}

/** What a bot of matrix-bot-sdk stands on; nothing of it is opened before it is asked for. */
export async function startMatrixStorage(
  inside: NodeInside,
  node: {
    openStore(options: KeyedStoreOptions<string>): Promise<KeyedStore<string>>;
    openClaims(options: ClaimStoreOptions): ClaimStore;
    hasAuthority(): boolean;
  },
): Promise<NodeMatrix> {
  const { clock, options } = inside.parts;
  const log = inside.parts.log.child({ part: 'matrix-storage' });
  const local = await LocalState.open(options.dataDir, { log, clock });
  const once = new OnceHandlers({
    local,
    counters: inside.counters.once,
    clock,
    log,
    openClaims: (claims) => node.openClaims(claims),
  });
  return {
    storage: new NodeMatrixStorage(local, { ...node, clock, log, signal: local.signal }),
    once,
    close: async () => {
      await once.close();
      await local.close(clock);
    },
  };
}
