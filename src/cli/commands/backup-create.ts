import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { backUpFolder } from '../../node/backup/back-up-folder.js';
import { backupAnswer } from '../../node/backup/questions.js';
import { systemClock } from '../../time/clock.js';
import { progressLines, sizeText } from '../backup/progress.js';
import { creationRefused } from '../backup/refusals.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import { SettingsReader } from '../config/reader.js';
import { backupKeep } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;
const LOOK_MS = 100;

type Made = Extract<z.infer<typeof backupAnswer>, { state: 'made' }>['backup'];

/** `understudy backup create`: by the process that holds the folder; from its files when there is none. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const found = await askHolder(dir, 'backup');
  const made =
    found === undefined
      ? await fromFiles(dir, storageKeys(read), read.required(backupKeep))
      : await followed(dir, found.answer);
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify({ version, data_dir: dir, ...made }, undefined, 2)}\n`);
  } else {
    process.stdout.write(`${made.path}: ${made.documents} documents, ${sizeText(made.bytes)}, verified\n`);
  }
  return 0;
}

/** Asks until it is made. */
async function followed(dir: string, answer: unknown): Promise<Made> {
  const progress = progressLines('backed up', systemClock);
  let stand = backupAnswer.parse(answer);
  while (stand.state === 'running') {
    if (stand.progress !== undefined) progress(stand.progress);
    await sleep(LOOK_MS);
    const found = await askHolder(dir, 'backup', { ticket: stand.ticket });
    if (found === undefined) {
      throw new UserError(3, `the process that holds ${dir} has ended: the backup was not made`);
    }
    stand = backupAnswer.parse(found.answer);
  }
  if (stand.state === 'failed') throw new UserError(1, `the backup was not made: ${stand.fault}`);
  return stand.backup;
}

async function fromFiles(dir: string, keys: Keyring, keep: number): Promise<Made> {
  assertDocumentsIn(dir);
  const onProgress = progressLines('backed up', systemClock);
  const made = backUpFolder({
    dataDir: dir,
    storageKeys: keys,
    keep,
    reason: 'asked',
    clock: systemClock,
    onProgress,
  });
  const { name, path, size, manifest } = await made.catch((error: unknown) => {
    throw creationRefused(error);
  });
  const { created_at, documents } = manifest;
  return { name, path, bytes: size, documents: documents.length, created_at };
}
