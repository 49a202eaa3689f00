import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { afterAll, beforeAll, describe } from 'vitest';
import type { DatabaseSettings } from '../../src/platform/service/database.js';
import { findServer, startPostgres } from './postgres.js';

/** A kind of database: `open` once per file, `fresh` gives an empty one. */
interface Kind {
  fresh(): Promise<DatabaseSettings>;
  close(): Promise<void>;
}

async function sqlite(): Promise<Kind> {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-platform-'));
  let files = 0;
  return {
    fresh: async () => ({ sqlite: join(dir, `data-${++files}`, 'platform.db') }),
    close: () => rm(dir, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/**
 * PostgreSQL inside this process. Its socket mixes up the statements of two connections, so the platform gets
 * one; what needs more runs on a real server.
 */
async function pglite(): Promise<Kind> {
  const engine = await PGlite.create();
  const server = new PGLiteSocketServer({ db: engine, port: 0, maxConnections: 20 });
  await server.start();
  return {
    async fresh() {
      await engine.exec('drop schema public cascade; create schema public');
      return {
        url: `postgresql://postgres@${server.getServerConn()}/postgres?sslmode=disable`,
        connections: 1,
      };
    },
    async close() {
      await server.stop();
      await engine.close();
    },
  };
}

const server = findServer();

async function postgres(): Promise<Kind> {
  if ('missing' in server) throw new Error(server.missing);
  const running = await startPostgres(server.bin);
  return { fresh: async () => ({ url: await running.createDatabase() }), close: () => running.stop() };
}

export type FreshDatabase = () => Promise<DatabaseSettings>;

function describeKind(name: string, open: () => Promise<Kind>, suite: (fresh: FreshDatabase) => void): void {
  describe(name, () => {
    let kind: Kind;
    beforeAll(async () => {
      kind = await open();
    });
    afterAll(() => kind.close());
    suite(() => kind.fresh());
  });
}

/** The suite on SQLite, on PostgreSQL in this process, and on a real PostgreSQL server where there is one. */
export function onEveryDatabase(suite: (fresh: FreshDatabase) => void): void {
  describeKind('on SQLite', sqlite, suite);
  describeKind('on PGlite', pglite, suite);
  onPostgres(suite);
}

/** Skipped visibly where there is no server, except in CI, which has to have one. */
export function onPostgres(suite: (fresh: FreshDatabase) => void): void {
  if ('bin' in server || process.env['CI']) describeKind('on a PostgreSQL server', postgres, suite);
  else
    describe.skip(`on a PostgreSQL server (${server.missing})`, () =>
      suite(() => Promise.reject(new Error())));
}

export function onSqlite(suite: (fresh: FreshDatabase) => void): void {
  describeKind('on SQLite', sqlite, suite);
}
