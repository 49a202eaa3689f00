import { join } from 'node:path';
import type { ClaimRecords } from '../sync/claim-records.js';
import { readIfThere, writeAtomically } from '../storage/atomic-write.js';
import { nodeFiles } from '../storage/file-layer.js';
import { ensureFolder } from '../storage/folder.js';
import { lockFolder } from '../storage/lock.js';
import type { Log } from '../telemetry/log.js';
import { messageOf } from './explain.js';

/**
 * The lasting name of a relay that keeps everything else in memory, in its data folder: with it, it can be the authority
 * on claims, and is silent after each start until all leases are over. Undefined where the folder cannot be had: such a
 * relay is another one at each start, and nobody's authority.
 */
export async function identityOfMemoryRelay(
  dataDir: string,
  log: Log,
): Promise<{ records: ClaimRecords; release(): Promise<void> } | undefined> {
  try {
    await ensureFolder(dataDir);
    const lock = await lockFolder(dataDir);
    const pathOf = (name: string): string => join(dataDir, `relay-${name}.json`);
    const records: ClaimRecords = {
      load: (name) => readIfThere(nodeFiles, pathOf(name)),
      save: (name, bytes) => writeAtomically(nodeFiles, pathOf(name), bytes),
    };
    return { records, release: () => lock.release() };
  } catch (error) {
    log.warn(
      { reason: messageOf(error) },
      'this relay has no folder for its name: it is another one at each start, and cannot decide on claims',
    );
    return undefined;
  }
}
