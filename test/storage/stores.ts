import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe } from 'vitest';
import type { ChunkStore } from '../../src/storage/chunk-store.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { FsChunks } from '../../src/storage/fs-chunks.js';
import { MemoryChunks } from '../../src/storage/memory-chunks.js';
import { startPglite, type PgliteServer } from '../../src/storage/pglite.js';
import { PostgresChunks } from '../../src/storage/postgres-chunks.js';
import { newSealingKey, sealingKey } from '../../src/storage/seal.js';
import { SealedChunks } from '../../src/storage/sealed-chunks.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { findServer, startPostgres } from '../platform/postgres.js';
import { scratchFolder } from './scratch.js';

/** A place that stores can be opened on, one after the other; what one wrote the next one finds. */
export interface Place {
  open(): ChunkStore;
  /** Whether a store opened later finds anything. */
  keeps: boolean;
}

/** An empty place of its own for each test. */
export type FreshPlace = () => Promise<Place>;

const freshFolder: FreshPlace = async () => {
  const dir = join(await scratchFolder(), 'data');
  const open = () =>
    new FsChunks({ dir, files: nodeFiles, durability: 'fsync', log: silentLog, clock: systemClock });
  return { open, keeps: true };
};

const freshMemory: FreshPlace = () => {
  const store = new MemoryChunks();
  return Promise.resolve({ open: () => store, keeps: false });
};

const inDatabase = (url: string): Place => ({
  open: () => new PostgresChunks({ url, log: silentLog, patienceMs: 0 }),
  keeps: true,
});

/** PGlite as a relay runs it. It has one session for all its connections, and so no locks between them. */
function onPGlite(suite: (fresh: FreshPlace) => void): void {
  describe('PGlite in a folder', () => {
    let dir: string;
    let server: PgliteServer;
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'understudy-pglite-'));
      server = await startPglite(dir);
    }, 60_000);
    afterAll(async () => {
      await server.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    });
    suite(async () => {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      await client.query('drop schema public cascade; create schema public');
      await client.end();
      return inDatabase(server.url);
    });
  });
}

const server = findServer();

/** On a real server. Skipped visibly where there is none, except in CI, which has to have one. */
export function onServer(suite: (freshUrl: () => Promise<string>) => void): void {
  if ('missing' in server && !process.env['CI']) {
    describe.skip(`a PostgreSQL server (${server.missing})`, () => suite(() => Promise.reject(new Error())));
    return;
  }
  describe('a PostgreSQL server', () => {
    let running: Awaited<ReturnType<typeof startPostgres>>;
    beforeAll(async () => {
      if ('missing' in server) throw new Error(server.missing);
      running = await startPostgres(server.bin);
    });
    afterAll(() => running.stop());
    suite(() => running.createDatabase());
  });
}

const KEY = sealingKey(newSealingKey());

/** The same place, encrypted. */
const sealed =
  (fresh: FreshPlace): FreshPlace =>
  async () => {
    const place = await fresh();
    return { ...place, open: () => new SealedChunks(place.open(), KEY ? { current: KEY } : {}) };
  };

/** The suite on every kind of store that there is, plain and encrypted. */
export function onEveryStore(suite: (fresh: FreshPlace) => void): void {
  describe('a folder', () => suite(freshFolder));
  describe('an encrypted folder', () => suite(sealed(freshFolder)));
  describe('memory', () => suite(freshMemory));
  onPGlite(suite);
  onServer((freshUrl) => {
    const freshDatabase = async (): Promise<Place> => inDatabase(await freshUrl());
    describe('plain', () => suite(freshDatabase));
    describe('encrypted', () => suite(sealed(freshDatabase)));
  });
}
