/** Deeper than anything of ours; a decoder that calls itself for each level ends at some thousands. */
const deepest = 64;

const major = { bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;

/**
 * Throws unless `data` is one CBOR value as our encoder writes them: of definite length, not too deep, nothing
 * missing, without tags. What tags bring is read in ways that nobody bounds: a big number of a megabyte keeps cbor-x
 * busy for minutes, a definition of records stays with its decoder, a reference to a value around it makes a circle.
 */
export function assertPlainCbor(data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  /** How many values are still to come on each level. */
  const open: number[] = [1];
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    open[level]! -= 1;
    const first = view.getUint8(at);
    at += 1;
    const kind = first >> 5;
    const length = first & 31;
    if (length > 27 || kind === major.tag) throw new RangeError('CBOR that nobody of ours writes');
    const bytes = length < 24 ? 0 : 2 ** (length - 24);
    const count = bytes === 0 ? length : uint(view, at, bytes);
    at += bytes;
    if (kind === major.bytes || kind === major.text) at += count;
    else if (kind === major.array || kind === major.map) {
      open.push(kind === major.map ? 2 * count : count);
      if (open.length > deepest) throw new RangeError('CBOR that is too deep');
    }
    // Each value takes a byte at least, so that a count beyond the end is no array that anybody should make room for.
    if (at + (open.at(-1) ?? 0) > data.length) throw new RangeError('CBOR that ends too early');
  }
  if (at !== data.length) throw new RangeError('CBOR with something after it');
}

function uint(view: DataView, at: number, bytes: number): number {
  switch (bytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at);
    case 4:
      return view.getUint32(at);
    default:
      return Number(view.getBigUint64(at));
  }
}
