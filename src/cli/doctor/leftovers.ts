import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, type FileLayer, type FolderEntry } from '../../storage/file-layer.js';
import { ASIDE } from '../../storage/chunk-key.js';
import { documentsFolder } from '../inspect/folder.js';
import { counted, finding, some, timeText, type Finding } from './finding.js';
import type { Patient } from './patient.js';
import { probeName } from './write-probe.js';

const temporary = [/\.tmp$/, /^\.writable-/, /^lock\.(?!copy$|quarantine)/, /\.new$/, probeName];
const JOURNAL_ASIDE = /\.quarantine-\d+(-\d+)?$/;

/** What a kill left half done; only of a folder that nobody works in. */
export async function checkLeftovers({ dir, files }: Patient): Promise<Finding[]> {
  const left = [
    ...(await list(files, dir)).filter(({ name }) => temporary.some((shape) => shape.test(name))),
    ...(await list(files, join(documentsFolder(dir), ASIDE.temporary))),
    ...(await list(files, join(dir, 'backups'))).filter(({ name }) => !name.endsWith('.tar')),
  ];
  if (left.length === 0) return [];
  const names = some(left.map(({ name }) => name));
  return [
    finding(
      'leftovers',
      `${counted(left.length, 'file')} left by a process that was killed: ${names}`,
      'nothing: the next start takes most away, and none is read',
    ),
  ];
}

/** What was taken out of the way because it was damaged. */
export async function checkQuarantine({ dir, files, clock }: Patient): Promise<Finding[]> {
  const folder = join(documentsFolder(dir), ASIDE.quarantine);
  const aside = [
    ...(await list(files, folder)).map(({ name }) => join(folder, name)),
    ...(await list(files, dir))
      .filter(({ name }) => JOURNAL_ASIDE.test(name))
      .map(({ name }) => join(dir, name)),
  ];
  if (aside.length === 0) return [];
  const stats = await Promise.all(aside.map((path) => stat(path)));
  const bytes = stats.reduce((sum, one) => sum + one.size, 0);
  const newest = Math.max(...stats.map((one) => one.ctimeMs));
  const seen = `${counted(aside.length, 'damaged file')} (${bytes} bytes) in quarantine, the newest for ${timeText(clock.now() - newest)}: ${some(aside)}`;
  return [
    finding('quarantine', seen, 'look whether the disk is well; remove them once the other layers here are'),
  ];
}

async function list(files: FileLayer, dir: string): Promise<FolderEntry[]> {
  try {
    return await files.list(dir);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}
