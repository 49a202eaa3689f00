import type { Message, PeerId } from '@automerge/automerge-repo';
import type { RawData, WebSocket } from 'ws';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { Sender } from './channel.js';
import { closeCodes, type CloseReason } from './close-codes.js';
import type { Counters } from './counters.js';
import { sameSecret } from './credentials.js';
import {
  encodeFrame,
  parseFrameToRelay,
  type ChannelFrame,
  type FrameToRelay,
  type RepoFrame,
} from './frame.js';
import { Intake, type IntakeLimits } from './intake.js';
import { keepAlive, type KeepaliveOptions } from './keepalive.js';
import { Outgoing, type OutgoingLimits, type Sent } from './outgoing.js';
import type { DocumentPeer, RelayDocuments } from './relay-documents.js';
import type { RelayMember, RelayMembers } from './relay-members.js';
import type { RelayCount } from './relay-stats.js';
import { checkRepoFrame, peerIdOf, repoFrame } from './repo-message.js';

const maxHeadsRequests = 16;
/** How long the other side may take to answer a close frame before the socket is cut. */
const closeMs = 2_000;

const countOf: Record<Exclude<CloseReason, 'draining'>, RelayCount> = {
  'too-big': 'closedTooBig',
  'relay-failed': 'closedRelayFailed',
  malformed: 'closedMalformed',
  replaced: 'closedReplaced',
  'wrong-cluster': 'refusedCluster',
  taken: 'closedTaken',
  silent: 'closedSilent',
  'too-many-documents': 'closedTooManyDocuments',
  impersonation: 'closedImpersonation',
};

/** What all connections of one relay share. */
export interface RelayContext {
  members: RelayMembers;
  documents: RelayDocuments;
  clusterCheck: string | undefined;
  maxFrameBytes: number;
  helloMs: number;
  intake: IntakeLimits;
  outgoing: OutgoingLimits;
  keepalive: KeepaliveOptions;
  clock: Clock;
  log: Log;
  counters: Counters<RelayCount>;
}

/**
 * One connection from the upgrade to its end. Before `hello` it may say nothing else; after it, the sender of
 * everything it says is who it said it is, and a frame that says otherwise ends it.
 */
export class RelayConnection implements RelayMember, DocumentPeer {
  #phase: 'greeting' | 'member' | 'ended' = 'greeting';
  #sender: Sender = { replica: '', incarnation: '' };
  #attached = false;
  #headsRequests = 0;
  readonly #outgoing: Outgoing;
  readonly #intake: Intake;
  readonly #noHello: Cancel;

  constructor(
    private readonly socket: WebSocket,
    readonly token: number,
    private readonly relay: RelayContext,
  ) {
    const { clock, counters } = relay;
    this.#outgoing = new Outgoing(socket, clock, relay.outgoing);
    this.#intake = new Intake(socket, clock, relay.intake, () => counters.add('throttled'));
    this.#noHello = clock.after(relay.helloMs, () => this.end('silent'));
    socket.on('message', (data, binary) => this.#received(data, binary));
    socket.on('error', (error) => this.#failed(error));
    socket.once('close', () => this.#leave());
    keepAlive(socket, clock, relay.keepalive, () => this.#cut('closedDead'));
  }

  get sender(): Sender {
    return this.#sender;
  }

  get peerId(): PeerId {
    return peerIdOf(this.#sender);
  }

  sendPresence(data: Uint8Array): void {
    this.#sent(this.#outgoing.durable(data), data);
  }

  sendEphemeral(data: Uint8Array): void {
    const result = this.#outgoing.ephemeral(data);
    this.#sent(result, data);
    this.relay.counters.add(result === 'sent' ? 'channelForwarded' : 'channelDropped');
  }

  deliver(message: Message): void {
    const frame = repoFrame(message);
    if (!frame) return;
    const data = encodeFrame(frame);
    this.relay.counters.add('repoOut');
    this.#sent(this.#outgoing.durable(data), data);
  }

  dealtWith(bytes: number): void {
    this.#intake.dealtWith(bytes);
  }

  replaced(): void {
    this.end('replaced');
  }

  /** Says why and closes; a peer that does not answer is cut. */
  end(reason: CloseReason): void {
    if (this.#phase === 'ended') return;
    if (reason !== 'draining') {
      this.relay.counters.add(countOf[reason]);
      this.relay.log.warn({ ...this.#sender, reason }, 'The relay ends a connection');
    }
    this.#leave();
    this.socket.close(closeCodes[reason], reason);
    const cancel = this.relay.clock.after(closeMs, () => this.socket.terminate());
    this.socket.once('close', cancel);
  }

  #received(data: RawData, binary: boolean): void {
    if (this.#phase === 'ended') return;
    const { counters } = this.relay;
    const bytes = data as Buffer;
    counters.add('framesIn');
    counters.add('bytesIn', bytes.length);
    this.#intake.frame();
    const frame = binary ? parseFrameToRelay(bytes) : undefined;
    if (!frame) return this.end('malformed');
    if (this.#phase === 'greeting') {
      return frame[0] === 'hello' ? this.#hello(frame[1], frame[2], frame[3]) : this.end('malformed');
    }
    this.#fromMember(frame, bytes);
  }

  #hello(check: string | null, replica: string, incarnation: string): void {
    const { members, documents, clusterCheck, maxFrameBytes, log } = this.relay;
    if (clusterCheck !== undefined && !sameSecret(check ?? '', clusterCheck)) {
      return this.end('wrong-cluster');
    }
    this.#noHello();
    this.#sender = { replica, incarnation };
    const others = members.list().filter(([other]) => other !== replica);
    if (!members.join(this)) {
      this.#sender = { replica: '', incarnation: '' };
      return this.end('taken');
    }
    this.#phase = 'member';
    log.info({ ...this.#sender }, 'A replica connected');
    this.sendPresence(encodeFrame(['welcome', documents.peerId, maxFrameBytes, others]));
  }

  #fromMember(frame: FrameToRelay, bytes: Uint8Array): void {
    switch (frame[0]) {
      case 'channel':
        return this.#channel(frame, bytes);
      case 'heads?':
        void this.#heads(frame[1], frame[2]);
        return;
      case 'attach':
        if (this.#attached) return this.end('malformed');
        this.#attached = true;
        return this.relay.documents.attach(this);
      case 'detach':
        this.#attached = false;
        return this.relay.documents.detach(this);
      case 'hello':
        return this.end('malformed');
      default:
        return this.#repo(frame);
    }
  }

  #channel(frame: ChannelFrame, bytes: Uint8Array): void {
    const [, to, replica, incarnation] = frame;
    if (replica !== this.#sender.replica || incarnation !== this.#sender.incarnation) {
      return this.end('impersonation');
    }
    this.relay.members.forward(this, to, bytes);
  }

  #repo(frame: RepoFrame): void {
    this.relay.counters.add('repoIn');
    if (frame[0] === 'ephemeral' && frame[2] !== this.peerId) return this.end('impersonation');
    const message = checkRepoFrame(frame);
    if (!message) return this.end('malformed');
    // Between `detach` and the other side's notice of it, messages may still come.
    if (!this.#attached) return;
    this.#intake.handedOver(message.bytes);
    this.relay.documents.receive(this, message);
  }

  async #heads(request: number, ids: string[]): Promise<void> {
    if (this.#headsRequests >= maxHeadsRequests) return this.relay.counters.add('headsRefused');
    this.#headsRequests += 1;
    const heads = await this.relay.documents.heads(ids);
    this.#headsRequests -= 1;
    this.relay.counters.add('headsAnswered');
    this.sendPresence(encodeFrame(['heads', request, heads]));
  }

  #sent(result: Sent, data: Uint8Array): void {
    if (result === 'overflow') return this.#cut('closedSlow');
    if (result !== 'sent') return;
    this.relay.counters.add('framesOut');
    this.relay.counters.add('bytesOut', data.length);
  }

  #failed(error: Error & { code?: string }): void {
    const { counters, log } = this.relay;
    const code = error.code ?? error.name;
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') counters.add('closedTooBig');
    else if (code.startsWith('WS_ERR')) counters.add('closedProtocolError');
    log.warn({ ...this.#sender, code }, 'A connection failed');
    this.#leave();
    // ws answers an invalid frame with a close frame of its own; a peer that ignores it is cut.
    const cancel = this.relay.clock.after(closeMs, () => this.socket.terminate());
    this.socket.once('close', cancel);
  }

  /** Without a close frame: the other side does not read, or is not there. */
  #cut(count: RelayCount): void {
    if (this.#phase === 'ended') return;
    this.relay.counters.add(count);
    this.relay.log.warn({ ...this.#sender, reason: count }, 'The relay cuts a connection');
    this.#leave();
    this.socket.terminate();
  }

  #leave(): void {
    if (this.#phase === 'ended') return;
    const wasMember = this.#phase === 'member';
    this.#phase = 'ended';
    this.#noHello();
    this.#intake.close();
    if (this.#attached) this.relay.documents.detach(this);
    if (!wasMember) return;
    this.relay.members.leave(this);
    this.relay.log.info({ ...this.#sender }, 'A replica is gone');
  }
}
