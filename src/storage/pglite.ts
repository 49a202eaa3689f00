import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import type { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { makeFolderDurably, removeIfThere } from './atomic-write.js';
import { nodeFiles } from './file-layer.js';
import { PostgresStorageError } from './postgres-error.js';

/** The name under which PostgreSQL's clients look for a socket in a folder. */
const SOCKET = '.s.PGSQL.5432';
/** The operating system's bound on a socket's path is 104 to 108 bytes. */
const LONGEST_PATH = 100;

export interface PgliteServer {
  /** For `PostgresChunks`. */
  url: string;
  /** Where it keeps its files. */
  place: string;
  close(): Promise<void>;
}

/**
 * PostgreSQL inside this process, with its files in `<dir>/pglite`, on a socket in `dir` that only its owner may enter.
 *
 * PGlite never asks the disk to keep anything (measured: no fsync reaches the operating system, whatever its settings
 * say), so what it acknowledges outlives the process and not a loss of power (decision 12).
 *
 * @param dir held by a lock of the caller's: PGlite has one session, and so no locks of its own.
 * @throws {PostgresStorageError} `storage-unusable`: the packages are not installed, the path is too long for a socket,
 * or its files cannot be read.
 */
export async function startPglite(dir: string): Promise<PgliteServer> {
  const path = join(dir, SOCKET);
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    const message = `${dir} is too long a path for the socket of PGlite: take a shorter one (UNDERSTUDY_DATA_DIR)`;
    throw new PostgresStorageError('storage-unusable', message);
  }
  const { engineClass, serverClass } = await packages();
  const place = join(dir, 'pglite');
  await makeFolderDurably(nodeFiles, place);
  await nodeFiles.makePrivate(dir, 'folder');
  await nodeFiles.makePrivate(place, 'folder');
  await removeIfThere(nodeFiles, path);
  let engine: PGlite;
  try {
    engine = await engineClass.create(place);
  } catch (error) {
    const message = `PGlite cannot use its files in ${place}: move that folder away; replicas bring what they have`;
    throw new PostgresStorageError('storage-unusable', message, { cause: error });
  }
  // More than one, so that a connection that breaks does not keep its successor out.
  const server = new serverClass({ db: engine, path, maxConnections: 4 });
  try {
    await server.start();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    url: `postgresql://postgres@localhost/postgres?host=${encodeURIComponent(dir)}&sslmode=disable`,
    place,
    async close() {
      await server.stop();
      await engine.close();
    },
  };
}

interface Packages {
  engineClass: typeof PGlite;
  serverClass: typeof PGLiteSocketServer;
}

/** They are large, and only this storage needs them: whoever wants it installs them. */
async function packages(): Promise<Packages> {
  try {
    const [engine, socket] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite-socket'),
    ]);
    return { engineClass: engine.PGlite, serverClass: socket.PGLiteSocketServer };
  } catch (error) {
    const message =
      'the storage pglite needs two packages: npm install @electric-sql/pglite @electric-sql/pglite-socket';
    throw new PostgresStorageError('storage-unusable', message, { cause: error });
  }
}
