import { join } from 'node:path';
import { z } from 'zod';
import type { FileLayer } from '../../storage/file-layer.js';
import { readJsonOrAside, writeJson } from '../../storage/json-file.js';
import { WriteQueue, type Failures } from '../../storage/write-queue.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { NodeError } from '../errors.js';
import { HeardEvents } from './heard-events.js';
import type { MatrixFilter } from './sdk-shape.js';

const schema = z.object({
  accounts: z
    .array(
      z.object({
        /** A user of an appservice; empty for the bot's own. */
        user: z.string(),
        sync_token: z.string().nullable(),
        filter: z.object({ id: z.unknown(), filter: z.unknown() }).nullable(),
      }),
    )
    .default([]),
  heard: z
    .array(
      z.object({
        name: z.string(),
        id: z.string(),
        room: z.string(),
        text: z.string(),
        at: z.number(),
        attempts: z.int().min(0),
      }),
    )
    .default([]),
  done: z.array(z.string()).default([]),
});

interface Account {
  /** What the SDK said last. */
  token: string | null;
  /** What stands in the file. */
  kept: string | null;
  filter: MatrixFilter | null;
}

export interface LocalStateOptions {
  log: Log;
  clock: Clock;
  files?: FileLayer;
}

const FILE = 'file';
/** How long closing waits for the disk, milliseconds. */
const CLOSE_MS = 2_000;

/**
 * `matrix-storage.json`: what a bot's storage keeps on this replica alone. In one write with a sync token stands every
 * event before it that is not known to be done (PROTOCOL C3); it holds what people wrote, so it is for its owner alone,
 * and an event goes from it when it is done.
 */
export class LocalState {
  readonly heard = new HeardEvents();
  /** Some handler takes events through `node.once`: the token on disk passes none of them. */
  holdsBack = false;
  readonly #accounts = new Map<string, Account>();
  readonly #closed = new AbortController();
  readonly #queue: WriteQueue<true>;

  private constructor(path: string, { log, clock, files }: LocalStateOptions) {
    this.#queue = new WriteQueue<true>({
      clock,
      same: () => false,
      commit: async (): Promise<Failures> => {
        try {
          await writeJson(path, this.#value(), files);
          return new Map();
        } catch (error) {
          return new Map([[FILE, error]]);
        }
      },
      onFailure: (failures, attempt, retryMs) =>
        log.error({ err: failures.get(FILE), attempt, retryMs }, 'matrix-storage.json cannot be written'),
      onRestored: (attempts) => log.info({ attempts }, 'matrix-storage.json can be written again'),
    });
  }

  /** A file that is damaged is put aside: the SDK syncs from the beginning. */
  static async open(dataDir: string, options: LocalStateOptions): Promise<LocalState> {
    const path = join(dataDir, 'matrix-storage.json');
    const lost = 'the sync position of bots on this folder: they begin anew, and are handed old events again';
    const state = new LocalState(path, options);
    const value = await readJsonOrAside(path, schema, { lost, ...options });
    for (const { user, sync_token: token, filter } of value?.accounts ?? []) {
      state.#accounts.set(user, { token, kept: token, filter: filter as MatrixFilter | null });
    }
    for (const event of value?.heard ?? []) state.heard.add(event);
    for (const key of value?.done ?? []) state.heard.addDone(key);
    return state;
  }

  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  account(user: string): Readonly<Account> {
    return this.#account(user);
  }

  /** On disk when it resolves, with all that was heard. The SDK sets a token before it hands out what came with it. */
  setToken(user: string, token: string | null): Promise<void> {
    const account = this.#account(user);
    account.kept = this.holdsBack && token !== null ? account.token : token;
    account.token = token;
    return this.save();
  }

  async setFilter(user: string, filter: MatrixFilter | null): Promise<void> {
    // A copy: what the caller does with it later is not what it set.
    this.#account(user).filter = JSON.parse(JSON.stringify(filter)) as MatrixFilter | null;
    await this.save();
  }

  /**
   * Resolves when all that stands now is on disk; tries for as long as it takes.
   *
   * @throws {NodeError} `closed`.
   */
  save(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this;
      const stop = (): void => reject(new NodeError('closed', 'the node is closed'));
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      this.#queue.put(FILE, true).then(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, reject);
    });
  }

  /** Writes what is pending, with a deadline. */
  async close(clock: Clock): Promise<void> {
    await Promise.race([
      this.#queue.settled(),
      new Promise<void>((resolve) => clock.after(CLOSE_MS, () => resolve())),
    ]);
    this.#closed.abort();
    this.#queue.stop();
  }

  #account(user: string): Account {
    const known = this.#accounts.get(user);
    if (known !== undefined) return known;
    const account: Account = { token: null, kept: null, filter: null };
    this.#accounts.set(user, account);
    return account;
  }

  #value(): z.input<typeof schema> {
    return {
      accounts: [...this.#accounts].map(([user, { kept, filter }]) => ({
        user,
        sync_token: kept,
        filter,
      })),
      heard: this.heard.all(),
      done: this.heard.done(),
    };
  }
}
