import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ErasureError } from '../../node/erasure/errors.js';
import { erasureQuestions } from '../../node/erasure/questions.js';
import { openNode } from '../../node/open-node.js';
import { FolderLocked } from '../../storage/lock.js';
import * as setting from '../config/settings.js';
import type { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import { askHolder } from '../inspect/holder.js';
import { UserError } from '../user-error.js';

/** Who answers about forgetting: the replica that runs, or its folder. */
export interface AskErasure {
  readonly isRunning: boolean;
  ask(method: 'forget' | 'forgotten', params: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

export async function askErasure(dir: string, read: SettingsReader): Promise<AskErasure> {
  if ((await askHolder(dir, 'heads')) !== undefined) return throughHolder(dir);
  if (!existsSync(join(dir, 'replica.json'))) {
    throw new UserError(
      2,
      `${dir} is no data folder of a replica: name one with --data or UNDERSTUDY_DATA_DIR`,
    );
  }
  const clusterId = read.optional(setting.clusterId);
  if (clusterId === undefined) {
    throw new UserError(
      2,
      `no process holds ${dir}: start its replica and run this again, or set UNDERSTUDY_CLUSTER_ID as that replica has it`,
    );
  }
  return inFolder(dir, clusterId, read);
}

function throughHolder(dir: string): AskErasure {
  return {
    isRunning: true,
    async ask(method, params) {
      const found = await askHolder(dir, method, params);
      if (found !== undefined) return found.answer;
      throw new UserError(3, `the process that holds ${dir} has ended: run this again, nothing is half done`);
    },
    close: () => Promise.resolve(),
  };
}

/**
 * In a folder that no process holds, alone: what was recorded there reaches the others when its replica runs again,
 * which also cuts the history and asks the platform.
 */
async function inFolder(dir: string, clusterId: string, read: SettingsReader): Promise<AskErasure> {
  const node = await openNode({
    clusterId,
    dataDir: dir,
    storageKeys: storageKeys(read),
    relays: [],
    generations: { everyMs: 0 },
    backups: { everyMs: 0 },
  }).catch((error: unknown) => {
    if (!(error instanceof FolderLocked)) throw error;
    throw new UserError(3, `${dir} is in use by process ${error.pid}, which does not answer yet: try again`, {
      cause: error,
    });
  });
  // Machines are not known here, and nobody else is: what is due is cut by the replica.
  const withoutCuts = {
    erasure: node.erasure,
    histories: node.histories,
    relays: () => node.relays(),
    replicated: (ms: number) => node.replicated(ms),
    cutIfDue: () => Promise.resolve(0),
  };
  const answers = erasureQuestions(withoutCuts, () => {});
  return {
    isRunning: false,
    async ask(method, params) {
      try {
        return await answers[method]?.(params);
      } catch (error) {
        if (!(error instanceof ErasureError)) throw error;
        throw new UserError(2, error.message, { cause: error });
      }
    },
    close: () => node.close(),
  };
}
