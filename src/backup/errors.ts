/**
 * - `damaged`: the file is not what was once written; the message says where.
 * - `newer`: a later version of this software made it.
 * - `wrong-cluster`: it is of another cluster than the folder or the settings.
 * - `nothing`: there is no cluster document to back up.
 * - `sealed`: it is encrypted, and its key is not here.
 * - `no-space`: the disk has less room than a backup takes; nothing was begun.
 * - `unsaved`: the disk refused what is restored; what was written before stays, and the same again goes on.
 * - `moved`: a document was taken away while it was to be backed up; the next try finds the one after it.
 */
export type BackupErrorCode =
  'damaged' | 'newer' | 'wrong-cluster' | 'nothing' | 'sealed' | 'no-space' | 'unsaved' | 'moved';

/** A backup could not be made, trusted or restored. */
export class BackupError extends Error {
  constructor(
    readonly code: BackupErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'BackupError';
  }
}
