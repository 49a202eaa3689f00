import type { Message, PeerId } from '@automerge/automerge-repo';

/** One connection as the documents of its relay see it. */
export interface DocumentPeer {
  readonly peerId: PeerId;
  /** The hash of the token that it came with. */
  readonly token: string;
  /** Nothing that it sends may change a document; it is told of those that it asks for. */
  readonly readsOnly: boolean;
  deliver(message: Message): void;
  /** Bytes of a message that the documents took over are dealt with. */
  dealtWith(bytes: number): void;
  end(reason: 'relay-failed' | 'too-many-documents' | 'malformed'): void;
}
