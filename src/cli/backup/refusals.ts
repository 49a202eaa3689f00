import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { faultOf } from '../../backup/backup-file.js';
import { BackupError } from '../../backup/errors.js';
import { FolderLocked } from '../../storage/lock.js';
import { UserError, type ExitCode } from '../user-error.js';

/** A backup by its path, or by its name in the data folder. */
export function backupPath(file: string, dataDir: string): string {
  const named = join(dataDir, 'backups', file);
  if (existsSync(file) || !existsSync(named)) return resolve(file);
  return named;
}

const exitCodes: Partial<Record<BackupError['code'], ExitCode>> = { 'wrong-cluster': 2, sealed: 2 };

/** What went wrong with a backup, in words for the person at the terminal; other errors as they are. */
export function backupRefused(error: unknown, path: string): unknown {
  if (error instanceof FolderLocked) {
    return new UserError(
      1,
      `${error.folder} is in use by process ${error.pid}: stop that process, restore, and start it again; nothing was changed`,
      { cause: error },
    );
  }
  const fault = faultOf(error);
  if (fault === undefined) return error;
  const isOfFile = !(error instanceof BackupError) || error.code === 'damaged' || error.code === 'newer';
  const exitCode = (error instanceof BackupError ? exitCodes[error.code] : undefined) ?? 1;
  return new UserError(exitCode, isOfFile ? `${path} is no good backup: ${fault}` : fault, { cause: error });
}

/** The same for a backup of a folder that nobody seemed to hold. */
export function creationRefused(error: unknown): unknown {
  if (error instanceof FolderLocked) {
    const message = `${error.folder} is in use by process ${error.pid}, which does not answer yet: try again when it has started`;
    return new UserError(3, message, { cause: error });
  }
  const fault = faultOf(error);
  return fault === undefined ? error : new UserError(1, `no backup was made: ${fault}`, { cause: error });
}
