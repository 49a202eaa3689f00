import type { DocumentKind, DocumentName } from '../documents/ids.js';
import type { OpenDocuments } from './open-documents.js';
import type { Records } from './records.js';

/** Documents opened side by side; more would only wait for the same disk. */
const AT_ONCE = 16;

/** The first generation of a document. */
export function nameOf(kind: DocumentKind, index: number): DocumentName {
  return { kind, index, generation: 0 };
}

/**
 * Opens every shard of both families that may hold records, and takes their rooms into the index. `openActors` opens
 * the generation of an actors shard that counts; without it, the first one.
 */
export async function openShards(
  documents: OpenDocuments,
  records: Records,
  openActors: (index: number) => Promise<unknown> = (index) => documents.open(nameOf('actors', index)),
): Promise<void> {
  const waiting = Array.from({ length: records.shards.opened }, (_, index) => index).flatMap((index) => [
    async () => {
      await documents.open(nameOf('routing', index));
      records.indexRooms(index);
    },
    () => openActors(index),
  ]);
  const work = async (): Promise<void> => {
    for (let open = waiting.pop(); open !== undefined; open = waiting.pop()) await open();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
