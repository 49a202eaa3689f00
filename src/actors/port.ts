import type { CountMalformed } from '../documents/errors.js';
import type { Json } from '../documents/json.js';
import type { Kind } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';

/** What actors need of a state node: its records, its changes, and whose turn it is. */
export interface ActorsPort {
  readonly clock: Clock;
  readonly log: Log;
  readonly count: CountMalformed;
  /** The keys of all records of a kind, with their prefix, in no order. */
  keys(kind: Kind): Iterable<string>;
  /** Every field of a record as it stands, with stamp and cause. */
  provenance(
    kind: Kind,
    key: string,
  ): Readonly<Record<string, { value: Json; stamp: number; cause: string }>> | undefined;
  /** Makes all writes in one change per document; visible at once, resolves when durable. */
  change(writes: readonly Write[], cause: Cause): Promise<void>;
  /** Resolves when everything that stands now is durable. */
  flush(): Promise<void>;
  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void;
  /**
   * Milliseconds until this replica may carry out what an actor has had to do since `since` (monotonic): 0 now,
   * Infinity not at all for now. A wrong guess costs work, never a second effect (PROTOCOL O3, A1).
   */
  turn(actor: string, since: number): number;
  /** A machine has been made known, one version of it. */
  registered?(machine: string): void;
  /**
   * Between replicas that are connected, which effects they are at work on: nothing depends on it but that an effect
   * which takes long is not begun by another meanwhile.
   */
  readonly work?: {
    say(effects: readonly string[]): void;
    /** When another replica said it of an effect last, monotonic milliseconds. */
    heard(effect: string): number | undefined;
  };
}
