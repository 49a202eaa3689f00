import { parseActorKey, splitActorKey } from '../documents/actor-key.js';
import { keysOf, readRecord, type Document } from '../documents/document.js';
import { DocumentError, type CountMalformed } from '../documents/errors.js';
import type { DocumentKind } from '../documents/ids.js';
import { joinAll } from '../documents/merge/join.js';
import { raised } from '../documents/migrations/lens.js';
import { productSchemas, type Schemas } from '../documents/migrations/schemas.js';
import { personIn, shardIndex } from '../documents/placement.js';
import type { FieldMap } from '../documents/record.js';
import { assertKey, kinds, ruleOf, tableOf, type Kind } from '../documents/schemas/kinds.js';
import type { ErasedPlaces } from './erasure/erased-places.js';
import { placeIn, remains } from './erasure/remains.js';
import { RoomIndex } from './room-index.js';

/** The documents that are open: all of the cluster’s, or those of a folder. */
export interface DocumentSource {
  document(kind: DocumentKind, index: number): Document | undefined;
}

const ROOM = kinds.room.prefix;
const MAX_SHARDS = 4096;

/**
 * Records over all documents: which document a record is in, and its versions joined. A record may stand in
 * several shards (a room of `routing` that got a person, or two foundings with different numbers of shards);
 * reading joins them. What `actors` documents hold stays where it is (docs/decisions/0009).
 */
export class Records {
  readonly rooms = new RoomIndex();
  #shards = { placing: 1, opened: 1 };
  #lastShard = { key: '', placing: 0, index: 0 };

  constructor(
    private readonly source: DocumentSource,
    private readonly count: CountMalformed,
    private readonly schemas: Schemas = productSchemas,
    /** What of persons was forgotten does not show, wherever it still stands. */
    readonly forgotten?: ErasedPlaces,
  ) {}

  /** Shards by which records are placed, and shards that may hold some; read again when `cluster` changed. */
  get shards(): { placing: number; opened: number } {
    return this.#shards;
  }

  /** Takes the numbers of shards from the cluster’s record, or `otherwise` while it has none. */
  readShards(otherwise: number): { placing: number; opened: number } {
    const record = this.joined('cluster', kinds.cluster.only);
    const number = (field: string): number | undefined => {
      const value = record?.get(field)?.value;
      const valid = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SHARDS;
      return valid ? value : undefined;
    };
    const placing = number('shards') ?? otherwise;
    this.#shards = { placing, opened: Math.max(placing, number('shards_opened') ?? placing) };
    return this.#shards;
  }

  /** Takes up the rooms of a shard that was just opened. */
  indexRooms(shard: number): void {
    const document = this.source.document('routing', shard);
    if (document === undefined) return;
    for (const key of keysOf(document, 'room', this.count)) this.rooms.add(key, shard);
  }

  /**
   * As this release reads it, whatever schema it stands in (docs/decisions/0015).
   *
   * @throws {DocumentError} `bad-key`.
   */
  joined(kind: Kind, key: string): FieldMap | undefined {
    const stored = this.stored(kind, key);
    const record = stored && raised(kind, stored, this.schemas);
    return this.forgotten === undefined ? record : remains(kind, key, record, this.forgotten);
  }

  /** As it stands in the documents. */
  stored(kind: Kind, key: string): FieldMap | undefined {
    assertKey(kind, key);
    const versions: FieldMap[] = [];
    for (const shard of this.#placesOf(kind, key)) {
      const document = this.source.document(tableOf(kind).document, shard);
      const version = document && readRecord(document, kind, key, this.count);
      if (version !== undefined) versions.push(version);
    }
    return joinAll(versions, ruleOf(kind));
  }

  /** The keys of all records of a kind, each once. */
  *keys(kind: Kind): Iterable<string> {
    for (const key of this.storedKeys(kind)) if (!this.#isForgotten(kind, key)) yield key;
  }

  #isForgotten(kind: Kind, key: string): boolean {
    if (this.forgotten === undefined || this.forgotten.none) return false;
    const place = placeIn(kind, key);
    if (place === undefined || (kind !== 'room' && this.forgotten.of(place) === undefined)) return false;
    return this.joined(kind, key) === undefined;
  }

  /** As {@link keys}, with what was forgotten and still stands. */
  *storedKeys(kind: Kind): Iterable<string> {
    const table = tableOf(kind);
    if (kind === 'room') {
      yield* this.rooms.rooms();
      return;
    }
    const seen = new Set<string>();
    for (const shard of this.#allOf(table.document)) {
      const document = this.source.document(table.document, shard);
      for (const key of document === undefined ? [] : keysOf(document, kind, this.count)) {
        if (seen.has(key)) continue;
        seen.add(key);
        yield key;
      }
    }
  }

  /** The one shard index that a record is written at; `room` gives the record of a room, as it will be. */
  homeOf(kind: Kind, key: string, room: (roomKey: string) => FieldMap | undefined): number {
    const name = key.slice(tableOf(kind).prefix.length);
    switch (tableOf(kind).placement) {
      case 'cluster':
        return 0;
      case 'person':
        return this.#shardOf(personIn(name));
      case 'room':
        return this.#homeOfRoom(name, room);
      case 'with-room':
        return this.#shardOf(roomIn(name));
      case 'with-actor':
        return this.#shardOf(placeOfActor(name));
      case 'by-time':
        throw new DocumentError(
          'invalid-write',
          'entries of keyed stores are written by openKeyedStore() alone',
        );
    }
  }

  /**
   * Shard whose owner answers in a room (PROTOCOL O5): of the room's person, else of the room itself, and with no
   * record yet, or no room, of `sender`. One replica has all that a person does at once, wherever its records stand.
   */
  shardOf(room: string | undefined, sender: string): number {
    if (room === undefined) return this.#shardOf(sender);
    const known = this.joined('room', ROOM + room);
    return known === undefined ? this.#shardOf(sender) : this.#homeOfRoom(room, () => known);
  }

  /** Shard whose owner carries out what an actor owes: who answers in its room has its events first. */
  turnShardOf(actor: string): number {
    const place = placeOfActor(actor);
    return this.shardOf(place.startsWith('!') ? place : undefined, place);
  }

  /** The shard in which an actor stands, for ever. */
  shardOfActor(actor: string): number {
    return this.#shardOf(placeOfActor(actor));
  }

  /** Two foundings apart had different numbers of shards: a record may stand at either place. */
  get mixed(): boolean {
    return this.#shards.opened !== this.#shards.placing;
  }

  /** Every shard that may hold records of an actor. */
  shardsOfActor(actor: string): number[] {
    return [...this.#placesOf('actor', kinds.actor.prefix + actor)];
  }

  #homeOfRoom(room: string, record: (roomKey: string) => FieldMap | undefined): number {
    const person = record(ROOM + room)?.get('matrix_user_id')?.value;
    return this.#shardOf(typeof person === 'string' ? person : room);
  }

  /** The last one is kept: an actor's events are read one after the other, and the digest is most of finding them. */
  #shardOf(key: string): number {
    const { placing } = this.#shards;
    const last = this.#lastShard;
    if (last.key === key && last.placing === placing) return last.index;
    const index = shardIndex(key, placing);
    this.#lastShard = { key, placing, index };
    return index;
  }

  /** Everywhere a record may stand. */
  #placesOf(kind: Kind, key: string): Iterable<number> {
    const name = key.slice(tableOf(kind).prefix.length);
    const { placement, document } = tableOf(kind);
    if (placement === 'cluster') return [0];
    if (placement === 'by-time') return [];
    if (placement === 'room') return this.rooms.shardsOf(key);
    // What was placed by the other number stays in sight.
    if (this.mixed) return this.#allOf(document);
    if (placement === 'person') return [this.#shardOf(personIn(name))];
    return [this.#shardOf(placement === 'with-actor' ? placeOfActor(name) : roomIn(name))];
  }

  #allOf(document: DocumentKind): Iterable<number> {
    return document === 'cluster' ? [0] : Array.from({ length: this.#shards.opened }, (_, index) => index);
  }
}

/** The person, room or other thing that an actor belongs to; what is no actor key is its own place. */
function placeOfActor(name: string): string {
  const { actor } = splitActorKey(name) ?? { actor: name };
  return parseActorKey(actor)?.place ?? actor;
}

/** The room id that begins a key: all of it, or up to the space before an event id. */
function roomIn(name: string): string {
  const space = name.indexOf(' ');
  return space < 0 ? name : name.slice(0, space);
}
