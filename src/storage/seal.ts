import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { StorageKey } from '@automerge/automerge-repo';

/** A key that chunks are encrypted with. What is kept of it besides itself gives nothing of it away. */
export interface SealingKey {
  /** 16 hex digits by which chunks name it. */
  id: string;
  secret: KeyObject;
}

const KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const MAGIC = Buffer.from('USE1');
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Magic, key id, nonce, CRC-32 of these. */
const HEADER_BYTES = MAGIC.length + ID_BYTES + NONCE_BYTES + 4;

/** The key of 32 bytes in base64url; undefined when it is anything else. */
export function sealingKey(text: string): SealingKey | undefined {
  if (!/^[\w-]{43}=?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== KEY_BYTES) return undefined;
  const id = createHmac('sha256', bytes).update('understudy storage key id').digest('hex');
  return { id: id.slice(0, 2 * ID_BYTES), secret: createSecretKey(bytes) };
}

export const newSealingKey = (): string => randomBytes(KEY_BYTES).toString('base64url');

/**
 * Encrypts a chunk with AES-256-GCM under a random nonce. Its storage key is bound to it, so that no chunk passes
 * for another, and so is the header. Nonces of 96 random bits are good for 2^32 chunks under one key.
 */
export function seal(key: SealingKey, at: StorageKey, plain: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const named = Buffer.concat([MAGIC, Buffer.from(key.id, 'hex'), nonce]);
  const header = Buffer.concat([named, checksum(named)]);
  const cipher = createCipheriv(CIPHER, key.secret, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(header, at));
  return Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/**
 * The id of the key that a chunk is encrypted with; undefined for a plain one. The header has a checksum of its own:
 * a rotten one does not name a key that nobody has.
 */
export function sealedWith(bytes: Uint8Array): string | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, HEADER_BYTES));
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const named = header.subarray(0, HEADER_BYTES - 4);
  if (!checksum(named).equals(header.subarray(HEADER_BYTES - 4))) return undefined;
  return named.toString('hex', MAGIC.length, MAGIC.length + ID_BYTES);
}

/** The chunk as it was before it was encrypted with this key and for this place; undefined when it was not. */
export function unseal(key: SealingKey, at: StorageKey, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < HEADER_BYTES + TAG_BYTES) return undefined;
  const header = sealed.subarray(0, HEADER_BYTES);
  const nonce = header.subarray(MAGIC.length + ID_BYTES, HEADER_BYTES - 4);
  const decipher = createDecipheriv(CIPHER, key.secret, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundTo(header, at));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(HEADER_BYTES, sealed.length - TAG_BYTES));
  try {
    const rest = decipher.final();
    return new Uint8Array(Buffer.concat([plain, rest]));
  } catch {
    // OpenSSL says no more than that the tag is wrong.
    return undefined;
  }
}

const boundTo = (header: Uint8Array, at: StorageKey): Buffer =>
  Buffer.concat([header, Buffer.from(JSON.stringify(at))]);

function checksum(bytes: Uint8Array): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum;
}
