import type { DocumentKind, DocumentName } from '../documents/ids.js';
import type { OpenDocument, OpenDocuments } from './open-documents.js';
import type { Records } from './records.js';

/** Documents opened side by side; more would only wait for the same disk. */
const AT_ONCE = 16;

export function nameOf(kind: DocumentKind, index: number): DocumentName {
  return { kind, index, generation: 0 };
}

/** Opens every shard of both families that may hold records, and takes their rooms into the index. */
export async function openShards(documents: OpenDocuments, records: Records): Promise<OpenDocument[]> {
  const names = Array.from({ length: records.shards.opened }, (_, index) => index).flatMap((index) => [
    nameOf('routing', index),
    nameOf('actors', index),
  ]);
  const waiting = names.filter((name) => documents.named(name) === undefined);
  const opened: OpenDocument[] = [];
  const work = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      opened.push(await documents.open(name));
      if (name.kind === 'routing') records.indexRooms(name.index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return opened;
}
