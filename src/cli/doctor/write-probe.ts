import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { removeIfThere, writeWhole } from '../../storage/atomic-write.js';
import { errnoOf, type FileLayer } from '../../storage/file-layer.js';
import { finding, timeText, type Finding } from './finding.js';
import type { Patient } from './patient.js';

/** Of a probe that was killed; the doctor names it among the leftovers. */
export const probeName = /^\.doctor-[0-9a-f-]{36}(\.new)?$/;

const reasons: Record<string, [seen: string, todo: string]> = {
  EACCES: ['permission denied', 'give the user of the replica write access to it'],
  EPERM: ['not permitted', 'give the user of the replica write access to it'],
  EROFS: [
    'its file system is read-only',
    'look why it was mounted so (dmesg shows disk errors), and mount it anew',
  ],
  ENOSPC: ['the disk is full', 'make room on it'],
  EDQUOT: ['the quota is used up', 'make room, or raise the quota'],
  EIO: ['the disk reports errors', 'copy the folder to a good disk'],
};

const TRIES = 3;

/**
 * A real write as storage makes one: a new file, fsync, rename, fsync of the folder; then it is removed. Rights on
 * paper say nothing about a disk that is full, read-only or slow.
 */
export async function probeWrite({
  dir,
  files,
  clock,
  limits,
}: Patient): Promise<{ ms?: number; found: Finding[] }> {
  const path = join(dir, `.doctor-${randomUUID()}`);
  let ms = Infinity;
  try {
    // Tried again while it is slow: a disk that was busy for a moment is not a slow one.
    for (let tries = 0; tries < TRIES && ms >= limits.slowWriteMs; tries += 1) {
      const from = clock.monotonic();
      await writeOnce(files, path);
      ms = Math.min(ms, clock.monotonic() - from);
    }
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const [seen, todo] = reasons[code] ?? ['the write failed', 'look at the disk'];
    return { found: [finding('folder-unwritable', `${dir} cannot be written: ${seen} (${code})`, todo)] };
  }
  if (ms < limits.slowWriteMs) return { ms, found: [] };
  const seen = `the fastest of ${TRIES} writes with its fsync took ${timeText(ms)}; every acknowledgement waits for one`;
  return { ms, found: [finding('folder-slow', seen, 'look what else uses that disk, or use a faster one')] };
}

async function writeOnce(files: FileLayer, path: string): Promise<void> {
  try {
    await writeWhole(files, `${path}.new`, Buffer.from('understudy doctor\n'), 'fsync');
    await files.rename(`${path}.new`, path);
    await files.syncFolder(dirname(path));
  } finally {
    await removeIfThere(files, `${path}.new`);
    await removeIfThere(files, path);
  }
}
