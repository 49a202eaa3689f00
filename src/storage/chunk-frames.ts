import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';

const MAGIC = Buffer.from([0x85, 0x6f, 0x4a, 0x83]);
const DOCUMENT = 0;
const CHANGE = 1;
const COMPRESSED_CHANGE = 2;
/** No change of ours comes near; a bound keeps a forged length from taking the memory. */
const LARGEST_CHANGE = 256 * 1024 * 1024;

/**
 * Walks a file of Automerge's binary format (magic, 4 bytes of SHA-256, type, LEB128 length, contents; see
 * the Automerge Binary Format specification) and says what is wrong with it, or undefined.
 *
 * Automerge's loader is lenient where we must not be: it takes a file whose later parts are torn, drops them
 * and all that follows, and says nothing.
 */
export function frameFault(file: Uint8Array): string | undefined {
  if (file.length === 0) return 'empty';
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at < bytes.length;) {
    if (!bytes.subarray(at, at + 4).equals(MAGIC)) return `no Automerge data at byte ${at}`;
    const type = bytes[at + 8];
    const length = readLength(bytes, at + 9);
    if (type === undefined || length === undefined || length.end + length.value > bytes.length) {
      return `torn at byte ${at}`;
    }
    const contents = bytes.subarray(length.end, length.end + length.value);
    const sum = bytes.subarray(at + 4, at + 8);
    const fault = contentFault(type, contents, sum);
    if (fault !== undefined) return `${fault} at byte ${at}`;
    at = length.end + length.value;
  }
  return undefined;
}

function contentFault(type: number, contents: Buffer, sum: Buffer): string | undefined {
  if (type === DOCUMENT || type === CHANGE) {
    return hashOf(type, contents).equals(sum) ? undefined : 'wrong checksum';
  }
  if (type !== COMPRESSED_CHANGE) return `unknown part of type ${type}`;
  try {
    // The sum of a compressed change is that of the change before it was compressed.
    const change = inflateRawSync(contents, { maxOutputLength: LARGEST_CHANGE });
    return hashOf(CHANGE, change).equals(sum) ? undefined : 'wrong checksum';
  } catch (error) {
    return `not to be inflated (${error instanceof Error ? error.message : 'unknown error'})`;
  }
}

function hashOf(type: number, contents: Buffer): Buffer {
  const head = [type];
  for (let rest = contents.length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      head.push(rest);
      break;
    }
    head.push((rest % 128) + 128);
  }
  return createHash('sha256').update(Buffer.from(head)).update(contents).digest().subarray(0, 4);
}

function readLength(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start, factor = 1; at < start + 7; at += 1, factor *= 128) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    value += (byte & 127) * factor;
    if (byte < 128) return { value, end: at + 1 };
  }
  return undefined;
}
