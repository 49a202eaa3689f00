import * as A from '@automerge/automerge';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { OpenDocument } from './open-documents.js';
import type { RelayWord } from './relay-word.js';

/** How often the relays are asked, milliseconds: so much later a lag may be noticed. */
const LOOK_MS = 5_000;

/** How far the relays are behind this node. */
export interface Replication {
  /** Documents with changes that no relay has said to have stored. */
  documents: number;
  /** Seconds since the oldest of them was found so; 0 when there is none. */
  oldestSeconds: number;
}

export interface ReplicationLagContext {
  documents: () => readonly OpenDocument[];
  word: Pick<RelayWord, 'stored'>;
  clock: Clock;
  log: Log;
}

/**
 * What stands here and nowhere else. A relay is asked only for documents that have changed since one said that it has
 * stored them, so that a cluster at rest asks nothing.
 */
export class ReplicationLag {
  /** Heads of each document of which a relay has said that all is stored. */
  readonly #stored = new Map<string, string>();
  /** Documents that hold more, and since when, monotonic. */
  readonly #waiting = new Map<string, number>();
  readonly #stop: Cancel;
  #looking: Promise<void> | undefined;

  constructor(private readonly context: ReplicationLagContext) {
    const { clock, log } = context;
    this.#stop = clock.every(LOOK_MS, () => {
      this.#looking ??= this.look()
        .catch((error: unknown) =>
          log.error({ err: error }, 'how far relays are behind could not be looked at'),
        )
        .finally(() => {
          this.#looking = undefined;
        });
    });
  }

  status(): Replication {
    const oldest = Math.min(...this.#waiting.values());
    const ms = this.#waiting.size === 0 ? 0 : this.context.clock.monotonic() - oldest;
    return { documents: this.#waiting.size, oldestSeconds: ms / 1000 };
  }

  /** Resolves when the relays have answered, or have not in time. */
  async look(): Promise<void> {
    const { clock, word } = this.context;
    const at = clock.monotonic();
    const documents = this.context.documents();
    const ids = new Set<string>(documents.map(({ id }) => id));
    // A generation that is read no more waits for nothing.
    for (const known of [this.#stored, this.#waiting])
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    const changed = documents.filter((document) => this.#stored.get(document.id) !== headsOf(document));
    for (const { id } of changed) if (!this.#waiting.has(id)) this.#waiting.set(id, at);
    if (changed.length === 0) return;
    const asked = new Map(changed.map((document) => [document.id as string, headsOf(document)]));
    for (const id of await word.stored(changed)) {
      // Of what the relays say to have stored nothing was closed meanwhile.
      const document = changed.find((one) => one.id === id);
      const heads = asked.get(id) ?? '';
      this.#stored.set(id, heads);
      // What came while the relay was asked waits since then.
      if (document && headsOf(document) === heads) this.#waiting.delete(id);
      else this.#waiting.set(id, at);
    }
  }

  /** Resolves when nothing of it runs any more. */
  async close(): Promise<void> {
    this.#stop();
    await this.#looking;
  }
}

const headsOf = ({ handle }: OpenDocument): string => A.getHeads(handle.doc()).sort().join();
