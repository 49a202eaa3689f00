import { next as A } from '@automerge/automerge';
import { isValidDocumentId, type DocumentId } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Counters } from './counters.js';
import type { DocumentMemory } from './document-memory.js';
import { describe, type RelayRepo } from './relay-repo.js';
import type { RelayCount } from './relay-stats.js';

const atOnce = 64;

/** What a look at heads needs of a relay's documents. */
export interface StoredHeadsOptions {
  repo: Pick<RelayRepo, 'handle' | 'isStored' | 'isSaved'>;
  memory: Pick<DocumentMemory, 'headsOfUnloaded'>;
  load: (documentId: DocumentId) => Promise<void>;
  log: Log;
  counters: Counters<RelayCount>;
}

/**
 * The heads (hex) of each document, of what is *stored*: after a crash the relay still has them. `[]` for a
 * document that it does not have. One that could not be read or stored is left out.
 */
export async function storedHeads(
  ids: readonly string[],
  options: StoredHeadsOptions,
): Promise<[string, string[]][]> {
  const found: [string, string[]][] = [];
  for (let from = 0; from < ids.length; from += atOnce) {
    const some = await Promise.all(ids.slice(from, from + atOnce).map((id) => entryOf(id, options)));
    found.push(...some.filter((entry) => entry !== undefined));
  }
  return found;
}

async function entryOf(id: string, options: StoredHeadsOptions): Promise<[string, string[]] | undefined> {
  try {
    const heads = isValidDocumentId(id) ? await headsOf(id, options) : [];
    return heads && [id, heads];
  } catch (error) {
    options.counters.add('storageFailures');
    options.log.error({ document: id, error: describe(error) }, 'Heads could not be determined');
    return undefined;
  }
}

async function headsOf(
  documentId: DocumentId,
  { repo, memory, load }: StoredHeadsOptions,
): Promise<string[] | undefined> {
  const unloaded = memory.headsOfUnloaded(documentId);
  if (unloaded) return unloaded;
  if (!repo.handle(documentId)) {
    if (!(await repo.isStored(documentId))) return [];
    await load(documentId);
  }
  const heads = A.getHeads(repo.handle(documentId)?.doc() ?? A.init());
  return (await repo.isSaved(documentId)) ? heads : undefined;
}
