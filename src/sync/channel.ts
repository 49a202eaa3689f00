import type { z } from 'zod';

/** Who sent a message, as the relay vouches for it (bound to the connection, never to the body). */
export interface Sender {
  replica: string;
  /** Random per process start: an id with a new incarnation has lost its memory. */
  incarnation: string;
}

/**
 * Ephemeral messages between the replicas of one cluster, over every relay in reach, each delivered at most
 * once, none stored. Nothing may depend on one arriving.
 */
export interface Channel {
  readonly self: Sender;
  /** At least one relay connection is open. With none, nobody counts as gone (PROTOCOL O3). */
  connected(): boolean;
  /** Replicas that some relay in reach says are connected now, without ourselves. */
  present(): ReadonlyMap<string, Sender>;
  broadcast(topic: string, body: unknown): void;
  send(replica: string, topic: string, body: unknown): void;
  /** Bodies that do not match the schema are counted and dropped. Returns the unsubscriber. */
  on<T>(topic: string, schema: z.ZodType<T>, handle: (body: T, from: Sender) => void): () => void;
  /** A replica came or went, or a relay connection opened or closed. */
  onPresence(handle: () => void): () => void;
}
