import type { DocumentId, PeerId } from '@automerge/automerge-repo';

const most = 4_096;

/** What each peer that only reads has asked for: of nothing else is it told. */
export class ViewerWishes {
  readonly #wishes = new Map<PeerId, Set<DocumentId>>();

  /** False: it asks for more than a cluster can have. */
  add(peer: PeerId, document: DocumentId): boolean {
    const wishes = this.#wishes.get(peer) ?? new Set();
    if (wishes.size >= most && !wishes.has(document)) return false;
    this.#wishes.set(peer, wishes.add(document));
    return true;
  }

  has(peer: PeerId, document: DocumentId): boolean {
    return this.#wishes.get(peer)?.has(document) === true;
  }

  left(peer: PeerId): void {
    this.#wishes.delete(peer);
  }
}
