import type { DocumentName } from '../../src/documents/ids.js';
import { readJoined, putAt } from '../../src/documents/document.js';
import { foreignRule } from '../../src/documents/foreign.js';
import type { FieldMap } from '../../src/documents/record.js';
import { connectRelays } from '../../src/sync/connect.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { peerIdOf } from '../../src/sync/repo-message.js';
import { silentLog, systemClock } from '../../src/index.js';
import { OpenDocuments, type OpenDocument } from '../../src/node/open-documents.js';
import { CLUSTER, eventually, MemoryStorage } from '../node/world.js';

let made = 0;

/**
 * Writes what only a later release could: records of kinds that this one does not know, members of events, members of
 * documents. A replica of its own over the real relay, without the rules of this release.
 */
export class Hand {
  readonly #relays: ReturnType<typeof connectRelays>;
  readonly #documents: OpenDocuments;

  constructor(url: string) {
    made += 1;
    const self = { replica: `hand-${made}`, incarnation: 'one' };
    this.#relays = connectRelays({
      self,
      relays: [{ url }],
      clusterCheck: clusterCheck(CLUSTER),
      clock: systemClock,
      log: silentLog,
    });
    this.#documents = new OpenDocuments({
      clusterId: CLUSTER,
      peerId: peerIdOf(self),
      storage: new MemoryStorage(),
      clock: systemClock,
      log: silentLog,
      onIncomplete: () => {},
      onFailed: () => {},
      onTouched: () => {},
    });
    for (const adapter of this.#relays.networkAdapters) this.#documents.connect(adapter);
  }

  async open(name: DocumentName, holds: (document: OpenDocument) => boolean): Promise<OpenDocument> {
    const document = await this.#documents.open(name);
    await eventually(() => holds(document));
    return document;
  }

  edit(document: OpenDocument, edit: (draft: Record<string, unknown>) => void): void {
    this.#documents.change(document, 'a later release', [], edit);
  }

  put(document: OpenDocument, at: { map: string; key: string }, record: FieldMap): void {
    this.edit(document, (draft) => putAt(draft, at, record));
  }

  close(): void {
    this.#relays.close();
  }
}

/** What a document has of a record, whoever knows its kind. */
export const foreignAt = (document: OpenDocument, at: { map: string; key: string }): FieldMap | undefined =>
  readJoined(document.handle.doc(), at, foreignRule, () => {});
