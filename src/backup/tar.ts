import { BackupError } from './errors.js';

/**
 * The container of a backup: POSIX tar (ustar), so that `tar xf` and `sha256sum -c SHA256SUMS` open one without this
 * software. Of all the ways to write a header only ours is taken, byte for byte: then every byte of a backup is
 * either contents, which have a checksum, or follows from them, and no flipped bit goes unseen.
 */
export const BLOCK = 512;

/** The two empty blocks with which an archive ends. */
export const END = Buffer.alloc(2 * BLOCK);

const MODE = 0o600;
/** 11 octal digits. */
const LARGEST = 8 ** 11 - 1;

export interface TarEntry {
  name: string;
  size: number;
  /** Seconds since 1970. */
  mtime: number;
}

/** The header of one regular file; throws for what ustar has no room for. */
export function tarHeader({ name, size, mtime }: TarEntry): Buffer {
  const header = Buffer.alloc(BLOCK);
  if (!/^[\x21-\x7e]{1,99}$/.test(name) || !fits(size) || !fits(mtime)) {
    throw new Error(`no tar entry can be ${JSON.stringify({ name, size, mtime })}`);
  }
  header.write(name, 0, 'ascii');
  header.write(octal(MODE, 7), 100, 'ascii');
  header.write(octal(0, 7), 108, 'ascii');
  header.write(octal(0, 7), 116, 'ascii');
  header.write(octal(size, 11), 124, 'ascii');
  header.write(octal(mtime, 11), 136, 'ascii');
  header.write('        ', 148, 'ascii');
  header.write('0', 156, 'ascii');
  header.write('ustar\0' + '00', 257, 'ascii');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'ascii');
  return header;
}

/** How many zero bytes follow contents of that size. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/**
 * Reads a header of ours.
 *
 * @throws {BackupError} `damaged` for any other.
 */
export function readTarHeader(header: Buffer, at: number): TarEntry {
  const [, name] = /^([\x21-\x7e]{1,99})\0/.exec(header.toString('latin1', 0, 100)) ?? [];
  const size = Number.parseInt(header.toString('latin1', 124, 135), 8);
  const mtime = Number.parseInt(header.toString('latin1', 136, 147), 8);
  if (name !== undefined && fits(size) && fits(mtime)) {
    const entry = { name, size, mtime };
    if (tarHeader(entry).equals(header)) return entry;
  }
  throw new BackupError('damaged', `no header of a backup at byte ${at}`);
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
const fits = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= LARGEST;
