import type { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import type { Channel, Sender } from './channel.js';
import { decodeCbor, encodeCbor } from './codec.js';
import type { LinkCount } from './connect-stats.js';
import type { Counters } from './counters.js';
import { encodeFrame, type ChannelFrame } from './frame.js';
import { Presence } from './presence.js';
import { SeenMessages } from './seen.js';

/** What the channel needs of a connection to a relay. */
export interface ChannelLink {
  readonly open: boolean;
  ephemeral(data: Uint8Array): void;
}

type Deliver = (body: unknown, from: Sender) => void;

/** The {@link Channel} over any number of relays: sent over all, delivered from whichever is first. */
export class RelayChannel implements Channel {
  readonly #links = new Set<ChannelLink>();
  readonly #topics = new Map<string, Set<Deliver>>();
  readonly #watchers = new Set<() => void>();
  readonly #seen = new SeenMessages();
  readonly #presence = new Presence<ChannelLink>();
  #seq = 0;

  constructor(
    readonly self: Sender,
    private readonly log: Log,
    private readonly counters: Counters<LinkCount>,
  ) {}

  add(link: ChannelLink): void {
    this.#links.add(link);
  }

  connected(): boolean {
    for (const link of this.#links) if (link.open) return true;
    return false;
  }

  present(): ReadonlyMap<string, Sender> {
    return this.#presence.all();
  }

  broadcast(topic: string, body: unknown): void {
    this.#send(null, topic, body);
  }

  send(replica: string, topic: string, body: unknown): void {
    this.#send(replica, topic, body);
  }

  on<T>(topic: string, schema: z.ZodType<T>, handle: (body: T, from: Sender) => void): () => void {
    const deliver: Deliver = (body, from) => {
      const parsed = schema.safeParse(body);
      if (parsed.success) handle(parsed.data, from);
      else this.counters.add('channelRefused');
    };
    const subscribers = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, subscribers.add(deliver));
    return () => {
      subscribers.delete(deliver);
    };
  }

  onPresence(handle: () => void): () => void {
    const watcher = () => handle();
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  welcomed(link: ChannelLink, present: Sender[]): void {
    this.#presence.replace(
      link,
      present.filter(({ replica }) => replica !== this.self.replica),
    );
    this.#presenceChanged();
  }

  joined(link: ChannelLink, sender: Sender): void {
    if (sender.replica === this.self.replica) return;
    this.#presence.joined(link, sender);
    this.#presenceChanged();
  }

  gone(link: ChannelLink, sender: Sender): void {
    this.#presence.gone(link, sender);
    this.#presenceChanged();
  }

  lost(link: ChannelLink): void {
    this.#presence.lost(link);
    this.#presenceChanged();
  }

  received([, to, replica, incarnation, seq, topic, bytes]: ChannelFrame): void {
    if (to !== null && to !== this.self.replica) return this.counters.add('channelRefused');
    if (!this.#seen.firstTime(`${replica}/${incarnation}`, seq))
      return this.counters.add('channelDuplicates');
    this.counters.add('channelReceived');
    const subscribers = this.#topics.get(topic);
    if (!subscribers?.size) return;
    let body: unknown;
    try {
      body = decodeCbor(bytes);
    } catch (error) {
      this.counters.add('channelRefused');
      this.log.warn({ topic, replica, error: messageOf(error) }, 'The body of a message cannot be decoded');
      return;
    }
    const from = { replica, incarnation };
    for (const deliver of new Set(subscribers)) this.#guarded({ topic, replica }, () => deliver(body, from));
  }

  #send(to: string | null, topic: string, body: unknown): void {
    // No early return without a relay: the sequence number and a body that cannot be encoded behave alike always.
    const { replica, incarnation } = this.self;
    this.#seq += 1;
    const frame: ChannelFrame = ['channel', to, replica, incarnation, this.#seq, topic, encodeCbor(body)];
    const data = encodeFrame(frame);
    for (const link of this.#links) link.ephemeral(data);
  }

  #presenceChanged(): void {
    for (const watcher of new Set(this.#watchers)) this.#guarded({}, watcher);
  }

  /** What a handler throws is its own fault and must not end the connection that brought the message. */
  #guarded(fields: Record<string, unknown>, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.counters.add('channelHandlerFailures');
      this.log.error({ ...fields, error: messageOf(error) }, 'A handler failed');
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
