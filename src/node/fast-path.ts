import { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import { tryChange } from '../sync/change-trial.js';
import type { Channel } from '../sync/channel.js';
import type { NodeCounters } from './counters.js';
import type { OpenDocument, OpenDocuments } from './open-documents.js';

const TOPIC = 'change';
const message = z.object({ docId: z.string(), bytes: z.instanceof(Uint8Array) });

/**
 * Sends each change of ours to the other replicas at once, beside the Repo's sync, which waits up to 100 ms on
 * every hop (AUTOMERGE.md, Sync) and repairs what is lost here. A change that comes before one it rests on is
 * kept by Automerge until that one comes.
 */
export class FastPath {
  readonly #stop: () => void;

  constructor(
    private readonly channel: Channel,
    documents: OpenDocuments,
    counters: NodeCounters,
    log: Log,
  ) {
    this.#stop = channel.on(TOPIC, message, ({ docId, bytes }, from) => {
      const document = documents.get(docId);
      if (document === undefined) {
        counters.refusedChanges += 1;
        return;
      }
      try {
        tryChange(document.handle.doc(), bytes);
        documents.apply(document, bytes);
      } catch (error) {
        // Garbage from a peer, or what would spoil the document: it is as it was.
        counters.refusedChanges += 1;
        log.warn(
          { err: error, from: from.replica, bytes: bytes.length },
          'a change from a peer cannot be read',
        );
      }
    });
  }

  send({ id }: OpenDocument, bytes: Uint8Array): void {
    this.channel.broadcast(TOPIC, { docId: id, bytes });
  }

  stop(): void {
    this.#stop();
  }
}
