import { NetworkAdapter, type Message, type PeerId } from '@automerge/automerge-repo';
import type { Cancel, Clock } from '../time/clock.js';
import type { RepoFrame } from './frame.js';
import type { ReadOnly } from './read-only.js';
import { checkRepoFrame, repoFrame } from './repo-message.js';

const readyMs = 1_000;

/** What the adapter asks of the link below it. */
export interface LinkToRelay {
  attach(): void;
  detach(): void;
  send(frame: RepoFrame): void;
}

/**
 * One relay as a replica's Repo sees it: a peer that comes and goes. The Repo may be made before or after the
 * link is open; sync begins when both are there.
 */
export class LinkAdapter extends NetworkAdapter {
  #relay: PeerId | undefined;
  #listening = false;
  #isReady = false;
  #ready!: () => void;
  readonly #whenReady = new Promise<void>((resolve) => (this.#ready = resolve));
  #patience: Cancel | undefined;

  constructor(
    private readonly link: LinkToRelay,
    private readonly clock: Clock,
    private readonly readOnly?: ReadOnly,
  ) {
    super();
  }

  isReady(): boolean {
    return this.#isReady;
  }

  /** Also resolves when the relay cannot be reached: a look-up then answers from what is here. */
  whenReady(): Promise<void> {
    return this.#whenReady;
  }

  connect(peerId: PeerId): void {
    this.peerId = peerId;
    this.#listening = true;
    const relay = this.#relay;
    // After this call, so that whoever makes it can listen first.
    if (relay) queueMicrotask(() => this.#listening && this.#relay === relay && this.#meet(relay));
    else this.#patience = this.clock.after(readyMs, () => this.#settle());
  }

  disconnect(): void {
    if (!this.#listening) return;
    const relay = this.#relay;
    this.#listening = false;
    this.#patience?.();
    if (relay) {
      this.link.detach();
      this.emit('peer-disconnected', { peerId: relay });
    }
    this.emit('close');
  }

  send(message: Message): void {
    // A Repo passes on what others broadcast. Every replica tells every relay itself, and the relay takes a
    // message in another's name for what it is.
    if (message.type === 'ephemeral' && message.senderId !== this.peerId) return;
    const said = repoFrame(message);
    const frame = said && this.readOnly ? this.readOnly.allowed(said) : said;
    if (frame && this.#relay) this.link.send(frame);
  }

  opened(relay: PeerId): void {
    this.#relay = relay;
    this.readOnly?.begin();
    if (this.#listening) this.#meet(relay);
  }

  lost(): void {
    const relay = this.#relay;
    this.#relay = undefined;
    if (this.#listening) {
      this.#settle();
      if (relay) this.emit('peer-disconnected', { peerId: relay });
    }
  }

  /** False: not a message that a Repo may see. */
  received(frame: RepoFrame): boolean {
    const message = checkRepoFrame(frame);
    if (!message) return false;
    if (this.#listening && this.#relay && this.peerId) {
      this.emit('message', message.between(this.#relay, this.peerId));
    }
    return true;
  }

  #meet(relay: PeerId): void {
    // First, so that nothing the relay's Repo says from here on finds nobody listening.
    this.link.attach();
    this.emit('peer-candidate', { peerId: relay, peerMetadata: { isEphemeral: true } });
    this.#settle();
  }

  #settle(): void {
    this.#patience?.();
    this.#isReady = true;
    this.#ready();
  }
}
