/**
 * Where rooms have records: room key to shard indexes. In memory, rebuilt from the documents and kept by their
 * changes (PROTOCOL O5), so that a room that moved is found in every place where it ever stood.
 */
export class RoomIndex {
  readonly #shards = new Map<string, readonly number[]>();

  add(roomKey: string, shard: number): void {
    const known = this.#shards.get(roomKey);
    if (known === undefined) this.#shards.set(roomKey, [shard]);
    else if (!known.includes(shard))
      this.#shards.set(
        roomKey,
        [...known, shard].sort((a, b) => a - b),
      );
  }

  shardsOf(roomKey: string): readonly number[] {
    return this.#shards.get(roomKey) ?? [];
  }

  rooms(): Iterable<string> {
    return this.#shards.keys();
  }
}
