import { existsSync } from 'node:fs';
import * as A from '@automerge/automerge';
import { SealError } from '../../storage/seal-error.js';
import { sizeText } from '../backup/progress.js';
import { documentsFolder } from '../inspect/folder.js';
import { counted, finding, some, type Finding } from './finding.js';
import { checkNamed } from './named-documents.js';
import type { Patient } from './patient.js';
import { checkRecords } from './records.js';
import type { Stored } from './stored.js';
import { checkUnfinished } from './unfinished.js';

/** Does every chunk verify, does every document load, is every one there that another names, are its records well? */
export async function checkDocuments(patient: Patient): Promise<Finding[]> {
  const { dir } = patient;
  if (!existsSync(documentsFolder(dir))) {
    const todo =
      'name the data folder of a replica with --data or UNDERSTUDY_DATA_DIR; a new one is filled at its start';
    return [finding('documents-none', `there are no documents in ${dir}`, todo)];
  }
  let stored: Stored;
  try {
    stored = await patient.stored();
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return [
      finding(
        'storage-key',
        error.message,
        'give the replica and the doctor the key that the folder was written with',
      ),
    ];
  }
  const view = await patient.view();
  return [
    summary(stored),
    ...damage(stored),
    ...(view === undefined ? [] : [...checkNamed(patient, stored, view), ...checkRecords(view)]),
    ...grown(stored, patient.limits.changes),
    ...(view === undefined ? [] : await checkUnfinished(patient, view)),
  ];
}

const changesOf = (document: Stored['documents'][number]['document']): number => A.stats(document).numChanges;

function summary(stored: Stored): Finding {
  const { documents, chunks, bytes } = stored;
  const changes = documents.reduce((sum, { document }) => sum + changesOf(document), 0);
  const biggest = [...documents].sort((a, b) => b.bytes - a.bytes)[0];
  const most = biggest === undefined ? '' : `, the biggest ${biggest.name} with ${sizeText(biggest.bytes)}`;
  return finding(
    'documents',
    `${counted(documents.length, 'document')} of ${counted(changes, 'change')} in ${counted(chunks, 'chunk')}, ${sizeText(bytes)}${most}`,
  );
}

function damage({ bad, unreadable, documents }: Stored): Finding[] {
  const name = (key: string): string => {
    const id = key.split('/')[0] ?? key;
    const known = documents.find((one) => one.id === id);
    return known === undefined ? key : `${known.name} (${key})`;
  };
  const broken = bad.filter((one) => !one.unreadable);
  const refused = bad.filter((one) => one.unreadable);
  return [
    ...(broken.length === 0
      ? []
      : [
          finding(
            'chunk-damaged',
            `${counted(broken.length, 'stored chunk')} not what was written: ${some(broken.map(({ key, reason }) => `${name(key)}: ${reason}`))}`,
            'start the replica with a relay in reach: it sets them aside and takes what they held from the newest backup and its peers; look whether the disk is well',
          ),
        ]),
    ...(refused.length === 0
      ? []
      : [
          finding(
            'chunk-unreadable',
            `the disk does not give ${counted(refused.length, 'stored chunk')}: ${some(refused.map(({ key, reason }) => `${name(key)} (${reason})`))}`,
            'give the user of the replica the right to read them; if the disk reports errors, copy the folder to a good one',
          ),
        ]),
    ...(unreadable.length === 0
      ? []
      : [
          finding(
            'document-unreadable',
            `${counted(unreadable.length, 'document')} cannot be put together: ${some(unreadable.map(({ id, reason }) => `${id}: ${reason}`))}`,
            'start the replica with a relay in reach: it fills them from the newest backup and its peers',
          ),
        ]),
  ];
}

function grown({ documents }: Stored, most: number): Finding[] {
  const large = documents.filter(({ document }) => changesOf(document) > most);
  if (large.length === 0) return [];
  const shown = some(
    large.map(({ name, document, bytes }) => `${name} ${changesOf(document)} (${sizeText(bytes)})`),
  );
  const todo =
    'shards of actors are cut by themselves at UNDERSTUDY_GENERATION_EVENTS: lower it if starting takes too long';
  return [
    finding(
      'document-grown',
      `more than ${most} changes in ${counted(large.length, 'document')}: ${shown}`,
      todo,
    ),
  ];
}
