import { join } from 'node:path';
import { DurableStorage } from '../storage/durable.js';
import { ensureFolder } from '../storage/folder.js';
import { lockFolder } from '../storage/lock.js';
import { MemoryChunks } from '../storage/memory-chunks.js';
import { PostgresChunks } from '../storage/postgres-chunks.js';
import type { Log } from '../telemetry/log.js';
import type { RelayConfig } from './config/roles.js';

export interface RelayStorage {
  adapter: DurableStorage;
  /** Why nothing new is stored just now; undefined when all is well. */
  trouble(): string | undefined;
  /** For the health pages. */
  notes: string[];
  close(): Promise<void>;
}

const FORGETS = 'this relay keeps everything in memory and forgets it when it ends';

/** The relay's storage, ready to be used. A key that does not fit or a server out of reach is heard of here. */
export async function openRelayStorage(config: RelayConfig, log: Log): Promise<RelayStorage> {
  const keys = config.storageKeys;
  switch (config.storage) {
    case 'memory':
      log.warn(
        { setting: 'UNDERSTUDY_RELAY_STORAGE' },
        'THIS RELAY KEEPS EVERYTHING IN MEMORY AND FORGETS IT WHEN IT ENDS: for development only',
      );
      return {
        ...(await opened(new DurableStorage({ store: new MemoryChunks(), log }), 'memory')),
        notes: [FORGETS],
      };
    case 'postgres': {
      const store = new PostgresChunks({ url: config.databaseUrl ?? '', log });
      return await opened(
        new DurableStorage({ store, log, keys }),
        'the database is out of reach or refuses writes',
      );
    }
    case 'fs': {
      await ensureFolder(config.dataDir);
      const lock = await lockFolder(config.dataDir);
      try {
        const adapter = new DurableStorage({ dir: join(config.dataDir, 'documents'), log, keys });
        return await opened(adapter, 'the disk refuses writes', () => lock.release());
      } catch (error) {
        await lock.release();
        throw error;
      }
    }
  }
}

async function opened(
  adapter: DurableStorage,
  trouble: string,
  release: () => Promise<void> = () => Promise.resolve(),
): Promise<RelayStorage> {
  try {
    await adapter.open();
  } catch (error) {
    await adapter.close(AbortSignal.abort());
    throw error;
  }
  return {
    adapter,
    notes: [],
    trouble: () => (adapter.status().state === 'failing' ? trouble : undefined),
    async close() {
      // O7's 10 s are the whole of what an end may take; what is not written by then is logged.
      await adapter.close(AbortSignal.timeout(5_000));
      await release();
    },
  };
}
