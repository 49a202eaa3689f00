import { Decoder, Encoder } from 'cbor-x';
import { assertPlainCbor } from './cbor-scan.js';

// No records and no tags for byte arrays: what goes over the wire is plain CBOR that any reader understands.
const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

export function encodeCbor(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/** Throws on anything that is not exactly one CBOR value. Byte strings are views into `bytes`, not copies. */
export function decodeCbor(bytes: Uint8Array): unknown {
  assertPlainCbor(bytes);
  return decoder.decode(bytes);
}

/** Undefined for what is not exactly one CBOR value (and for the value undefined). */
export function cborOf(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes);
  } catch {
    return undefined;
  }
}
