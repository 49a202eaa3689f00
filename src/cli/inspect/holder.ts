import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ControlError, askControl, controlPath } from '../../telemetry/control.js';
import type { SettingsReader } from '../config/reader.js';
import { dataDir } from '../config/settings.js';
import { readRecord } from '../up/record.js';
import { UserError, type ExitCode } from '../user-error.js';
import { documentsFolder } from './folder.js';

/** Longer than the process takes to fetch an archive through a relay. */
const ANSWER_MS = 30_000;

/** Of the reasons for which the holder refuses; 1 for others. */
const exitCodes: Record<string, ExitCode> = {
  'bad-key': 2,
  'bad-token': 2,
  'bad-user': 2,
  'missing-history': 3,
  unreachable: 3,
  'unknown-relay': 2,
};

/** The data folder that is meant: as set; else the first replica that `up` keeps here, or the usual folder of one. */
export async function folderToLookAt(read: SettingsReader): Promise<string> {
  const given = read.optional(dataDir);
  if (given !== undefined) return resolve(given);
  const usual = 'data/replica';
  if (existsSync(usual)) return resolve(usual);
  const record = await readRecord('data');
  return resolve(record?.processes.find(({ name }) => name.startsWith('replica'))?.dataDir ?? usual);
}

/** The answer of the process that holds a data folder; undefined when none listens there. */
export async function askHolder(
  dir: string,
  method: string,
  params: Record<string, unknown> = {},
): Promise<{ answer: unknown } | undefined> {
  try {
    return { answer: await askControl(controlPath(dir), method, params, { deadlineMs: ANSWER_MS }) };
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.code === 'nobody') return undefined;
    if (error.code === 'refused') {
      throw new UserError(exitCodes[error.reason ?? ''] ?? 1, error.message, { cause: error });
    }
    throw new UserError(3, `the process that holds ${dir} does not answer: ${error.message}`, {
      cause: error,
    });
  }
}

/** Before the files of a folder are read. */
export function assertDocumentsIn(dir: string): void {
  if (existsSync(documentsFolder(dir))) return;
  throw new UserError(
    2,
    `there are no documents in ${dir}: name the data folder of a replica with --data or UNDERSTUDY_DATA_DIR`,
  );
}
