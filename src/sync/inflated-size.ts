import { inflateRawSync } from 'node:zlib';

/** Deflate makes nothing smaller than by this factor, so that what is small needs no look inside. */
const greatestRatio = 1_032;

const magic = [0x85, 0x6f, 0x4a, 0x83];
const chunkKinds = { document: 0, change: 1, compressedChange: 2 } as const;
/** In a column's specification: its bytes are deflated. */
const deflatedBit = 8;

/**
 * Whether the changes of a sync message stay within `limit` bytes once they are inflated. Automerge inflates
 * without any bound, before it looks at a checksum, and gives that memory back never: a frame of four megabytes
 * costs two gigabytes. False also for what is no chunk of Automerge's format (its "binary document format").
 */
export function inflatesWithin(changes: readonly Uint8Array[], limit: number): boolean {
  const total = changes.reduce((sum, { length }) => sum + length, 0);
  if (total * greatestRatio <= limit) return true;
  let left = limit;
  try {
    for (const change of changes) {
      for (const part of deflatedParts(new Reader(change))) {
        left -= part.length === 0 ? 0 : inflateRawSync(part, { maxOutputLength: Math.max(1, left) }).length;
      }
    }
  } catch {
    // Too large, or not of the format: to Automerge neither should go.
    return false;
  }
  return true;
}

/** Of one change or document, or of several chunks one after another. */
function deflatedParts(reader: Reader): Uint8Array[] {
  const parts: Uint8Array[] = [];
  while (!reader.atEnd) {
    if (magic.some((byte) => reader.byte() !== byte)) throw new RangeError('no chunk');
    reader.bytes(4);
    const kind = reader.byte();
    const body = reader.bytes(reader.count());
    if (kind === chunkKinds.compressedChange) parts.push(body);
    else if (kind === chunkKinds.document) parts.push(...deflatedColumns(new Reader(body)));
    else if (kind !== chunkKinds.change) throw new RangeError('a kind of chunk that is not known');
  }
  return parts;
}

function deflatedColumns(reader: Reader): Uint8Array[] {
  for (let actors = reader.count(); actors > 0; actors -= 1) reader.bytes(reader.count());
  reader.bytes(32 * reader.count());
  const columns = [...columnsOf(reader), ...columnsOf(reader)];
  return columns.flatMap(({ isDeflated, length }) => {
    const data = reader.bytes(length);
    return isDeflated ? [data] : [];
  });
}

function columnsOf(reader: Reader): { isDeflated: boolean; length: number }[] {
  const columns = [];
  for (let count = reader.count(); count > 0; count -= 1) {
    columns.push({ isDeflated: (reader.count() & deflatedBit) !== 0, length: reader.count() });
  }
  return columns;
}

/** Bytes and LEB128 numbers, in order; throws past the end. */
class Reader {
  #at = 0;

  constructor(private readonly data: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.data.length;
  }

  byte(): number {
    const byte = this.data[this.#at];
    if (byte === undefined) throw new RangeError('past the end');
    this.#at += 1;
    return byte;
  }

  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.data.length) throw new RangeError('past the end');
    const part = this.data.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  count(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 42; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError('a number without end');
  }
}
