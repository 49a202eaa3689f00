import type { DocumentId } from '@automerge/automerge-repo';
import type { DocumentPeer } from './document-peer.js';
import type { CheckedMessage } from './repo-message.js';

/** A message of a connection that the documents have taken over. */
export interface Arrived {
  peer: DocumentPeer;
  message: CheckedMessage;
}

/** Messages for the Repo, one a turn, so that ephemeral frames pass between two of them. */
export class DocumentQueue {
  readonly #waiting: Arrived[] = [];
  #draining = false;

  constructor(private readonly handle: (arrived: Arrived) => void) {}

  push(arrived: Arrived): void {
    this.#waiting.push(arrived);
    if (this.#draining) return;
    this.#draining = true;
    setImmediate(() => this.#drain());
  }

  has(documentId: DocumentId): boolean {
    return this.#waiting.some(({ message }) => message.documentId === documentId);
  }

  #drain(): void {
    const next = this.#waiting.shift();
    if (!next) {
      this.#draining = false;
      return;
    }
    next.peer.dealtWith(next.message.bytes);
    try {
      this.handle(next);
    } finally {
      setImmediate(() => this.#drain());
    }
  }
}
