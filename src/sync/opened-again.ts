import { next as A } from '@automerge/automerge';
import type { DocumentId, PeerId, Repo } from '@automerge/automerge-repo';

type MessageContents = Parameters<Repo['networkSubsystem']['send']>[0];

/**
 * Tells peers that a document was let go of and is opened again. A Repo notes for each peer which changes it has sent
 * to it, and never sends them twice: what came for the document while it was closed was refused, and counts as sent
 * all the same; the two then answer each other without end. Heads that are none, said once, make the peer forget what
 * it has noted; the filter beside them says what need not be sent again.
 */
export class OpenedAgain {
  /** Whom of a document must be told, and has not been. */
  readonly #untold = new Map<DocumentId, Set<PeerId>>();

  constructor(private readonly repo: Repo) {
    const { networkSubsystem: network } = repo;
    const send = network.send.bind(network);
    network.send = (message) => {
      const again = this.#again(message);
      if (again !== undefined) send(again);
      send(message);
    };
    // Whoever meets us anew remembers of a document no more than the heads that both had.
    network.on('peer-disconnected', ({ peerId }) => {
      for (const id of this.#untold.keys()) this.#told(id, peerId);
    });
  }

  /** The Repo has forgotten the document; its peers have not. */
  forgotten(id: DocumentId): void {
    const { peers } = this.repo;
    if (peers.length > 0) this.#untold.set(id, new Set(peers));
  }

  /** What must be said before this message. */
  #again(message: MessageContents): MessageContents | undefined {
    if (message.type !== 'sync' && message.type !== 'request') return undefined;
    const { documentId, targetId, data } = message;
    if (!this.#told(documentId, targetId)) return undefined;
    return { type: 'sync', documentId, targetId, data: withoutHeads(data) };
  }

  /** False: this peer had been told already. */
  #told(id: DocumentId, peer: PeerId): boolean {
    const peers = this.#untold.get(id);
    const wasUntold = peers?.delete(peer) === true;
    if (peers?.size === 0) this.#untold.delete(id);
    return wasUntold;
  }
}

function withoutHeads(data: Uint8Array): Uint8Array {
  const { have } = A.decodeSyncMessage(data);
  // Nothing is said of what we can read: who has no heads and can read whole documents would be sent one.
  return A.encodeSyncMessage({ heads: [], need: [], have, changes: [] });
}
