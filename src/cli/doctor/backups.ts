import { join } from 'node:path';
import { BackupFolder } from '../../backup/backup-folder.js';
import { sizeText } from '../backup/progress.js';
import { backupEvery, backupKeep } from '../config/settings.js';
import { clusterRecord } from './cluster-view.js';
import { counted, finding, some, timeText, type Finding } from './finding.js';
import { numberIn, type Patient } from './patient.js';

/** Is there a good backup that is new enough? Every checksum of each is looked at. */
export async function checkBackups(patient: Patient): Promise<Finding[]> {
  const { dir, files, keys, clock, settings, limits, signal } = patient;
  const all = await new BackupFolder(join(dir, 'backups'), files, keys).list({ signal });
  const good = all.filter((one) => one.state === 'good');
  const damaged = all.filter((one) => one.state === 'damaged');
  const everyMs = settings.get(backupEvery) ?? 0;
  const keep = settings.get(backupKeep) ?? 0;
  const [newest] = good;
  const age = newest === undefined ? undefined : clock.now() - Date.parse(newest.manifest.created_at);
  const latest =
    newest === undefined || age === undefined
      ? ''
      : `, the newest of ${newest.manifest.created_at} (${counted(newest.manifest.documents.length, 'document')}, ${sizeText(newest.size)})`;
  const found = [finding('backups', `${counted(good.length, 'good backup')} of ${keep} to keep${latest}`)];
  if (damaged.length > 0) {
    const names = some(damaged.map(({ name, reason }) => `${name}: ${reason}`));
    const todo = '`understudy backup create` makes a new one; remove the damaged ones';
    found.push(
      finding('backup-damaged', `${counted(damaged.length, 'backup')} cannot be used: ${names}`, todo),
    );
  }
  if (everyMs === 0) {
    const todo = 'call `understudy backup create` by a timer of your own, or set UNDERSTUDY_BACKUP_EVERY';
    found.push(
      finding('backups-off', 'backups are not made by themselves (UNDERSTUDY_BACKUP_EVERY=0)', todo),
    );
    return found;
  }
  const late = everyMs * limits.lateBackup;
  const todo =
    'see whether the replica runs, and what its log says of backups; `understudy backup create` makes one now';
  const existsMs = clock.now() - (await foundedAt(patient));
  if (age === undefined && existsMs > late) {
    const seen = `there is no good backup, and one is due every ${timeText(everyMs)}`;
    found.push(finding('backup-none', seen, todo));
  }
  if (age !== undefined && age > late) {
    const seen = `the newest good backup is ${timeText(age)} old, and one is due every ${timeText(everyMs)}`;
    found.push(finding('backup-old', seen, todo));
  }
  return found;
}

/** Milliseconds; a cluster whose founding is not known counts as new. */
async function foundedAt(patient: Patient): Promise<number> {
  const view = await patient.view();
  return (view && numberIn(clusterRecord(view), 'genesis_ts')) ?? patient.clock.now();
}
