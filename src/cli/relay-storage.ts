import { join } from 'node:path';
import { showStorage } from '../node/metrics/storage.js';
import { DurableStorage, type OnTimed } from '../storage/durable.js';
import { ensureFolder } from '../storage/folder.js';
import { lockFolder } from '../storage/lock.js';
import { MemoryChunks } from '../storage/memory-chunks.js';
import { startPglite, type PgliteServer } from '../storage/pglite.js';
import { PostgresChunks } from '../storage/postgres-chunks.js';
import type { ClaimRecords } from '../sync/claim-records.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { identityOfMemoryRelay } from './relay-identity.js';
import type { RelayConfig } from './config/roles.js';
import { reached, type Waiting } from './relay-database.js';

export interface RelayStorage {
  adapter: DurableStorage;
  /** Where it keeps its lasting name, when the storage forgets. */
  identity?: ClaimRecords;
  /** Why nothing new is stored just now; undefined when all is well. */
  trouble(): string | undefined;
  /** For the health pages. */
  notes: string[];
  close(): Promise<void>;
}

const LOSES = 'this relay stores in PGlite: what it stored last may be lost with the power';
const FORGETS = 'this relay keeps everything in memory and forgets it when it ends';

/** The relay's storage, ready to be used. A key that does not fit is heard of here; a server out of reach is waited for. */
export async function openRelayStorage(
  config: RelayConfig,
  log: Log,
  metrics: Metrics,
  waiting: Waiting,
): Promise<RelayStorage> {
  const keys = config.storageKeys;
  const onTimed: OnTimed = (step, ms) => metrics.took(step, ms);
  const opened = async (adapter: DurableStorage, trouble: string, release?: () => Promise<void>) => {
    const storage = await ready(adapter, trouble, release);
    showStorage(metrics, () => adapter.status());
    return storage;
  };
  switch (config.storage) {
    case 'memory':
      log.warn(
        { setting: 'UNDERSTUDY_RELAY_STORAGE' },
        'THIS RELAY KEEPS EVERYTHING IN MEMORY AND FORGETS IT WHEN IT ENDS: for development only',
      );
      return await inMemory(config.dataDir, log, (release) =>
        opened(new DurableStorage({ store: new MemoryChunks(), log, onTimed }), 'memory', release),
      );
    case 'postgres': {
      const trouble = 'the database is out of reach or refuses writes';
      const open = () => {
        const store = new PostgresChunks({ url: config.databaseUrl ?? '', log });
        return opened(new DurableStorage({ store, log, keys, onTimed }), trouble);
      };
      return await reached(open, log, waiting);
    }
    case 'pglite': {
      log.warn(
        { setting: 'UNDERSTUDY_RELAY_STORAGE' },
        'PGLITE ASKS THE DISK FOR NOTHING: what this relay stored last may be lost with the power (fs and postgres keep it)',
      );
      await ensureFolder(config.dataDir);
      const lock = await lockFolder(config.dataDir);
      let engine: PgliteServer | undefined;
      const release = async (): Promise<void> => {
        await engine?.close();
        await lock.release();
      };
      try {
        engine = await startPglite(config.dataDir);
        const store = new PostgresChunks({ url: engine.url, place: engine.place, log });
        return {
          ...(await opened(
            new DurableStorage({ store, log, keys, onTimed }),
            'PGlite refuses writes',
            release,
          )),
          notes: [LOSES],
        };
      } catch (error) {
        await release();
        throw error;
      }
    }
    case 'fs': {
      await ensureFolder(config.dataDir);
      const lock = await lockFolder(config.dataDir);
      try {
        const adapter = new DurableStorage({ dir: join(config.dataDir, 'documents'), log, keys, onTimed });
        return await opened(adapter, 'the disk refuses writes', () => lock.release());
      } catch (error) {
        await lock.release();
        throw error;
      }
    }
  }
}

async function inMemory(
  dataDir: string,
  log: Log,
  open: (release: () => Promise<void>) => Promise<RelayStorage>,
): Promise<RelayStorage> {
  const identity = await identityOfMemoryRelay(dataDir, log);
  const storage = await open(async () => identity?.release());
  return { ...storage, notes: [FORGETS], ...(identity && { identity: identity.records }) };
}

async function ready(
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
