import type { z } from 'zod';
import type { Channel, Sender } from '../../src/sync/channel.js';
import type { SimulatedProcess } from './process.js';

/** A message on its way from one replica to another. */
export interface ChannelMessage {
  from: string;
  to: string;
  topic: string;
  body: unknown;
}

type Handler = { topic: string; schema: z.ZodType; handle: (body: never, from: Sender) => void };

/** One process's end of the relay. */
class End implements Channel {
  readonly handlers = new Set<Handler>();
  readonly watchers = new Set<() => void>();

  constructor(
    readonly self: Sender,
    readonly process: SimulatedProcess,
    private readonly hub: ChannelHub,
  ) {}

  connected(): boolean {
    return this.hub.reaches(this.self.replica);
  }

  present(): ReadonlyMap<string, Sender> {
    return this.hub.presentFor(this);
  }

  broadcast(topic: string, body: unknown): void {
    this.hub.carry(this, undefined, topic, body);
  }

  send(replica: string, topic: string, body: unknown): void {
    this.hub.carry(this, replica, topic, body);
  }

  on<T>(topic: string, schema: z.ZodType<T>, handle: (body: T, from: Sender) => void): () => void {
    const handler: Handler = { topic, schema, handle };
    this.handlers.add(handler);
    return () => void this.handlers.delete(handler);
  }

  onPresence(handle: () => void): () => void {
    this.watchers.add(handle);
    return () => void this.watchers.delete(handle);
  }
}

/** The relay as the replicas see it: ephemeral messages and presence; tests cut, lose and delay. */
export class ChannelHub {
  readonly #ends = new Map<string, End>();
  readonly #cut = new Set<string>();
  #up = true;
  /** Simulated ms that a message takes; undefined: it is lost. */
  delay: (message: ChannelMessage) => number | undefined = () => 1;
  /** Every message that was handed over. */
  readonly carried: ChannelMessage[] = [];

  join(self: Sender, process: SimulatedProcess): Channel {
    const end = new End(self, process, this);
    this.#ends.set(self.replica, end);
    this.#changed(self.replica);
    return end;
  }

  /** For a test that speaks in its place. */
  endOf(replica: string): End {
    const end = this.#ends.get(replica);
    if (!end) throw new Error(`${replica} is not connected`);
    return end;
  }

  /** The connection breaks, as a relay notices at once when a process dies. */
  leave(replica: string): void {
    this.#ends.delete(replica);
    this.#changed(replica);
  }

  down(): void {
    this.#up = false;
    this.#changed();
  }

  up(): void {
    this.#up = true;
    this.#changed();
  }

  /** This replica reaches no relay. */
  cut(replica: string): void {
    this.#cut.add(replica);
    this.#changed();
  }

  restore(replica: string): void {
    this.#cut.delete(replica);
    this.#changed();
  }

  reaches(replica: string): boolean {
    return this.#up && this.#ends.has(replica) && !this.#cut.has(replica);
  }

  /** Both ends reach the relay. */
  connects(a: string, b: string): boolean {
    return this.reaches(a) && this.reaches(b);
  }

  presentFor(end: End): Map<string, Sender> {
    const present = new Map<string, Sender>();
    for (const other of this.#ends.values()) {
      if (other !== end && this.connects(end.self.replica, other.self.replica))
        present.set(other.self.replica, other.self);
    }
    return present;
  }

  carry(from: End, to: string | undefined, topic: string, body: unknown): void {
    if (this.#ends.get(from.self.replica) !== from || !from.process.alive) return;
    for (const other of [...this.#ends.values()]) {
      if (other === from || (to !== undefined && other.self.replica !== to)) continue;
      if (this.connects(from.self.replica, other.self.replica)) this.#deliver(from, other, topic, body);
    }
  }

  #deliver(from: End, to: End, topic: string, body: unknown): void {
    const message = { from: from.self.replica, to: to.self.replica, topic, body: structuredClone(body) };
    const ms = this.delay(message);
    if (ms === undefined) return;
    to.process.clock.after(ms, () => {
      if (this.#ends.get(to.self.replica) !== to) return;
      this.carried.push(message);
      for (const handler of [...to.handlers]) {
        const parsed = handler.topic === topic ? handler.schema.safeParse(message.body) : undefined;
        if (parsed?.success) handler.handle(parsed.data as never, from.self);
      }
    });
  }

  /** Told one ms later, each in its own process: a relay's word travels too. */
  #changed(besides?: string): void {
    for (const end of this.#ends.values()) {
      if (end.self.replica === besides) continue;
      end.process.clock.after(1, () => {
        for (const watcher of [...end.watchers]) watcher();
      });
    }
  }
}
