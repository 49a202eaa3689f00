import {
  access,
  chmod,
  constants,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** One name in a folder. */
export interface FolderEntry {
  name: string;
  folder: boolean;
}

/** Of a file: its length, and when it was last written, milliseconds. */
export interface FileFacts {
  bytes: number;
  writtenAt: number;
}

/** A file open for writing at its end. */
export interface OpenFile {
  /** Writes all of `bytes`, or rejects; after a rejection the file's tail is unknown. */
  write(bytes: Uint8Array): Promise<void>;
  /** On disk, not only in the page cache. After a rejection nothing written before it may be trusted. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Every touch of the disk by this folder goes through these calls, so that a test can fail, cut or kill at
 * each of them. Errors are Node's own (`code` is the errno name). Files are made 0600, folders 0700.
 */
export interface FileLayer {
  read: (path: string) => Promise<Uint8Array>;
  exists: (path: string) => Promise<boolean>;
  list: (path: string) => Promise<FolderEntry[]>;
  facts: (path: string) => Promise<FileFacts>;
  /** A new empty file; `EEXIST` when the name is taken. */
  create: (path: string) => Promise<OpenFile>;
  /** An existing file, to be written at its end; `ENOENT` when there is none. */
  append: (path: string) => Promise<OpenFile>;
  rename: (from: string, to: string) => Promise<void>;
  /** A second name for a file; `EEXIST` when the name is taken: the one atomic "create with content". */
  link: (existing: string, name: string) => Promise<void>;
  remove: (path: string) => Promise<void>;
  /** Makes the folder and what is missing above it; the topmost folder it made, if it made any. */
  makeFolder: (path: string) => Promise<string | undefined>;
  /** Takes group's and others' rights to a file or folder away. */
  makePrivate: (path: string, kind: 'file' | 'folder') => Promise<void>;
  /** Names made, renamed or removed in the folder are on disk. */
  syncFolder: (path: string) => Promise<void>;
}

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The errno name of a file system error (`ENOENT`, `ENOSPC`, …), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return errnoOf(error.errors[0]);
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

class NodeOpenFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    // One write call may take less than it was given (a nearly full disk, a signal).
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done);
      done += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function makeFolder(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    // Node says so of a read-only file system too: the first folder by itself is told the true reason.
    let first = path;
    while (!(await exists(dirname(first)))) first = dirname(first);
    await mkdir(first, FOLDER_MODE);
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
    return first;
  }
}

/** The machine's own file system. */
export const nodeFiles: FileLayer = {
  read: async (path) => {
    const bytes = await readFile(path);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
  exists,
  list: async (path) =>
    (await readdir(path, { withFileTypes: true })).map((entry) => ({
      name: entry.name,
      folder: entry.isDirectory(),
    })),
  facts: async (path) => {
    const { size, mtimeMs } = await stat(path);
    return { bytes: size, writtenAt: Math.round(mtimeMs) };
  },
  create: async (path) => new NodeOpenFile(await open(path, 'ax', FILE_MODE)),
  append: async (path) => new NodeOpenFile(await open(path, constants.O_WRONLY | constants.O_APPEND)),
  rename,
  link,
  remove: unlink,
  makeFolder,
  makePrivate: (path, kind) => chmod(path, kind === 'file' ? FILE_MODE : FOLDER_MODE),
  syncFolder: async (path) => {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};
