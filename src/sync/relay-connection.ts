import type { Message, PeerId } from '@automerge/automerge-repo';
import type { RawData, WebSocket } from 'ws';
import { refused, type ClaimAnswer } from '../claims/wire.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { Sender } from './channel.js';
import { closeCodes, type CloseReason } from './close-codes.js';
import { cborOf, encodeCbor } from './codec.js';
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
import type { DocumentPeer } from './document-peer.js';
import type { RelayDocuments } from './relay-documents.js';
import type { RelayClaims } from './relay-claims.js';
import type { RelayMember, RelayMembers } from './relay-members.js';
import type { RelayCount } from './relay-stats.js';
import type { RelayToken, TokenRole } from './relay-tokens.js';
import { checkRepoFrame, peerIdOf, repoFrame } from './repo-message.js';

const maxHeadsRequests = 16;
const maxClaimRequests = 64;
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
  'read-only': 'closedReadOnly',
  revoked: 'closedRevoked',
  'too-many-replicas': 'closedTooManyReplicas',
};

/** What an upgrade brought. */
export interface Admitted {
  socket: WebSocket;
  /** Bytes that have come over its TCP connection. */
  bytesRead(): number;
  token: RelayToken;
  role: TokenRole;
  /** A viewer tried to write: see that it does not come back at once. */
  wrote(): void;
}

/** What all connections of one relay share. */
export interface RelayContext {
  members: RelayMembers;
  documents: Pick<RelayDocuments, 'peerId' | 'attach' | 'detach' | 'receive' | 'heads'>;
  claims: Pick<RelayClaims, 'answer'>;
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

let viewers = 0;

/**
 * One connection from the upgrade to its end. Before `hello` it may say nothing else; after it, the sender of
 * everything it says is who it said it is, and a frame that says otherwise ends it. One that may only read is no
 * replica: nobody is told of it, and it has a peer id of the relay's making, so that it can take nobody's place.
 */
export class RelayConnection implements RelayMember, DocumentPeer {
  #phase: 'greeting' | 'member' | 'ended' = 'greeting';
  #sender: Sender = { replica: '', incarnation: '' };
  #attached = false;
  #headsRequests = 0;
  #claimRequests = 0;
  /** Of `bytesRead`, when the last whole frame had come. */
  #bytesOfFrames = 0;
  readonly role: TokenRole;
  readonly #since: number;
  readonly #viewerId = `viewer-${(viewers += 1)}` as PeerId;
  readonly #socket: WebSocket;
  readonly #outgoing: Outgoing;
  readonly #intake: Intake;
  readonly #noHello: Cancel;

  constructor(
    private readonly admitted: Admitted,
    private readonly relay: RelayContext,
  ) {
    const { clock, counters } = relay;
    const { socket, role } = admitted;
    this.role = role;
    this.#since = clock.now();
    this.#socket = socket;
    this.#bytesOfFrames = admitted.bytesRead();
    this.#outgoing = new Outgoing(socket, clock, relay.outgoing);
    this.#intake = new Intake(socket, clock, relay.intake, () => counters.add('throttled'));
    this.#noHello = clock.after(relay.helloMs, () => this.end('silent'));
    socket.on('message', (data, binary) => this.#received(data, binary));
    socket.on('ping', () => this.#pinged());
    socket.on('error', (error) => this.#failed(error));
    socket.once('close', () => this.#leave());
    keepAlive(socket, clock, relay.keepalive, () => this.#cut('closedDead'));
  }

  get sender(): Sender {
    return this.#sender;
  }

  get peerId(): PeerId {
    return this.readsOnly ? this.#viewerId : peerIdOf(this.#sender);
  }

  get readsOnly(): boolean {
    return this.role !== 'replica';
  }

  get token(): string {
    return this.admitted.token.sha256;
  }

  /** Bytes held for it, and of these what waits until it reads. */
  held(): { bytes: number; backlog: number } {
    const { backlog } = this.#outgoing;
    const partOfFrame = this.admitted.bytesRead() - this.#bytesOfFrames;
    return { bytes: backlog + this.#intake.pending + Math.max(0, partOfFrame), backlog };
  }

  /** For an administrator. */
  describe(): Record<string, unknown> {
    const { bytes, backlog } = this.held();
    return {
      ...this.#who(),
      since: new Date(this.#since).toISOString(),
      heldBytes: bytes,
      backlogBytes: backlog,
    };
  }

  /** Cuts it when it does not read what it is sent. */
  look(): void {
    if (this.#outgoing.overflows()) this.#cut('closedSlow');
  }

  /** All connections together hold more than they may, and this one the most. */
  tooMuch(): void {
    this.#cut('closedTooMuchMemory');
  }

  /** Ends it when its token is no longer good. */
  checkToken(revoked: (token: RelayToken) => string | undefined): void {
    if (revoked(this.admitted.token) !== undefined) this.end('revoked');
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
      this.relay.log.warn({ ...this.#who(), reason }, 'The relay ends a connection');
    }
    this.#leave();
    this.#socket.close(closeCodes[reason], reason);
    const cancel = this.relay.clock.after(closeMs, () => this.#socket.terminate());
    this.#socket.once('close', cancel);
  }

  #received(data: RawData, binary: boolean): void {
    if (this.#phase === 'ended') return;
    const { counters } = this.relay;
    const bytes = data as Buffer;
    counters.add('framesIn');
    counters.add('bytesIn', bytes.length);
    this.#bytesOfFrames = this.admitted.bytesRead();
    this.#intake.frame();
    const frame = binary ? parseFrameToRelay(bytes) : undefined;
    if (!frame) return this.end('malformed');
    if (this.#phase === 'greeting') {
      return frame[0] === 'hello' ? this.#hello(frame[1], frame[2], frame[3]) : this.end('malformed');
    }
    this.#fromMember(frame, bytes);
  }

  /** Each is answered, so that they are read no faster than frames; ws ends who does not read the answers. */
  #pinged(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#intake.frame();
    else this.#cut('closedSlow');
  }

  #hello(check: string | null, replica: string, incarnation: string): void {
    const { members, documents, clusterCheck, maxFrameBytes, log } = this.relay;
    if (clusterCheck !== undefined && !sameSecret(check ?? '', clusterCheck)) {
      return this.end('wrong-cluster');
    }
    this.#noHello();
    this.#sender = { replica, incarnation };
    const others = members.list().filter(([other]) => this.readsOnly || other !== replica);
    if (this.readsOnly) members.watch(this);
    else {
      const joined = members.join(this);
      if (joined !== 'joined') {
        this.#sender = { replica: '', incarnation: '' };
        return this.end(joined === 'taken' ? 'taken' : 'too-many-replicas');
      }
    }
    this.#phase = 'member';
    log.info(this.#who(), 'A client connected');
    this.sendPresence(encodeFrame(['welcome', documents.peerId, maxFrameBytes, others]));
  }

  #fromMember(frame: FrameToRelay, bytes: Uint8Array): void {
    switch (frame[0]) {
      case 'channel':
        return this.#channel(frame, bytes);
      case 'heads?':
        void this.#heads(frame[1], frame[2]);
        return;
      case 'claim':
        void this.#claim(frame[1], frame[2]);
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
    if (this.readsOnly) return this.#wrote();
    const [, to, replica, incarnation] = frame;
    if (replica !== this.#sender.replica || incarnation !== this.#sender.incarnation) {
      return this.end('impersonation');
    }
    this.relay.members.forward(this, to, bytes);
  }

  #repo(frame: RepoFrame): void {
    this.relay.counters.add('repoIn');
    if (frame[0] === 'ephemeral' && !this.readsOnly && frame[2] !== this.peerId) {
      return this.end('impersonation');
    }
    const message = checkRepoFrame(frame);
    if (!message) return this.end('malformed');
    if (this.readsOnly && message.writes) return this.#wrote();
    // Between `detach` and the other side's notice of it, messages may still come.
    if (!this.#attached) return;
    this.#intake.handedOver(message.bytes);
    this.relay.documents.receive(this, message);
  }

  #wrote(): void {
    this.admitted.wrote();
    this.end('read-only');
  }

  #who(): Record<string, unknown> {
    const { name } = this.admitted.token;
    return { ...this.#sender, as: this.role, ...(name !== undefined && { name }) };
  }

  async #heads(request: number, ids: string[]): Promise<void> {
    if (this.#headsRequests >= maxHeadsRequests) return this.relay.counters.add('headsRefused');
    this.#headsRequests += 1;
    const heads = await this.relay.documents.heads(ids);
    this.#headsRequests -= 1;
    this.relay.counters.add('headsAnswered');
    this.sendPresence(encodeFrame(['heads', request, heads]));
  }

  /** The connection vouches for whose claim it is. */
  async #claim(request: number, body: Uint8Array): Promise<void> {
    if (this.readsOnly) return this.#wrote();
    let answer: ClaimAnswer | undefined = refused('busy');
    if (this.#claimRequests < maxClaimRequests) {
      this.#claimRequests += 1;
      this.#intake.handedOver(body.length);
      answer = await this.relay.claims.answer(cborOf(body), this.#sender.replica);
      this.#intake.dealtWith(body.length);
      this.#claimRequests -= 1;
    }
    if (answer === undefined) return this.end('malformed');
    this.sendPresence(encodeFrame(['claimed', request, encodeCbor(answer)]));
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
    log.warn({ ...this.#who(), code }, 'A connection failed');
    this.#leave();
    // ws answers an invalid frame with a close frame of its own; a peer that ignores it is cut.
    const cancel = this.relay.clock.after(closeMs, () => this.#socket.terminate());
    this.#socket.once('close', cancel);
  }

  /** Without a close frame: the other side does not read, or is not there. */
  #cut(count: RelayCount): void {
    if (this.#phase === 'ended') return;
    this.relay.counters.add(count);
    this.relay.log.warn({ ...this.#who(), reason: count }, 'The relay cuts a connection');
    this.#leave();
    this.#socket.terminate();
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
    this.relay.log.info(this.#who(), 'A client is gone');
  }
}
