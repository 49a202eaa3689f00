import { BackupFile } from '../../backup/backup-file.js';
import { systemClock } from '../../time/clock.js';
import { progressLines, sizeText } from '../backup/progress.js';
import { backupPath, backupRefused } from '../backup/refusals.js';
import { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import { folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy backup verify FILE`: every checksum, and every document by Automerge. Exit code 1 says what is wrong. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  file: string = '',
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const path = backupPath(file, await folderToLookAt(read));
  const asJson = (fields: object): void =>
    void process.stdout.write(`${JSON.stringify({ version, file: path, ...fields }, undefined, 2)}\n`);
  try {
    const backup = await BackupFile.open(path, storageKeys(read));
    try {
      await backup.check({ load: true, onProgress: progressLines('verified', systemClock) });
      const { cluster, replica, created_at, reason, schemas, documents } = backup.manifest;
      if (options['json'] === true) {
        asJson({ good: true, cluster, replica, created_at, reason, schemas, bytes: backup.size, documents });
      } else {
        process.stdout.write(
          `${path} is good: ${documents.length} documents, ${sizeText(backup.size)}, made ${created_at} by ${printable(replica ?? 'a relay')}\n`,
        );
      }
      return 0;
    } finally {
      await backup.close();
    }
  } catch (error) {
    const refused = backupRefused(error, path);
    if (options['json'] === true && refused instanceof UserError)
      asJson({ good: false, fault: refused.message });
    throw refused;
  }
}
