import { join } from 'node:path';
import { z } from 'zod';
import { applyJournal, emptyJournal, journalEntry } from '../../bot/journal.js';
import { readIfThere } from '../../storage/atomic-write.js';
import type { FileLayer } from '../../storage/file-layer.js';
import { JournalError } from '../../storage/journal-error.js';
import { replay } from '../../storage/journal-replay.js';
import { counted, finding, some, type Finding } from './finding.js';
import type { Patient } from './patient.js';

/** What the delivery journal holds; undefined when there is none, or none that this version reads. */
export async function readDeliveryJournal(dir: string, files: FileLayer) {
  const bytes = await readIfThere(files, join(dir, 'delivery.journal'));
  if (bytes === undefined) return undefined;
  return replay(bytes, {
    entries: z.array(journalEntry),
    initial: emptyJournal,
    apply: applyJournal,
  });
}

export async function checkJournal({ dir, files, holder }: Patient): Promise<Finding[]> {
  try {
    const found = await readDeliveryJournal(dir, files);
    if (found === undefined) return [];
    const reasons = [...new Set(found.bad.map(({ reason }) => reason))];
    return [
      ...(found.bad.length === 0
        ? []
        : [
            finding(
              'journal-damaged',
              `delivery.journal has ${counted(found.bad.length, 'line')} that are not what was written (${some(reasons)})`,
              'nothing by hand: the next start puts them aside and reads the rooms again; look whether the disk is well',
            ),
          ]),
      // Of a running holder it is a line that is being written.
      ...(found.torn === 0 || holder.state === 'answers'
        ? []
        : [
            finding(
              'journal-torn',
              `the last ${counted(found.torn, 'byte')} of delivery.journal are a write that a kill cut short`,
              'nothing: the next start cuts them off, and they were never acknowledged',
            ),
          ]),
    ];
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    return [
      finding('journal-newer', `delivery.journal: ${error.message}`, 'start the newer version that wrote it'),
    ];
  }
}
