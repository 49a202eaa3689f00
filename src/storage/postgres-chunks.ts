import type { StorageKey } from '@automerge/automerge-repo';
import type pg from 'pg';
import type { Log } from '../telemetry/log.js';
import { sleep, systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import { byKey } from './chunk-store.js';
import type { ChunkOp, ChunkStore, Look } from './chunk-store.js';
import { isRefusedStatement, PostgresStorageError } from './postgres-error.js';
import { beginningOf, headOf, idOf, keyOf, sum, textOf } from './postgres-key.js';
import { PostgresSession } from './postgres-session.js';
import { makeTables } from './postgres-tables.js';
import type { Failures } from './write-queue.js';

export interface PostgresChunksOptions {
  /** `postgres://user:password@host/database`. */
  url: string;
  /** What messages call it; default: host and database of the URL. */
  place?: string;
  log: Log;
  clock?: Clock;
  /** How long a read outwaits a server that is gone, milliseconds; default 10 s. */
  patienceMs?: number;
  /** A statement that takes longer has lost its server, milliseconds; default 30 s. */
  statementMs?: number;
}

const AGAIN_MS = 250;
const MOST_ROWS = 64;
/** Bytes of one statement, which the server must hold at once. */
const MOST_BYTES = 16 * 1024 * 1024;

type Save = Extract<ChunkOp, { kind: 'save' }>;

/** Chunks in a PostgreSQL database, one row each with its checksum; a batch is one transaction. */
export class PostgresChunks implements ChunkStore {
  readonly place: string;
  readonly #session: PostgresSession;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #patienceMs: number;

  constructor(options: PostgresChunksOptions) {
    this.#session = new PostgresSession(
      options.url,
      options.log,
      options.statementMs ?? 30_000,
      options.clock,
      options.place,
    );
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#patienceMs = options.patienceMs ?? 10_000;
    this.place = this.#session.place;
  }

  get isLost(): boolean {
    return this.#session.isLost;
  }

  async open(): Promise<void> {
    try {
      await this.#session.transaction((client) => makeTables(client, this.place));
    } catch (error) {
      if (!isRefusedStatement(error)) throw error;
      const message = `${this.place} cannot be used for storage: ${(error as Error).message}`;
      throw new PostgresStorageError('storage-unusable', message, { cause: error });
    }
  }

  async look(key: StorageKey): Promise<Look> {
    const sql = 'select bytes, sha256 from understudy_chunks where id = $1';
    const { rows } = await this.#read((client) =>
      client.query<{ bytes: Buffer; sha256: Buffer }>(sql, [idOf(key)]),
    );
    const [row] = rows;
    if (!row) return { state: 'absent' };
    // The library's own buffer may be a part of a larger one, which would stay in memory with it.
    const bytes = new Uint8Array(row.bytes);
    if (row.sha256.equals(sum(bytes))) return { state: 'good', bytes };
    return { state: 'bad', reason: 'bytes do not match the checksum', size: bytes.length };
  }

  async keys(prefix: StorageKey): Promise<StorageKey[]> {
    const { rows } = await this.#read((client) =>
      prefix.length === 0
        ? client.query<{ key: string }>('select key from understudy_chunks')
        : client.query<{ key: string }>(
            'select key from understudy_chunks where head = $1 and (key = $2 or starts_with(key, $3))',
            [headOf(prefix), textOf(prefix), beginningOf(prefix)],
          ),
    );
    const keys = rows.map(({ key }) => keyOf(key)).filter((key) => key !== undefined);
    if (keys.length < rows.length)
      this.#log.warn(
        { place: this.place, rows: rows.length - keys.length },
        'rows with keys of no one, left out',
      );
    return keys.sort(byKey);
  }

  /** One that is refused alone must not hold up the others: then each goes by itself. */
  async commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    const failures: Failures = new Map();
    const error = await this.#attempt(batch);
    if (error === undefined) return failures;
    if (batch.size > 1 && isRefusedStatement(error)) {
      for (const [id, op] of batch) {
        const alone = await this.#attempt(new Map([[id, op]]));
        if (alone !== undefined) failures.set(id, alone);
      }
    } else for (const id of batch.keys()) failures.set(id, error);
    return failures;
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  async #attempt(batch: ReadonlyMap<string, ChunkOp>): Promise<unknown> {
    const ops = [...batch.values()];
    try {
      await this.#session.transaction(async (client) => {
        for (const saves of grouped(ops.filter((op) => op.kind === 'save'))) await upsert(client, saves);
        for (const op of ops) if (op.kind !== 'save') await takeAway(client, op);
      });
    } catch (error) {
      return error ?? new Error('the database said no more');
    }
    for (const op of ops) if (op.kind === 'quarantine') op.moved(`understudy_quarantine ${op.name}`);
    return undefined;
  }

  /** A server that is restarted, or a connection that broke, is nothing that a reader should hear of at once. */
  async #read<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const until = this.#clock.monotonic() + this.#patienceMs;
    for (;;) {
      try {
        return await this.#session.run(work);
      } catch (error) {
        const isFinal = isRefusedStatement(error) || this.#session.isClosed;
        if (isFinal || this.#clock.monotonic() + AGAIN_MS > until) throw error;
        this.#log.warn({ place: this.place, error }, 'reading from the database failed; trying again');
        await sleep(this.#clock, AGAIN_MS);
      }
    }
  }
}

async function upsert(client: pg.Client, saves: Save[]): Promise<void> {
  const rows = saves.map((_, row) => `(${[1, 2, 3, 4, 5].map((column) => `$${row * 5 + column}`).join()})`);
  await client.query(
    `insert into understudy_chunks (id, head, key, sha256, bytes) values ${rows.join()}
     on conflict (id) do update set sha256 = excluded.sha256, bytes = excluded.bytes`,
    saves.flatMap(({ key, bytes }) => [idOf(key), headOf(key), textOf(key), sum(bytes), viewOf(bytes)]),
  );
}

async function takeAway(client: pg.Client, op: Exclude<ChunkOp, Save>): Promise<void> {
  if (op.kind === 'remove') {
    await client.query('delete from understudy_chunks where id = $1', [idOf(op.key)]);
    return;
  }
  await client.query(
    `with gone as (delete from understudy_chunks where id = $1 returning key, bytes)
     insert into understudy_quarantine (name, key, bytes) select $2, key, bytes from gone
     on conflict (name) do nothing`,
    [idOf(op.key), op.name],
  );
}

/** Saves in statements of a bounded size; a single large one goes alone. */
function grouped(saves: Save[]): Save[][] {
  const groups: Save[][] = [];
  let bytes = 0;
  for (const save of saves) {
    const group = groups.at(-1);
    bytes += save.bytes.length;
    if (group && group.length < MOST_ROWS && bytes <= MOST_BYTES) group.push(save);
    else {
      groups.push([save]);
      bytes = save.bytes.length;
    }
  }
  return groups;
}

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
