import type { ClaimStoreOptions } from '../../keyed/claim-options.js';
import type { ClaimStore } from '../../keyed/claim-store.js';
import { Limit } from '../../storage/limit.js';
import { OnceHandler, type OnceCallback, type OnceContext } from './once-handler.js';
import { claimsOf, onceRulesOf, type OnceOptions } from './once-options.js';

/** The authority answers 64 requests of a replica at once; others ask too. */
const MOST_REQUESTS = 32;
/** How long closing waits for handlers, milliseconds (PROTOCOL O7). */
const CLOSE_MS = 5_000;

/** The handlers of `node.once`. */
export class OnceHandlers {
  readonly #handlers: OnceHandler[] = [];
  readonly #stores: ClaimStore[] = [];
  readonly #settling = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #limit = new Limit(MOST_REQUESTS);

  constructor(
    private readonly context: Omit<OnceContext, 'signal' | 'limit'> & {
      openClaims(options: ClaimStoreOptions): ClaimStore;
    },
  ) {}

  /**
   * What an event emitter may call with (room id, event). Events that an earlier process had heard and left are taken
   * up now.
   *
   * @throws {KeyedStoreError} `bad-options`; `already-open`, for a second handler of one name.
   */
  add(callback: OnceCallback, options: OnceOptions): (room: unknown, event: unknown) => void {
    const { local } = this.context;
    const rules = onceRulesOf(options);
    const store = this.context.openClaims(claimsOf(rules));
    const { signal } = this.#closing;
    const handler = new OnceHandler(rules, callback, store, { ...this.context, signal, limit: this.#limit });
    this.#stores.push(store);
    this.#handlers.push(handler);
    local.holdsBack = true;
    for (const event of local.heard.all()) {
      if (event.name === rules.name) this.#follow(handler.resume(event));
    }
    return (room, event) => {
      const settling = handler.hear(room, event);
      if (settling !== undefined) this.#follow(settling);
    };
  }

  /** Begins nothing more, and waits a while for the handlers that run. What is not done is another replica's. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const handler of this.#handlers) handler.abort();
    await Promise.race([
      Promise.allSettled(this.#settling),
      new Promise<void>((resolve) => this.context.clock.after(CLOSE_MS, () => resolve())),
    ]);
    for (const store of this.#stores) store.close();
  }

  #follow(settling: Promise<void>): void {
    const followed = settling
      .catch((error: unknown) =>
        this.context.log.error({ err: error }, 'an event could not be brought to its end'),
      )
      .finally(() => this.#settling.delete(followed));
    this.#settling.add(followed);
  }
}
