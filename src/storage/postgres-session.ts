import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import type { Cancel, Clock } from '../time/clock.js';
import { describe, isRefusedStatement, PostgresStorageError } from './postgres-error.js';

/** Two numbers that no other use of advisory locks on that server is likely to have; the second is the schema's. */
const LOCK = 0x756e6473;
const CONNECT_MS = 10_000;
const LOOK_AGAIN_MS = 1_000;

/**
 * One connection to a PostgreSQL server, made when it is needed and again when it broke. It holds the lock of the
 * tables and carries every write, so that whoever lost the lock cannot write any more: they end together.
 */
export class PostgresSession {
  /** Host and database, never the user's password. */
  readonly place: string;
  readonly #url: string;
  readonly #log: Log;
  readonly #statementMs: number;
  readonly #clock: Clock;
  /** By it the sessions of this process are known, also those that it lost. */
  readonly #name = `understudy storage ${randomBytes(9).toString('base64url')}`;
  #client: pg.Client | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #connecting: pg.Client | undefined;
  #isLost = false;
  #lookAgain: Cancel | undefined;
  #closed = false;

  /** A statement that takes longer than `statementMs` has lost its server. */
  constructor(url: string, log: Log, statementMs: number, clock: Clock = systemClock, place?: string) {
    this.#clock = clock;
    this.#url = url;
    this.#log = log;
    this.#statementMs = statementMs;
    const { host, pathname } = new URL(url);
    this.place = place ?? `${host}${pathname}`;
  }

  /** The server was out of reach when it was last needed, and has not been reached since. */
  get isLost(): boolean {
    return this.#isLost;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Does `work` alone on the connection. One that broke on the way is made anew for the next. */
  run<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => this.#run(work));
    this.#last = done.catch(() => {
      // Whoever asked hears of it; the next one begins anew.
    });
    return done;
  }

  /** The same in one transaction: all of it is there afterwards, or nothing. */
  transaction<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return this.run(async (client) => {
      await client.query('begin');
      try {
        const result = await work(client);
        await client.query('commit');
        return result;
      } catch (error) {
        if (isRefusedStatement(error)) await client.query('rollback');
        throw error;
      }
    });
  }

  /** Ends what is under way too: whoever closes has waited as long as it would. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#lookAgain?.();
    const client = this.#client ?? this.#connecting;
    this.#client = undefined;
    if (client) await this.#end(client);
    await this.#last;
  }

  async #run<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    if (this.#closed) throw new PostgresStorageError('storage-unusable', `${this.place} is closed`);
    try {
      const client = this.#client ?? (await this.#connect());
      this.#client = client;
      return await this.#withOne(client, work);
    } catch (error) {
      if (!isRefusedStatement(error)) this.#lost();
      throw error;
    }
  }

  async #withOne<T>(client: pg.Client, work: (client: pg.Client) => Promise<T>): Promise<T> {
    try {
      const result = await work(client);
      this.#isLost = false;
      return result;
    } catch (error) {
      if (!isRefusedStatement(error)) {
        if (this.#client === client) this.#client = undefined;
        await this.#end(client);
      }
      throw error;
    }
  }

  /** Looks for the server until it is back, also when nobody asks for anything: health must not say the last word. */
  #lost(): void {
    this.#isLost = true;
    if (this.#closed || this.#lookAgain) return;
    this.#lookAgain = this.#clock.after(LOOK_AGAIN_MS, () => {
      this.#lookAgain = undefined;
      if (this.#isLost) this.run((client) => client.query('select 1')).catch(() => this.#lost());
    });
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: this.#name,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: this.#statementMs,
      query_timeout: this.#statementMs,
      idle_in_transaction_session_timeout: this.#statementMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    // An idle connection that breaks says so here, and would end the process if nobody listened.
    client.on('error', (error) => {
      if (this.#client === client) {
        this.#client = undefined;
        this.#lost();
      }
      this.#log.warn({ place: this.place, error: error.message }, 'the database connection broke');
    });
    this.#connecting = client;
    try {
      await client.connect();
    } catch (error) {
      const message = `the database at ${this.place} cannot be reached: ${describe(error)}`;
      throw new PostgresStorageError('storage-unreachable', message, { cause: error });
    }
    try {
      // What is acknowledged is on the server's disk, also where it is set up to say so earlier.
      await client.query(
        `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
      );
      await this.#lock(client);
      return client;
    } catch (error) {
      await this.#end(client);
      throw error;
    } finally {
      this.#connecting = undefined;
    }
  }

  /** A session of ours that the network cut off keeps the lock until the server notices: it is ended first. */
  async #lock(client: pg.Client): Promise<void> {
    const take = `select pg_try_advisory_lock($1, hashtext(current_schema())) as taken`;
    const taken = async (): Promise<boolean> =>
      (await client.query<{ taken: boolean }>(take, [LOCK])).rows[0]?.taken === true;
    if (await taken()) return;
    const ended = await client.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where application_name = $1 and pid <> pg_backend_pid()`,
      [this.#name],
    );
    if ((ended.rowCount ?? 0) > 0 && (await taken())) return;
    const message = `another process stores at ${this.place}: one relay to a database; stop that one, or give this one a database of its own`;
    throw new PostgresStorageError('storage-in-use', message);
  }

  async #end(client: pg.Client): Promise<void> {
    try {
      await client.end();
    } catch (error) {
      this.#log.debug({ place: this.place, error: describe(error) }, 'a broken connection did not end well');
    }
  }
}
