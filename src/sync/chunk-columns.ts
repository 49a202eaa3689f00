import { inflateRawSync } from 'node:zlib';
import { ByteReader } from './byte-reader.js';

const magic = [0x85, 0x6f, 0x4a, 0x83];
const chunkKinds = { document: 0, change: 1, compressedChange: 2 } as const;
/** In a column's specification: its bytes are deflated. */
const deflatedBit = 8;

/** One column of a chunk, inflated. */
export interface Column {
  /** The three bits that say how its values are written. */
  kind: number;
  data: Uint8Array;
}

/** Inflates within what is left to it; throws when that is not enough. */
export class Inflater {
  constructor(private left: number) {}

  inflate(part: Uint8Array): Uint8Array {
    if (part.length === 0) return part;
    const whole = inflateRawSync(part, { maxOutputLength: Math.max(1, this.left) });
    this.left -= whole.length;
    return whole;
  }
}

/**
 * The columns of each chunk of Automerge's binary format (documents and changes, one after another; see its
 * "binary document format"). Throws on what is not of the format, and on what inflates too far.
 */
export function* columnsOfChunks(bytes: Uint8Array, inflater: Inflater): Generator<Column[]> {
  const reader = new ByteReader(bytes);
  while (!reader.atEnd) {
    if (magic.some((byte) => reader.byte() !== byte)) throw new RangeError('no chunk');
    reader.bytes(4);
    const kind = reader.byte();
    const body = reader.bytes(reader.count());
    if (kind === chunkKinds.document) yield* ofDocument(new ByteReader(body), inflater);
    else if (kind === chunkKinds.change) yield ofChange(new ByteReader(body), inflater);
    else if (kind === chunkKinds.compressedChange) {
      yield ofChange(new ByteReader(inflater.inflate(body)), inflater);
    } else throw new RangeError('a kind of chunk that is not known');
  }
}

/** Those of its changes, and those of its operations. */
function* ofDocument(reader: ByteReader, inflater: Inflater): Generator<Column[]> {
  for (let actors = reader.count(); actors > 0; actors -= 1) reader.bytes(reader.count());
  reader.bytes(32 * reader.count());
  const [changes, operations] = [listed(reader), listed(reader)];
  yield columns(changes, reader, inflater);
  yield columns(operations, reader, inflater);
}

function ofChange(reader: ByteReader, inflater: Inflater): Column[] {
  reader.bytes(32 * reader.count());
  reader.bytes(reader.count());
  reader.count();
  reader.count();
  reader.signed();
  reader.bytes(reader.count());
  for (let actors = reader.count(); actors > 0; actors -= 1) reader.bytes(reader.count());
  return columns(listed(reader), reader, inflater);
}

function columns(
  list: { specification: number; length: number }[],
  reader: ByteReader,
  inflater: Inflater,
): Column[] {
  return list.map(({ specification, length }) => {
    const data = reader.bytes(length);
    const isDeflated = (specification & deflatedBit) !== 0;
    return { kind: specification & 7, data: isDeflated ? inflater.inflate(data) : data };
  });
}

function listed(reader: ByteReader): { specification: number; length: number }[] {
  const list = [];
  for (let count = reader.count(); count > 0; count -= 1) {
    list.push({ specification: reader.count(), length: reader.count() });
  }
  return list;
}
