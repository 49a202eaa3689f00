import type pg from 'pg';
import { PostgresStorageError } from './postgres-error.js';

/** Of the tables; a later one that old code cannot use gets the next number. */
const FORMAT = 1;

const TABLES = [
  'create table if not exists understudy_storage (format integer not null)',
  // A key may be longer than an index takes, so its sum is the index; `head` is the sum of its first part.
  `create table if not exists understudy_chunks (
     id bytea primary key, head bytea not null, key text not null, sha256 bytea not null, bytes bytea not null)`,
  'create index if not exists understudy_chunks_head on understudy_chunks (head)',
  `create table if not exists understudy_quarantine (
     name text primary key, key text not null, bytes bytea not null, moved_at timestamptz not null default now())`,
];

/** Makes the tables, in the transaction that it is called in, and refuses those of a newer version. */
export async function makeTables(client: pg.Client, place: string): Promise<void> {
  for (const statement of TABLES) await client.query(statement);
  const found = await client.query<{ format: number }>('select format from understudy_storage');
  const format = found.rows[0]?.format;
  if (format === undefined)
    await client.query('insert into understudy_storage (format) values ($1)', [FORMAT]);
  else if (format > FORMAT) {
    const message = `${place} was written by a newer version (its tables have format ${format}, this version knows ${FORMAT})`;
    throw new PostgresStorageError('storage-newer', message);
  }
}
