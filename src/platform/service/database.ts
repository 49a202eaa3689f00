import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, Migrator, PostgresDialect, SqliteDialect, type Dialect, type SqliteDatabase } from 'kysely';
import Sqlite from 'libsql';
import pg from 'pg';
import type { Log } from '../../telemetry/log.js';
import { PlatformStartError } from './errors.js';
import { migrations } from './migrations.js';
import type { Database, Tables } from './tables.js';

/** A SQLite file, or a PostgreSQL server by its URL; `connections` (default 10) is the most it opens there. */
export type DatabaseSettings = { sqlite: string } | { url: string; connections?: number };

export interface OpenDatabase {
  db: Database;
  /** Other platform processes may work on it too. SQLite is held by one process at a time. */
  shared: boolean;
}

/**
 * Opens the database and brings its tables up to date. A transaction that stands still for `stallMs` is ended by
 * the server, so that a frozen process holds no lock over those that go on. Rejects with
 * {@link PlatformStartError}.
 */
export async function openDatabase(
  settings: DatabaseSettings,
  stallMs: number,
  log: Log,
): Promise<OpenDatabase> {
  const shared = 'url' in settings;
  const where = shared ? `the database of DATABASE_URL (${hostOf(settings.url)})` : settings.sqlite;
  const dialect = shared ? await postgres(settings, where, stallMs, log) : sqlite(settings.sqlite);
  const db = new Kysely<Tables>({ dialect });
  const { error, results } = await new Migrator({ db, provider: migrations }).migrateToLatest();
  if (error === undefined) {
    for (const done of results ?? []) log.info({ migration: done.migrationName }, 'database migrated');
    return { db, shared };
  }
  await db.destroy();
  const reason = error instanceof Error ? error.message : JSON.stringify(error);
  if (reason.includes('corrupted migrations')) {
    throw new PlatformStartError('schema-newer', `${where} was written by a newer version of the platform`);
  }
  throw new PlatformStartError('database-unusable', `${where} cannot be used: ${reason}`, { cause: error });
}

const DAMAGED = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB']);
const REMEDY =
  'put a copy of the file there from before, or move it and its -wal away to begin with an empty one (rooms go on, in fresh contexts)';

/** SQLite finds damage where it reads, which may be in the middle of an answer: so all of it is read before the first. */
function intact(database: InstanceType<typeof Sqlite>): void {
  const found = database.prepare('pragma quick_check(1)').all([]) as { quick_check: string }[];
  const fault = found[0]?.quick_check;
  if (fault === undefined || fault === 'ok') return;
  throw Object.assign(new Error(fault.replaceAll(/\s+/g, ' ')), { code: 'SQLITE_CORRUPT' });
}

/** Exclusive locking: the lock lives and dies with the process, so a second one on the file cannot start. */
function sqlite(path: string): Dialect {
  let database: InstanceType<typeof Sqlite> | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
    database = new Sqlite(path);
    database.exec('pragma locking_mode = exclusive');
    // Before anything is written there.
    intact(database);
    database.exec('pragma journal_mode = wal');
    database.exec('pragma synchronous = full');
    database.exec('begin immediate; commit');
  } catch (error) {
    database?.close();
    const { code, message } = error as Error & { code?: string };
    if (code === 'SQLITE_BUSY') {
      throw new PlatformStartError('database-in-use', `${path} is in use by another platform process`);
    }
    const isDamaged = code !== undefined && DAMAGED.has(code);
    const words = `${path} ${isDamaged ? `is damaged: ${message}; ${REMEDY}` : `cannot be used: ${message}`}`;
    throw new PlatformStartError('database-unusable', words, { cause: error });
  }
  return new SqliteDialect({ database: releasing(database) });
}

/**
 * `close` alone keeps the lock until every statement is collected as garbage, so the lock is given up first:
 * exclusive locking that began before WAL ends only outside of WAL.
 */
function releasing(database: InstanceType<typeof Sqlite>): SqliteDatabase {
  return {
    prepare: (sql) => database.prepare(sql),
    close() {
      database.exec('pragma journal_mode = delete');
      database.exec('pragma locking_mode = normal');
      database.prepare('select count(*) from sqlite_master').all([]);
      database.close();
    },
  };
}

const INT8 = 20;

const typeParser = (oid: number, format?: 'text'): unknown =>
  oid === INT8 ? Number : pg.types.getTypeParser(oid, format);

async function postgres(
  settings: { url: string; connections?: number },
  where: string,
  stallMs: number,
  log: Log,
): Promise<Dialect> {
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.connections ?? 10,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: stallMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Counters and milliseconds stay far below 2^53, so int8 is read as a number.
    types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
  });
  pool.on('error', (error) => log.warn({ error: error.message }, 'an idle database connection broke'));
  // The pool listens to the idle ones alone; a transaction that stood still too long would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ error: error.message }, 'a database connection broke in use'));
  });
  try {
    (await pool.connect()).release();
  } catch (error) {
    await pool.end();
    throw new PlatformStartError('database-unreachable', `${where} cannot be reached: ${describe(error)}`, {
      cause: error,
    });
  }
  return new PostgresDialect({ pool });
}

/** Host and database, never the user's password. */
function hostOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return 'not a URL'; // the connection attempt says more
  }
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}
