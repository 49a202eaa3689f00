import { splitActorKey } from '../../documents/actor-key.js';
import { isNewerSchema } from '../../documents/errors.js';
import type { Touched } from '../../documents/document.js';
import { kindNames, kinds, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import { nodeFiles } from '../../storage/file-layer.js';
import type { Cancel } from '../../time/clock.js';
import type { NodeInside } from '../inside.js';
import { holdsForgotten } from './clean-copy.js';
import { ErasureError } from './errors.js';
import { findOf, type Found } from './found.js';
import { forgottenContexts, type OwedContext } from './owed.js';
import { placeIn } from './remains.js';
import { erasureOfRoom, roomsToForget, sweepRouting } from './routing-sweep.js';
import { forgetSessionLogs } from './session-logs.js';

/** What failed is tried again after so long, milliseconds. */
const AGAIN_MS = 30_000;

/** How far a person is forgotten. */
export interface ErasureStatus {
  /** When they were forgotten last, milliseconds; null for never. */
  forgotten_at: number | null;
  /** Rooms that went with them. */
  rooms: number;
  /** Contexts that are still to be deleted at the platform, and those that were. */
  contexts: { owed: number; deleted: number };
  /** Shards whose actors are still to be cut. */
  shards: number[];
  /** Session log files of this replica that went, since it runs. */
  session_logs: number;
}

/** What the node gives for it, beside what pieces of a node share. */
export interface ErasurePorts {
  inside: NodeInside;
  /** Actors of these records are read anew. */
  reread(records: readonly Touched[]): void;
}

/**
 * Forgets persons (REQUIREMENTS R3, docs/decisions/0017). A record in `cluster` says who is forgotten up to when; from
 * then on nothing older shows here. What follows from it, each replica does by itself, again after a kill, and
 * late when it was off: records leave the routing documents, session logs leave this disk, actors leave at the
 * next cut of their shard.
 */
export class NodeErasure {
  readonly #ports: ErasurePorts;
  #sweeping: Promise<void> | undefined;
  #again = false;
  #retry: Cancel = () => {};
  #closed = false;
  #started = false;
  #sessionLogs = 0;

  constructor(ports: ErasurePorts) {
    this.#ports = ports;
  }

  /** Takes up what the cluster document says, before anything is read from the others. */
  learnAll(): void {
    const { records } = this.#ports.inside;
    for (const key of records.storedKeys('erasure')) this.#learn(key);
  }

  /** Does what is left to do. Resolves when it is done, or was tried. */
  async start(): Promise<void> {
    this.#started = true;
    await this.swept();
  }

  /** Records have changed here. */
  changed(touched: readonly Touched[]): void {
    const { forgotten: places } = this.#ports.inside;
    let isNew = false;
    for (const { kind, key } of touched) if (kind === 'erasure' && this.#learn(key)) isNew = true;
    if (isNew) this.#forgetHere();
    if (places.none || !this.#started) return;
    const routing = touched.some(({ kind }) => tableOf(kind).document === 'routing');
    if (isNew || routing) this.#sweepSoon();
  }

  /** What stands of a person now. */
  find(person: string): Found {
    assertPerson(person);
    const { records, documents, counters } = this.#ports.inside;
    return findOf(person, {
      records,
      source: { document: (kind, index) => documents.named({ kind, index, generation: 0 })?.handle.doc() },
      count: counters.countMalformed,
    });
  }

  /**
   * Forgets a person: resolves when that is durable on this disk, and their records and session logs are gone from
   * it. The same again changes nothing, unless something of them is new.
   *
   * @throws {ErasureError} `bad-user`; what `change` throws.
   */
  async forget(person: string): Promise<Found> {
    const { inside } = this.#ports;
    const { forgotten: places, parts } = inside;
    const found = this.find(person);
    const isNew = found.user || found.rooms.size + found.chats.length + found.actors.size > 0;
    if (isNew || places.of(person) === undefined) {
      const at = Math.floor(parts.clock.now());
      const forgotten = { to: Math.max(at, found.top), at };
      const hash = places.hashOf(person);
      await inside.change(
        [
          { kind: 'erasure', key: kinds.erasure.prefix + hash, fields: forgotten },
          ...[...found.rooms.keys()].map((room) =>
            erasureOfRoom(places, room, person, forgotten, found.contexts.get(room) ?? []),
          ),
        ],
        { id: `forget:${hash}`, ts: at },
      );
    }
    await this.swept();
    return found;
  }

  /** When a person was forgotten last, milliseconds. */
  forgottenAt(person: string): number | undefined {
    return this.#ports.inside.forgotten.of(person)?.at;
  }

  status(person: string): ErasureStatus {
    assertPerson(person);
    const { forgotten: places } = this.#ports.inside;
    const hash = places.hashOf(person);
    let rooms = 0;
    const contexts = { owed: 0, deleted: 0 };
    for (const { of, isOwed } of this.#contexts()) {
      if (of !== hash) continue;
      if (isOwed) contexts.owed += 1;
      else contexts.deleted += 1;
    }
    const { view } = this.#ports.inside;
    for (const [, record] of view.entries('erasure')) if (record['of'] === (hash as unknown)) rooms += 1;
    return {
      forgotten_at: places.of(person)?.at ?? null,
      rooms,
      contexts,
      shards: this.dueShards(),
      session_logs: this.#sessionLogs,
    };
  }

  /** Shards that hold something of anybody who was forgotten. */
  dueShards(): number[] {
    const { records, generations, counters, forgotten: places } = this.#ports.inside;
    if (places.none) return [];
    return Array.from({ length: records.shards.opened }, (_, index) => index).filter((index) => {
      const current = generations?.current(index);
      return current !== undefined && holdsForgotten(current.handle.doc(), places, counters.countMalformed);
    });
  }

  owedContexts(): OwedContext[] {
    return [...this.#contexts()].filter(({ isOwed }) => isOwed);
  }

  /** The platform has deleted it. */
  async contextGone({ place, chat, to }: OwedContext): Promise<void> {
    const { inside } = this.#ports;
    const write = {
      kind: 'erasure',
      key: kinds.erasure.prefix + place,
      fields: { [`gone:${chat}`]: to },
    } as const;
    await inside.change([write], { id: `forget:${place}`, ts: Math.floor(inside.parts.clock.now()) });
  }

  /** Resolves when all that is forgotten now has left the routing documents and session logs of this disk. */
  async swept(): Promise<void> {
    this.#sweepSoon();
    while (this.#sweeping !== undefined) await this.#sweeping;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry();
    await this.#sweeping;
  }

  #contexts(): ReturnType<typeof forgottenContexts> {
    const { view, parts } = this.#ports.inside;
    const erasures = view.entries('erasure') as Iterable<[string, Record<string, unknown>]>;
    return forgottenContexts(erasures, parts.options.clusterId);
  }

  #learn(key: string): boolean {
    const { records, forgotten } = this.#ports.inside;
    const record = records.joined('erasure', key);
    const [to, at] = [record?.get('to')?.value, record?.get('at')?.value];
    if (typeof to !== 'number' || typeof at !== 'number') return false;
    return forgotten.learn(key.slice(kinds.erasure.prefix.length), { to, at });
  }

  /** What showed until now is told as changed, and actors are read anew without it. */
  #forgetHere(): void {
    const { records, forgotten: places } = this.#ports.inside;
    const touched: Touched[] = [];
    for (const kind of kindNames) {
      if (!['routing', 'actors'].includes(tableOf(kind).document)) continue;
      for (const key of records.storedKeys(kind)) {
        const place = placeIn(kind, key);
        if (kind === 'room' || (place !== undefined && places.of(place) !== undefined))
          touched.push({ kind, key });
      }
    }
    this.#ports.reread(touched);
  }

  #sweepSoon(): void {
    if (this.#closed || this.#ports.inside.forgotten.none) return;
    this.#again = true;
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
  }

  async #sweep(): Promise<void> {
    // Not at once: whoever told of a change may stand in the middle of it.
    await Promise.resolve();
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        await this.#sweepOnce();
      } catch (error) {
        const { log, clock } = this.#ports.inside.parts;
        if (isNewerSchema(error)) {
          log.warn(
            { err: error },
            'what is forgotten stays in documents of a newer release: that one removes it',
          );
          return;
        }
        log.error({ err: error }, 'what is forgotten could not be removed: tried again');
        this.#retry();
        this.#retry = clock.after(AGAIN_MS, () => this.#sweepSoon());
        return;
      }
    }
  }

  async #sweepOnce(): Promise<void> {
    const { inside } = this.#ports;
    const { forgotten: places, parts, counters } = inside;
    const rooms = roomsToForget(inside);
    const named = new Set(rooms.map(({ key }) => key));
    if (rooms.length > 0) await inside.change(rooms, { id: 'forgotten', ts: Math.floor(parts.clock.now()) });
    const isNamed = (room: string): boolean =>
      named.has(kinds.erasure.prefix + places.hashOf(room)) || places.of(room) !== undefined;
    const swept = await sweepRouting(inside, isNamed);
    const sessions = this.#sessions();
    const logs = await forgetSessionLogs(parts.options.dataDir, nodeFiles, places, sessions);
    this.#sessionLogs += logs;
    if (swept + logs === 0) return;
    counters.forgotten.records += swept;
    counters.forgotten.sessionLogs += logs;
    parts.log.info({ records: swept, sessionLogs: logs }, 'what is forgotten was removed here');
  }

  /** Tasks that stand in the documents, also those that are forgotten: their logs may have names that say nothing. */
  *#sessions(): Iterable<string> {
    const { records } = this.#ports.inside;
    for (const kind of ['event', 'base', 'actor'] as const satisfies readonly Kind[]) {
      for (const key of records.storedKeys(kind)) {
        const name = key.slice(kinds[kind].prefix.length);
        const actor = kind === 'event' ? splitActorKey(name)?.actor : name;
        if (actor?.startsWith('run/') === true) yield actor.slice('run/'.length);
      }
    }
  }
}

function assertPerson(person: string): void {
  if (/^@[^:\s]{1,200}:\S{1,255}$/u.test(person)) return;
  throw new ErasureError(
    'bad-user',
    `${JSON.stringify(person)} is no Matrix id of a person, as in @alice:example.org`,
  );
}
