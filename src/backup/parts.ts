import { BackupError } from './errors.js';
import type { ReadableFile } from './readable-file.js';
import { BLOCK, END, paddingOf, readTarHeader, type TarEntry } from './tar.js';

/** A document is read as a whole, and a manifest too: what claims to be larger is refused before memory is given. */
const LARGEST_PART = 2 ** 30;

/** One file in a backup. */
export interface Part extends TarEntry {
  /** Of its contents. */
  offset: number;
}

/**
 * Walks the headers from the first to the two empty blocks at the end, with which the file must end as well.
 *
 * @throws {BackupError} `damaged`.
 */
export async function partsOf(file: ReadableFile): Promise<Part[]> {
  const parts: Part[] = [];
  const end = file.size - END.length;
  let at = 0;
  let padding = 0;
  while (at + padding < end) {
    const bytes = await bytesAt(file, at, padding + BLOCK);
    assertZero(bytes.subarray(0, padding), at);
    at += padding;
    const entry = readTarHeader(bytes.subarray(padding), at);
    at += BLOCK;
    if (at + entry.size > end) throw new BackupError('damaged', `it ends within ${entry.name}`);
    parts.push({ ...entry, offset: at });
    at += entry.size;
    padding = paddingOf(entry.size);
  }
  if (at + padding !== end) throw new BackupError('damaged', 'it is cut off, or longer than it was written');
  assertZero(await bytesAt(file, at, padding + END.length), at);
  return parts;
}

/** @throws {BackupError} `damaged`. */
export async function contentsOf(file: ReadableFile, { name, offset, size }: Part): Promise<Buffer> {
  if (size > LARGEST_PART) throw new BackupError('damaged', `${name} claims ${size} bytes`);
  return bytesAt(file, offset, size);
}

async function bytesAt(file: ReadableFile, position: number, length: number): Promise<Buffer> {
  const bytes = await file.read(position, length);
  if (bytes.length === length) return bytes;
  throw new BackupError('damaged', `it ends at byte ${position + bytes.length}`);
}

function assertZero(bytes: Buffer, at: number): void {
  if (bytes.some((byte) => byte !== 0)) throw new BackupError('damaged', `no zeros after byte ${at}`);
}
