import { z } from 'zod';
import type { PeerState } from '../routing/turn.js';
import type { Channel } from '../sync/channel.js';
import type { Clock } from '../time/clock.js';
import { LONGEST_HOLD_MS } from './rate/hold.js';

const beat = z.object({
  candidate: z.boolean(),
  begun: z.array(z.string().max(255)).max(10_000),
  epoch: z.number().int().nonnegative(),
  version: z.string().max(40),
  /** Answers that it shows while they come; an earlier version does not say. */
  streams: z.number().int().min(0).max(10_000).default(0),
  /** Ms for which it knows from the homeserver that the account may not send. */
  heldMs: z.number().min(0).max(LONGEST_HOLD_MS).default(0),
});

/** What this replica says of itself in every heartbeat (PROTOCOL O1, O2). */
export type Beat = z.infer<typeof beat>;

interface Peer {
  incarnation: string;
  lastBeat: number | undefined;
  since: number;
  candidate: boolean;
  begun: ReadonlySet<string>;
  epoch: number;
  version: string;
  streams: number;
}

/**
 * Heartbeats in both directions. A beat is sent every `heartbeatMs` and at once after a change of what it says;
 * `onProgress` hears which sources a living peer is at work on, `onChange` that somebody came, went, or changed.
 */
export class Presence {
  private readonly peers = new Map<string, Peer>();
  private readonly stops: (() => void)[];
  private readonly waiters = new Set<() => void>();

  constructor(
    private readonly channel: Channel,
    private readonly clock: Clock,
    private readonly options: {
      heartbeatMs: number;
      say: () => Beat;
      onProgress: (source: string) => void;
      /** A peer says how long the account is held. */
      onHeld: (ms: number) => void;
      onChange: () => void;
    },
  ) {
    this.stops = [
      channel.on('beat', beat, (body, from) => this.hear(from.replica, from.incarnation, body)),
      channel.onPresence(() => this.comeAndGo()),
      clock.every(options.heartbeatMs, () => this.speak()),
    ];
    this.comeAndGo();
  }

  speak(): void {
    this.channel.broadcast('beat', this.options.say());
  }

  /** The state of every peer ever heard of, for `turn`. */
  states(): Map<string, PeerState> {
    const present = this.channel.present();
    const states = new Map<string, PeerState>();
    for (const [replica, peer] of this.peers) {
      const { lastBeat, since, candidate, begun } = peer;
      states.set(replica, { connected: present.has(replica), lastBeat, since, candidate, begun });
    }
    return states;
  }

  /** Resolves when every connected replica has said what it has begun, or after `ms` (PROTOCOL O2). */
  heardAll(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.waiters.delete(look);
        resolve();
      };
      const look = () => {
        if (this.everyoneHeard()) done();
      };
      const cancel = this.clock.after(ms, done);
      this.waiters.add(look);
      look();
    });
  }

  private everyoneHeard(): boolean {
    for (const replica of this.channel.present().keys()) {
      if (this.peers.get(replica)?.lastBeat === undefined) return false;
    }
    return true;
  }

  /** Replicas that are connected and have beaten within `leaseMs`, with what they last said. */
  alive(leaseMs: number): { replica: string; candidate: boolean; epoch: number; version: string }[] {
    const present = this.channel.present();
    const now = this.clock.monotonic();
    return [...this.peers]
      .filter(([replica, peer]) => present.has(replica) && now - (peer.lastBeat ?? -Infinity) <= leaseMs)
      .map(([replica, { candidate, epoch, version }]) => ({ replica, candidate, epoch, version }));
  }

  /** How many answers the others show while they come, by those that have beaten within `leaseMs`. */
  streams(leaseMs: number): number {
    const since = this.clock.monotonic() - leaseMs;
    let sum = 0;
    for (const { lastBeat, streams } of this.peers.values())
      if ((lastBeat ?? -Infinity) >= since) sum += streams;
    return sum;
  }

  highestEpoch(): number {
    return Math.max(0, ...[...this.peers.values()].map((peer) => peer.epoch));
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  private hear(replica: string, incarnation: string, said: Beat): void {
    const now = this.clock.monotonic();
    const before = this.peers.get(replica);
    const begun = new Set(said.begun);
    const { candidate, epoch, version, streams, heldMs } = said;
    this.peers.set(replica, {
      incarnation,
      lastBeat: now,
      since: before?.since ?? now,
      candidate,
      begun,
      epoch,
      version,
      streams,
    });
    if (heldMs > 0) this.options.onHeld(heldMs);
    for (const source of begun) this.options.onProgress(source);
    for (const look of [...this.waiters]) look();
    const changed =
      before === undefined ||
      before.incarnation !== incarnation ||
      before.candidate !== candidate ||
      [...before.begun].some((source) => !begun.has(source));
    if (changed) this.options.onChange();
  }

  /** A connected replica that has not spoken yet is known from its connection; one that came back as another
   * process has begun nothing. */
  private comeAndGo(): void {
    for (const [replica, sender] of this.channel.present()) {
      const known = this.peers.get(replica);
      if (known?.incarnation === sender.incarnation) continue;
      this.peers.set(replica, {
        incarnation: sender.incarnation,
        lastBeat: undefined,
        since: this.clock.monotonic(),
        candidate: true,
        begun: new Set(),
        epoch: known?.epoch ?? 0,
        version: known?.version ?? '',
        streams: 0,
      });
    }
    this.speak();
    this.options.onChange();
  }
}
