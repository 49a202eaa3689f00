import { NetworkAdapter, type Message, type PeerId, type PeerMetadata } from '@automerge/automerge-repo';

// Sync state is kept for as long as both processes live. Stored, it would speak for a peer that may have
// lost its disk since, and it costs a write per message.
const peerMetadata: PeerMetadata = { isEphemeral: true };

/** The relay's Repo sees its connections through this, and nothing of the wire. */
export class RelayAdapter extends NetworkAdapter {
  #started!: () => void;
  readonly #ready = new Promise<void>((resolve) => (this.#started = resolve));
  #isReady = false;

  constructor(private readonly deliver: (message: Message) => void) {
    super();
  }

  isReady(): boolean {
    return this.#isReady;
  }

  /** Resolves when the Repo has begun to listen: a peer announced before that is never synced. */
  whenReady(): Promise<void> {
    return this.#ready;
  }

  connect(peerId: PeerId): void {
    this.peerId = peerId;
    this.#isReady = true;
    this.#started();
  }

  disconnect(): void {
    this.#isReady = false;
    this.emit('close');
  }

  send(message: Message): void {
    this.deliver(message);
  }

  joined(peerId: PeerId): void {
    this.emit('peer-candidate', { peerId, peerMetadata });
  }

  gone(peerId: PeerId): void {
    this.emit('peer-disconnected', { peerId });
  }

  received(message: Message): void {
    this.emit('message', message);
  }
}
