import { ByteReader } from './byte-reader.js';
import { columnsOfChunks, Inflater, type Column } from './chunk-columns.js';

/** How the values of a column are written, by the kind in its specification. */
const kinds = { group: 0, delta: 3, boolean: 4, text: 5, valueLength: 6, raw: 7 } as const;

/** What the changes of one message may unfold to. */
export interface UnfoldLimits {
  /** Bytes, deflated columns inflated. */
  inflatedBytes: number;
  /** Operations and changes, whatever they are written in; what Automerge makes of one takes about 300 bytes for a while. */
  rows: number;
  /** Bytes of texts, each as often as it stands there. */
  textBytes: number;
}

/** Documents of hundreds of thousands of records fit. */
const most: UnfoldLimits = {
  inflatedBytes: 128 * 1024 * 1024,
  rows: 2_000_000,
  textBytes: 128 * 1024 * 1024,
};

/** A few bytes may unfold to so much, and each byte of a message to so much more: what people write comes nowhere near. */
export function limitsFor(bytes: number): UnfoldLimits {
  return {
    inflatedBytes: most.inflatedBytes,
    rows: Math.min(most.rows, 100_000 + 32 * bytes),
    textBytes: Math.min(most.textBytes, 16 * 1024 * 1024 + 64 * bytes),
  };
}

/**
 * The rows that the changes of a sync message unfold to, when all stay within `limits`; undefined when they do not,
 * and for what is no chunk of Automerge's format. Automerge inflates without any bound, and takes a run of a billion
 * equal operations in five bytes for as many operations: a frame of sixty bytes costs gigabytes, which it gives
 * back never, and minutes, in which nobody else is heard.
 */
export function unfoldedRows(changes: readonly Uint8Array[], limits: UnfoldLimits): number | undefined {
  const inflater = new Inflater(limits.inflatedBytes);
  let [rows, textBytes] = [0, 0];
  try {
    for (const change of changes) {
      for (const columns of columnsOfChunks(change, inflater)) {
        const sizes = columns.map((column) => sizeOf(column, limits));
        // The rows of a group stand for others, each of which is one all the same.
        rows += sizes.reduce((longest, size) => Math.max(longest, size.rows), 0);
        textBytes += sizes.reduce((sum, size) => sum + size.bytes, 0);
        if (rows > limits.rows || textBytes > limits.textBytes) return undefined;
      }
    }
  } catch {
    // Too large, or not of the format: to Automerge neither should go.
    return undefined;
  }
  return rows;
}

interface Size {
  rows: number;
  bytes: number;
}

/** Throws once it is beyond the limits: a column of a long message is not read to its end. */
function sizeOf({ kind, data }: Column, limits: UnfoldLimits): Size {
  const size: Size = { rows: 0, bytes: 0 };
  if (kind === kinds.raw) return size;
  const reader = new ByteReader(data);
  const add = (count: number, value: Size): void => {
    size.rows += count * value.rows;
    size.bytes += count * value.bytes;
    if (!(size.rows <= limits.rows && size.bytes <= limits.textBytes)) throw new RangeError('too much');
  };
  while (!reader.atEnd) {
    if (kind === kinds.boolean) {
      add(reader.count(), plain);
      continue;
    }
    const count = reader.signed();
    if (count > 0) add(count, value(kind, reader));
    else if (count === 0) add(reader.count(), plain);
    else for (let left = -count; left > 0; left -= 1) add(1, value(kind, reader));
  }
  return size;
}

const plain: Size = { rows: 1, bytes: 0 };

/** What the next value of a column stands for. */
function value(kind: number, reader: ByteReader): Size {
  switch (kind) {
    case kinds.group:
      return { rows: Math.max(1, reader.count()), bytes: 0 };
    case kinds.text: {
      const bytes = reader.count();
      reader.bytes(bytes);
      return { rows: 1, bytes };
    }
    case kinds.valueLength:
      // The four lowest bits say of which type the value is.
      return { rows: 1, bytes: Math.floor(reader.count() / 16) };
    case kinds.delta:
      reader.signed();
      return plain;
    default:
      reader.count();
      return plain;
  }
}
