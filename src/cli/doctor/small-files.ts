import { join } from 'node:path';
import { z } from 'zod';
import { JsonFileError, readJson } from '../../storage/json-file.js';
import { isFolderInPlace } from '../../storage/put-aside.js';
import { finding, type Finding } from './finding.js';
import type { Patient } from './patient.js';

/** What a replica keeps beside its documents, and what its next start does when one is damaged. */
const smallFiles: Record<string, string> = {
  'replica.json':
    'set UNDERSTUDY_REPLICA_ID to the id of this replica (`understudy inspect member:` lists them) before its next start, which begins the file anew',
  'matrix.json': 'nothing: the next start puts it aside, and the replica signs in again',
  'generations.json': 'nothing: the next start puts it aside; what a kill left half done stays on the disk',
  'attendance.json': 'nothing: the next start puts it aside, and counts anew how long members were away',
  'claims.json':
    'nothing: it is begun anew; a relay whose storage was put back is told by other replicas alone',
  'matrix-storage.json':
    'nothing: the next start puts it aside, and the bot syncs from the beginning; what was handled is not handled again',
  'keyed.json': 'nothing: the next start puts it aside; windows that are over may stay on the disk',
};

const anyObject = z.record(z.string(), z.unknown());

export async function checkSmallFiles({ dir, files }: Patient): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [name, todo] of Object.entries(smallFiles)) {
    try {
      await readJson(join(dir, name), anyObject, files);
    } catch (error) {
      if (!(error instanceof JsonFileError) && !isFolderInPlace(error)) throw error;
      found.push(finding('file-damaged', `${name} in ${dir} does not hold what it should`, todo));
    }
  }
  return found;
}
