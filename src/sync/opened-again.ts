import { next as A } from '@automerge/automerge';
import type { DocumentId, PeerId, Repo } from '@automerge/automerge-repo';

type MessageContents = Parameters<Repo['networkSubsystem']['send']>[0];

/** Of so many closed documents is remembered whom to tell; of any other, every peer is told. */
const MOST_UNTOLD = 10_000;

/**
 * Tells peers that a document was let go of and is opened again. A Repo notes for each peer which changes it has sent
 * to it, and never sends them twice: what came for the document while it was closed was refused, and counts as sent
 * all the same; the two then answer each other without end. Heads that are none, said once, make the peer forget what
 * it has noted; the filter beside them says what need not be sent again. To say so for nothing does no harm.
 */
export class OpenedAgain {
  /** Whom of a closed document must be told when it is opened again. */
  readonly #untold = new Map<DocumentId, Set<PeerId>>();
  /** Peers of which is not known any more what they must be told: first everything, of each document, once. */
  readonly #lost = new Set<PeerId>();
  /** Who was written to about an open document since it was opened. */
  readonly #spoken = new Map<DocumentId, Set<PeerId>>();

  constructor(
    private readonly repo: Pick<Repo, 'networkSubsystem' | 'peers'>,
    private readonly most: number | undefined,
  ) {
    const { networkSubsystem: network } = repo;
    const send = network.send.bind(network);
    network.send = (message) => {
      const again = this.#again(message);
      if (again !== undefined) send(again);
      send(message);
    };
    // Whoever meets us anew remembers of a document no more than the heads that both had.
    network.on('peer-disconnected', ({ peerId }) => {
      for (const id of this.#untold.keys()) take(this.#untold, id, peerId);
      for (const id of this.#spoken.keys()) take(this.#spoken, id, peerId);
      this.#lost.delete(peerId);
    });
  }

  /** Documents of which is remembered whom to tell. */
  get size(): number {
    return this.#untold.size;
  }

  /** The Repo has forgotten the document; its peers have not. */
  forgotten(id: DocumentId): void {
    this.#spoken.delete(id);
    const { peers } = this.repo;
    if (peers.length === 0) return;
    this.#untold.set(id, new Set(peers));
    const [oldest] = this.#untold;
    if (this.#untold.size <= (this.most ?? MOST_UNTOLD) || oldest === undefined) return;
    this.#untold.delete(oldest[0]);
    for (const peer of oldest[1]) this.#lost.add(peer);
  }

  /** What must be said before this message. */
  #again(message: MessageContents): MessageContents | undefined {
    if (message.type !== 'sync' && message.type !== 'request') return undefined;
    const { documentId, targetId, data } = message;
    const spoken = this.#spoken.get(documentId) ?? new Set();
    const isFirst = !spoken.has(targetId);
    this.#spoken.set(documentId, spoken.add(targetId));
    const isUntold = take(this.#untold, documentId, targetId);
    if (!isUntold && !(isFirst && this.#lost.has(targetId))) return undefined;
    return { type: 'sync', documentId, targetId, data: withoutHeads(data) };
  }
}

/** False: it was not there. */
function take(from: Map<DocumentId, Set<PeerId>>, id: DocumentId, peer: PeerId): boolean {
  const peers = from.get(id);
  const was = peers?.delete(peer) === true;
  if (peers?.size === 0) from.delete(id);
  return was;
}

function withoutHeads(data: Uint8Array): Uint8Array {
  const { have } = A.decodeSyncMessage(data);
  // Nothing is said of what we can read: who has no heads and can read whole documents would be sent one.
  return A.encodeSyncMessage({ heads: [], need: [], have, changes: [] });
}
