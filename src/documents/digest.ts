import { createHash } from 'node:crypto';

/**
 * SHA-256 over an unambiguous encoding of `parts`: each part's UTF-8 length as 4 bytes big-endian, then the
 * part itself, so that no two different lists give the same input.
 */
export function digest(...parts: string[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest();
}
