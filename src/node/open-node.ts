import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { connectRelays } from '../sync/connect.js';
import { clusterCheck } from '../sync/credentials.js';
import { peerIdOf } from '../sync/repo-message.js';
import { DurableStorage } from '../storage/durable.js';
import { lockFolder } from '../storage/lock.js';
import { silentLog } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import { guardedClock } from '../time/guarded-clock.js';
import { Cleanup } from './cleanup.js';
import { NodeCounters } from './counters.js';
import { NodeError } from './errors.js';
import { LiveNode } from './live-node.js';
import { NodeEvents } from './node-events.js';
import type { OpenNodeOptions } from './options.js';
import { ReplicaFile } from './replica-file.js';
import type { StateNode } from './state-node.js';

/** How long closing waits for the disk, milliseconds. */
const CLOSE_MS = 5_000;

/**
 * Opens this replica's copy of a cluster's state: the folder is locked, documents are read from it, relays are
 * connected, the cluster is found or founded (PROTOCOL C5), and this replica is registered as a member. Resolves
 * when it may be read and written; until then `onStatus` says what it waits for.
 *
 * Rejects with `FolderLocked`, `FolderError`, `SealError` (the storage key does not fit), `SyncError` (settings of relays or of the replica
 * id that can never work) or `NodeError` (`aborted`, `storage`); nothing is left open then.
 */
export async function openNode(options: OpenNodeOptions): Promise<StateNode> {
  const { dataDir, signal, log = silentLog } = options;
  const counters = new NodeCounters();
  const clock = guardedClock(options.clock ?? systemClock, (error) => {
    counters.failedHandlers += 1;
    log.error({ err: error }, 'what a timer had to do failed');
  });
  options.onStatus?.({ state: 'opening' });
  const cleanup = new Cleanup(log);
  try {
    signal?.throwIfAborted();
    const lock = await lockFolder(dataDir);
    cleanup.add('lock', () => lock.release());
    const replica = await ReplicaFile.open(dataDir, options.replicaId, { log, clock });
    const self = { replica: replica.replica, incarnation: randomBytes(9).toString('base64url') };

    const incomplete = new Set<string>();
    const events = new NodeEvents(counters, log);
    const storage = new DurableStorage({
      dir: join(dataDir, 'documents'),
      log,
      clock,
      ...(options.durability && { durability: options.durability }),
      ...(options.storageKeys && { keys: options.storageKeys }),
      ...(options.onTimed && { onTimed: options.onTimed }),
      onEvent: (event) => {
        if (event.type !== 'state:recovered') return events.emit(event);
        const { type, document, reason, quarantined } = event;
        if (document !== undefined) incomplete.add(document);
        events.emit({ type, step: 'quarantined', document, reason, quarantined });
      },
    });
    cleanup.add('storage', async () => {
      const deadline = new AbortController();
      const cancel = clock.after(CLOSE_MS, () => deadline.abort());
      await storage.close(deadline.signal);
      cancel();
    });
    await storage.open();
    options.onStorage?.(() => storage.status());

    const relays = connectRelays({
      self,
      relays: options.relays,
      clusterCheck: clusterCheck(options.clusterId),
      clock,
      log,
    });
    cleanup.add('relays', () => relays.close());
    const node = new LiveNode({
      options,
      clock,
      log,
      self,
      peerId: peerIdOf(self),
      replica,
      storage,
      relays,
      incomplete,
      counters,
      events,
      cleanup,
    });
    await node.open();
    return node;
  } catch (error) {
    await cleanup.run();
    if (signal?.aborted === true) throw new NodeError('aborted', 'opening was aborted', { cause: error });
    throw error;
  }
}
