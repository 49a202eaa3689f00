/** Bytes and LEB128 numbers, in order; throws a RangeError past the end. */
export class ByteReader {
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

  /** An unsigned number; above 2^53 only about it. */
  count(): number {
    return this.#number(0);
  }

  /** A signed one. */
  signed(): number {
    return this.#number(64);
  }

  #number(signBit: number): number {
    let value = 0;
    for (let factor = 1, n = 0; n < 10; factor *= 128, n += 1) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return (byte & signBit) === 0 ? value : value - factor * 128;
    }
    throw new RangeError('a number without end');
  }
}
