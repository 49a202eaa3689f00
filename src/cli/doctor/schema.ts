import { productSchemas } from '../../documents/migrations/schemas.js';
import { SealError } from '../../storage/seal-error.js';
import { counted, finding, some, type Finding } from './finding.js';
import type { Patient } from './patient.js';
import type { StoredDocument } from './stored.js';

/** Does this version understand every document? */
export async function checkSchema(patient: Patient): Promise<Finding[]> {
  const documents = await documentsOf(patient);
  if (documents === undefined) return [];
  const named = (list: StoredDocument[]): string =>
    some(list.map(({ name, schema }) => `${name} (${schema})`));
  const { known } = productSchemas;
  const newer = documents.filter(({ schema }) => schema > known);
  const older = documents.filter(({ schema, kind }) => schema < productSchemas.targetOf(kind));
  const found = [...new Set(documents.map(({ schema }) => schema))].sort((a, b) => a - b);
  return [
    finding('schema', `documents have schema ${found.join(', ') || 'none'}, this version writes ${known}`),
    ...(newer.length === 0
      ? []
      : [
          finding(
            'schema-newer',
            `${counted(newer.length, 'document')} of a newer schema than ${known} are read-only here: ${named(newer)}`,
            'update this replica to the version of the others',
          ),
        ]),
    ...(older.length === 0
      ? []
      : [
          finding(
            'schema-older',
            `${counted(older.length, 'document')} of an older schema than ${known}: ${named(older)}`,
            'nothing while a replica still runs an earlier version; `understudy migrate status` says what they wait for',
          ),
        ]),
  ];
}

/** None where they cannot be read, which the layer of the documents says. */
async function documentsOf(patient: Patient): Promise<StoredDocument[] | undefined> {
  try {
    return (await patient.stored()).documents;
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return undefined;
  }
}
