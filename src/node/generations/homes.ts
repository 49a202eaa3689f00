import { encodeChangeMessage } from '../../documents/change-message.js';
import {
  assertWritable,
  keysOf,
  putRecord,
  readRecord,
  type Document,
  type Touched,
} from '../../documents/document.js';
import { describeDocument } from '../../documents/ids.js';
import { joinRecords } from '../../documents/merge/join.js';
import { encodeRecord, type FieldMap } from '../../documents/record.js';
import { kinds, ruleOf } from '../../documents/schemas/kinds.js';
import { splitActorKey } from '../../documents/actor-key.js';
import { inSlices } from '../../time/slices.js';
import type { Clock } from '../../time/clock.js';
import type { NodeCounters } from '../counters.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { Records } from '../records.js';
import { compareBases } from './base-order.js';
import { digestOf, holdings, homeIn } from './foreign.js';
import { COPIED, type LateRecord } from './late.js';
import type { ActorBases } from './ports.js';
import type { ShardGenerations } from './shard.js';

export interface HomesContext {
  documents: OpenDocuments;
  records: Records;
  bases: Pick<ActorBases, 'absorbedBy'>;
  counters: NodeCounters;
  clock: Clock;
  replica: string;
  epoch: () => number;
  sent: (document: OpenDocument, bytes: Uint8Array) => void;
  shards: () => Iterable<ShardGenerations>;
}

/**
 * Brings together what stands of one actor in several shards: its home moved when its room got a person, or two
 * foundings had different numbers of shards (docs/decisions/0009). Done before a cut, whose fold sees one document.
 */
export class Homes {
  constructor(private readonly context: HomesContext) {}

  /**
   * Before a cut of a shard: copies to it what other shards hold of the actors that are at home there; copies what it
   * holds of others to where they are at home; and then says in its records which those are. Resolves to the documents
   * that got something, when that is on disk.
   */
  async gather(index: number): Promise<OpenDocument[]> {
    const { records, documents, clock, counters } = this.context;
    const own = this.#writable(index);
    if (own === undefined) return [];
    const written = new Set<OpenDocument>();
    const roams = (actor: string): boolean => records.roams(actor);
    for (const other of this.context.shards()) {
      if (other.index === index || other.current === undefined) continue;
      const source = other.current;
      const isHere = (actor: string): boolean => roams(actor) && records.shardOfActor(actor) === index;
      const held = await inSlices(holdings(source.handle.doc(), isHere, counters.countMalformed), clock);
      if (other.current !== source) continue;
      if (this.#writable(index) !== own) return [...written];
      // What came to either meanwhile is looked at again by the next cut, and counts until then as it stands.
      if (this.#copy(source, own, held)) written.add(own);
    }
    const held = await inSlices(holdings(own.handle.doc(), roams, counters.countMalformed), clock);
    if (this.#writable(index) !== own) return [...written];
    const homes: { actor: string; home: number; counted?: string }[] = [];
    for (const [home, moving] of byHome(held, (actor) => records.shardOfActor(actor))) {
      const target = home === index ? undefined : this.#writable(home);
      if (target !== undefined && this.#copy(own, target, moving)) written.add(target);
      for (const [actor, list] of moving) {
        const counted = target && { counted: digestOf(own.handle.doc(), list, counters.countMalformed) };
        homes.push({ actor, home, ...counted });
      }
    }
    await Promise.all([...written].map(({ id }) => documents.saver.flush(id)));
    if (this.#writable(index) !== own) return [...written];
    this.#say(own, homes);
    return [...written];
  }

  /** What each shard is read from now: for {@link isOvertaken}. */
  standing(): ReadonlyMap<number, OpenDocument | undefined> {
    return new Map([...this.context.shards()].map(({ index, current }) => [index, current]));
  }

  /**
   * Whether another shard has gone over meanwhile to a base of an actor that `next` has one of, too. The one in `next`
   * may come to count although it lacks what the other took in, of which the events may be gone from every disk: who
   * has moved has said so.
   */
  isOvertaken(since: ReadonlyMap<number, OpenDocument | undefined>, next: OpenDocument): boolean {
    const { records, counters } = this.context;
    const count = counters.countMalformed;
    for (const { index, current } of this.context.shards()) {
      if (index === next.name.index || current === undefined || current === since.get(index)) continue;
      for (const key of keysOf(current.handle.doc(), 'base', count)) {
        if (!records.roams(key.slice(kinds.base.prefix.length))) continue;
        if (readRecord(next.handle.doc(), 'base', key, count) !== undefined) return true;
      }
    }
    return false;
  }

  #writable(index: number): OpenDocument | undefined {
    for (const shard of this.context.shards()) {
      if (shard.index === index) return shard.writable() === undefined ? shard.current : undefined;
    }
    return undefined;
  }

  /** What the target lacks of these records, in one change; false where it lacks nothing. */
  #copy(source: OpenDocument, target: OpenDocument, held: ReadonlyMap<string, readonly Touched[]>): boolean {
    const lacking = [...held].flatMap(([actor, list]) => this.#lacking(actor, list, source, target));
    if (lacking.length === 0) return false;
    // What waits for a routing record to be on disk must not come there by this way before it (DESIGN §3).
    this.context.documents.saver.holdAs(target.id, source.id);
    this.#write(target, lacking);
    this.context.counters.generations.broughtHome += lacking.length;
    return true;
  }

  #lacking(
    actor: string,
    list: readonly Touched[],
    { handle: source }: OpenDocument,
    { handle: target }: OpenDocument,
  ): LateRecord[] {
    const { records, bases } = this.context;
    const count = this.context.counters.countMalformed;
    const base = records.joined('base', kinds.base.prefix + actor)?.get('base');
    const absorbed = bases.absorbedBy(base?.value);
    const lacking: LateRecord[] = [];
    const add = ({ kind, key }: Touched, record: FieldMap | undefined): void => {
      if (record === undefined) return;
      const standing = readRecord(target.doc(), kind, key, count);
      const joined = standing === undefined ? record : joinRecords(standing, record, ruleOf(kind));
      if (standing === undefined || encodeRecord(standing) !== encodeRecord(joined)) {
        lacking.push({ kind, key, record: joined });
      }
    };
    const baseAt: Touched = { kind: 'base', key: kinds.base.prefix + actor };
    const here = readRecord(target.doc(), 'base', baseAt.key, count)?.get('base');
    if (base !== undefined && (here === undefined || compareBases(here, base) !== 0)) {
      add(baseAt, new Map([['base', { ...base, cause: COPIED }]]));
    }
    for (const at of list) {
      if (at.kind === 'base') continue;
      const record = readRecord(source.doc(), at.kind, at.key, count);
      const id = splitActorKey(at.key.slice(kinds[at.kind].prefix.length))?.id;
      const stamp = record?.get('event')?.stamp;
      if (at.kind === 'event' && id !== undefined && stamp !== undefined && absorbed(id, stamp)) continue;
      add(at, record);
    }
    const stateAt: Touched = { kind: 'actor', key: kinds.actor.prefix + actor };
    if (readRecord(target.doc(), 'actor', stateAt.key, count)?.has('current_state') !== true) {
      const state = readRecord(source.doc(), 'actor', stateAt.key, count)?.get('current_state');
      add(stateAt, state && new Map([['current_state', state]]));
    }
    return lacking;
  }

  /** Says where actors are at home, where the document does not say it so already. */
  #say(own: OpenDocument, homes: readonly { actor: string; home: number; counted?: string }[]): void {
    const document = own.handle.doc();
    const count = this.context.counters.countMalformed;
    const said: LateRecord[] = [];
    for (const { actor, home, counted } of homes) {
      const key = kinds.actor.prefix + actor;
      const before = homeIn(document, key, count);
      if (before === undefined && home === own.name.index) continue;
      if (before?.shard === home && before.counted === counted) continue;
      const stamp = Math.max(Math.floor(this.context.clock.now()), (before?.stamp ?? 0) + 1);
      const value = { shard: home, ...(counted !== undefined && { counted }) };
      const record = new Map(readRecord(document, 'actor', key, count));
      said.push({ kind: 'actor', key, record: record.set('home', { value, stamp, cause: 'cut' }) });
    }
    if (said.length > 0) this.#write(own, said);
  }

  #write(target: OpenDocument, records: readonly LateRecord[]): void {
    const { documents, replica, epoch, sent } = this.context;
    const document: Document = target.handle.doc();
    for (const { kind } of records) assertWritable(document, kind, describeDocument(target.name));
    const message = encodeChangeMessage({ cause: 'home', replica, epoch: epoch() });
    const bytes = documents.change(target, message, [...records], (draft) => {
      for (const { kind, key, record } of records) putRecord(draft, kind, key, record);
    });
    sent(target, bytes);
  }
}

function byHome<T>(
  held: ReadonlyMap<string, T>,
  homeOf: (actor: string) => number,
): Map<number, Map<string, T>> {
  const homes = new Map<number, Map<string, T>>();
  for (const [actor, list] of held) {
    const home = homeOf(actor);
    const there = homes.get(home) ?? new Map<string, T>();
    homes.set(home, there.set(actor, list));
  }
  return homes;
}
