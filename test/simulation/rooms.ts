import {
  type CreateRoom,
  HomeserverError,
  type RoomEvent,
  type SyncAnswer,
} from '../../src/matrix/homeserver.js';
import { SYNC_STATE_TYPES } from '../../src/matrix/sync-filter.js';
import type { Clock } from '../../src/time/clock.js';
import { type Limit, RateLimit } from './rate-limit.js';
import { Faults, type Match, type Hold, type Refused, type Stage, type SimulatedRequest } from './faults.js';
import { forbidden, notFound, SimulatedRoom, type Stored } from './room.js';

export interface Device {
  user: string;
  device: string;
}

const READ = new Set<string>(SYNC_STATE_TYPES);
/** Events on a page of a thread. */
const THREAD_PAGE = 100;

/** The homeserver's own side: rooms, aliases, transaction ids, and what each device may see of them. */
export class SimulatedRooms {
  readonly serverName = 'sim.test';
  readonly clock: Clock;
  /** Most events of one room in a /sync answer. */
  timelineLimit: number;
  readonly faults = new Faults();
  /** Which rooms it encrypts unasked; `invite`: those made with a private preset. */
  encrypted: Encrypted = 'off';
  /** Rooms that this server is not in, to the server that is. */
  readonly elsewhere = new Map<string, string>();
  /** Every request that arrived, also those that were refused or lost. */
  readonly requests: SimulatedRequest[] = [];
  readonly #rooms = new Map<string, SimulatedRoom>();
  readonly #aliases = new Map<string, string>();
  readonly #transactions = new Map<string, string>();
  readonly #watchers = new Set<() => void>();
  readonly #accountData = new Map<string, Record<string, unknown>>();
  readonly #media = new Map<string, Buffer>();
  #position = 0;
  #ids = 0;

  constructor({ clock, timelineLimit = 100 }: { clock: Clock; timelineLimit?: number }) {
    this.clock = clock;
    this.timelineLimit = timelineLimit;
  }

  hold(match: Match, stage: Stage): Hold {
    return this.faults.hold(match, stage);
  }

  refuse(match: Match, status: Refused, times = 1, retryAfterMs?: number): void {
    this.faults.refuse(match, status, times, retryAfterMs);
  }

  /** From now on this account may send so much. */
  limit(user: string, limit: Limit): RateLimit {
    const made = new RateLimit(user, limit, this.clock);
    this.faults.limits.push(made);
    return made;
  }

  /** A day passes: no transaction id is known any more. */
  forgetTransactions(): void {
    this.#transactions.clear();
  }

  /** A room's whole timeline as the homeserver has it, for judging. */
  history(room: string): RoomEvent[] {
    return this.room(room).timeline.map((stored) => structuredClone(this.#seen(stored)));
  }

  /** As an administrator deletes a room: nothing of it is left, its aliases are free. */
  purge(room: string): void {
    this.#rooms.delete(room);
    for (const [alias, of] of this.#aliases) if (of === room) this.#aliases.delete(alias);
  }

  get rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  room(id: string): SimulatedRoom {
    const room = this.#rooms.get(id);
    if (!room) throw notFound(id);
    return room;
  }

  /** Puts a file into the media repository; its `mxc` URI. */
  upload(bytes: string): string {
    const id = `media${++this.#ids}`;
    this.#media.set(id, Buffer.from(bytes));
    return `mxc://${this.serverName}/${id}`;
  }

  download(server: string, mediaId: string, most: number): Uint8Array {
    const bytes = server === this.serverName ? this.#media.get(mediaId) : undefined;
    if (bytes === undefined) throw notFound(mediaId);
    if (bytes.length > most)
      throw new HomeserverError('refused', 'simulated 413 M_TOO_LARGE', {
        status: 413,
        errcode: 'M_TOO_LARGE',
      });
    return new Uint8Array(bytes);
  }

  onChange(handle: () => void): () => void {
    this.#watchers.add(handle);
    return () => void this.#watchers.delete(handle);
  }

  /** Undefined when there is nothing to tell. */
  syncAnswer({ user, device }: Device, since: number | undefined): { answer: SyncAnswer; news: boolean } {
    const answer: SyncAnswer = { next_batch: token(this.#position), joined: [], invited: [], left: [] };
    for (const room of this.#rooms.values()) {
      const own = room.stateEvent('m.room.member', user);
      const membership = room.membership(user);
      const isNew = own !== undefined && own.position > (since ?? 0);
      if (membership === 'join') {
        const joined = this.#joinedRoom(room, { user, device }, since);
        if (joined) answer.joined.push(joined);
      } else if (membership === 'invite' && isNew) {
        answer.invited.push({ room: room.id, state: strippedState(room, user) });
      } else if (membership === 'leave' && isNew && since !== undefined && !room.forgotten.has(user)) {
        const isMember = room.timeline.some(
          ({ event }) => event.state_key === user && event.content['membership'] === 'join',
        );
        const stored = isMember ? room.between(user, since).slice(-this.timelineLimit) : [own];
        answer.left.push({ room: room.id, timeline: stored.map((one) => this.#seen(one, { user, device })) });
      }
    }
    return { answer, news: answer.joined.length + answer.invited.length + answer.left.length > 0 };
  }

  #joinedRoom(
    room: SimulatedRoom,
    viewer: Device,
    since: number | undefined,
  ): SyncAnswer['joined'][0] | undefined {
    const lastOwn = (upTo: number) =>
      room.timeline.findLast(
        ({ position, event }) =>
          position <= upTo && event.type === 'm.room.member' && event.state_key === viewer.user,
      );
    const isNew = since === undefined || lastOwn(since)?.event.content['membership'] !== 'join';
    const events = room.between(viewer.user, isNew ? 0 : since);
    if (events.length === 0) return undefined;
    const timeline = events.slice(-this.timelineLimit);
    const limited = timeline.length < events.length || (isNew && since !== undefined);
    const first = timeline[0]?.position ?? this.#position;
    const state = room
      .stateBefore(first, isNew ? 0 : since)
      // As the real client asks for.
      .filter(({ event }) => event.sender === viewer.user && READ.has(event.type));
    return {
      room: room.id,
      limited,
      prevBatch: token(first - 1),
      timeline: timeline.map((one) => this.#seen(one, viewer)),
      state: state.map((one) => this.#seen(one, viewer)),
    };
  }

  messages(
    viewer: Device,
    roomId: string,
    page: { from?: string; to?: string; dir: 'f' | 'b'; limit?: number },
  ) {
    const room = this.room(roomId);
    const limit = Math.min(page.limit ?? 10, 1000);
    const from = page.from === undefined ? (page.dir === 'f' ? 0 : this.#position) : positionOf(page.from);
    const to = page.to === undefined ? undefined : positionOf(page.to);
    const all =
      page.dir === 'f'
        ? room.between(viewer.user, from, to)
        : room.between(viewer.user, to ?? 0, from).reverse();
    const chunk = all.slice(0, limit);
    const last = chunk.at(-1);
    // Like Synapse: only an empty page is known to be the last.
    const end = last && token(page.dir === 'f' ? last.position : last.position - 1);
    return { chunk: chunk.map((one) => this.#seen(one, viewer)), ...(end === undefined ? {} : { end }) };
  }

  context(viewer: Device, roomId: string, eventId: string): { event: RoomEvent; after: string } {
    const stored = this.#visible(viewer, roomId, eventId);
    return { event: this.#seen(stored, viewer), after: token(stored.position) };
  }

  event(viewer: Device, roomId: string, eventId: string): RoomEvent {
    return this.#withEdit(roomId, this.#seen(this.#visible(viewer, roomId, eventId), viewer));
  }

  thread(viewer: Device, roomId: string, root: string, { from }: { from?: string }) {
    this.#visible(viewer, roomId, root);
    const before = from === undefined ? Infinity : positionOf(from);
    const all = this.room(roomId)
      .timeline.filter(({ position, event: { content } }) => {
        const relation = content['m.relates_to'] as { rel_type?: string; event_id?: string } | undefined;
        return position < before && relation?.rel_type === 'm.thread' && relation.event_id === root;
      })
      .reverse();
    const chunk = all.slice(0, THREAD_PAGE);
    const last = chunk.at(-1);
    const end = all.length > chunk.length && last && token(last.position);
    return { chunk: chunk.map((one) => this.#seen(one, viewer)), ...(end ? { end } : {}) };
  }

  /** Like Synapse: the newest edit that stands, by the same sender, whole. */
  #withEdit(roomId: string, found: RoomEvent): RoomEvent {
    if (found.unsigned?.['redacted_because'] !== undefined) return found;
    const edits = this.room(roomId).timeline.filter(({ event }) => {
      const relation = event.content['m.relates_to'] as { rel_type?: string; event_id?: string } | undefined;
      const isEdit = relation?.rel_type === 'm.replace' && relation.event_id === found.event_id;
      return isEdit && event.sender === found.sender && event.type === found.type;
    });
    const newest = edits.reduce<RoomEvent | undefined>((best, { event }) => {
      const isNewer = best === undefined || event.origin_server_ts >= best.origin_server_ts;
      return isNewer ? event : best;
    }, undefined);
    if (newest === undefined) return found;
    return { ...found, unsigned: { ...found.unsigned, 'm.relations': { 'm.replace': newest } } };
  }

  roomState(viewer: Device, roomId: string): RoomEvent[] {
    const room = this.room(roomId);
    return room.stateBefore(room.visibleTo(viewer.user) + 1).map((one) => this.#seen(one, viewer));
  }

  stateContent({ user }: Device, roomId: string, type: string, key: string) {
    const room = this.room(roomId);
    if (room.membership(user) !== 'join') throw forbidden('not in the room');
    return room.stateEvent(type, key)?.event.content;
  }

  stateEvent(viewer: Device, roomId: string, type: string, key: string): RoomEvent | undefined {
    const room = this.room(roomId);
    if (room.membership(viewer.user) !== 'join') throw forbidden('not in the room');
    const found = room.stateEvent(type, key);
    return found && this.#seen(found, viewer);
  }

  accountData({ user }: Device, type: string): Record<string, unknown> | undefined {
    return this.#accountData.get(`${user} ${type}`);
  }

  setAccountData({ user }: Device, type: string, content: Record<string, unknown>): void {
    this.#accountData.set(`${user} ${type}`, structuredClone(content));
  }

  send(from: Device, roomId: string, type: string, txn: string, content: object): string {
    return this.#once(from, roomId, txn, () => {
      const room = this.room(roomId);
      room.authorise(from.user, type, false);
      if (type === 'm.reaction') room.mayAnnotate(from.user, content as RoomEvent['content']);
      return this.#append(room, from, { type, content }, txn);
    });
  }

  redact(from: Device, roomId: string, eventId: string, txn: string, reason?: string): string {
    return this.#once(from, roomId, txn, () => {
      const room = this.room(roomId);
      room.authorise(from.user, 'm.room.redaction', false);
      const target = room.find(eventId);
      if (target && target.event.sender !== from.user && room.power(from.user) < room.powerFor('redact')) {
        throw forbidden('redacting what others wrote');
      }
      const content = { redacts: eventId, ...(reason === undefined ? {} : { reason }) };
      const id = this.#append(room, from, { type: 'm.room.redaction', content, redacts: eventId }, txn);
      const by = room.find(id);
      if (by) room.redact(eventId, by.event);
      return id;
    });
  }

  setState(from: Device, roomId: string, type: string, key: string, content: object): string {
    const room = this.room(roomId);
    // Whoever is in a room may say anew how they are called there.
    const isOwn = type === 'm.room.member' && key === from.user && room.membership(key) === 'join';
    if (!isOwn) room.authorise(from.user, type, true);
    const now = room.stateEvent(type, key)?.event;
    // A homeserver makes no event of a state that is there already.
    if (now && now.sender === from.user && JSON.stringify(now.content) === JSON.stringify(content))
      return now.event_id;
    return this.#append(room, from, { type, content, state_key: key });
  }

  /** In halves, as a real one: look at the alias; take alias and room; (middle); write the events. */
  async createRoom(from: Device, body: CreateRoom, middle: () => Promise<void>): Promise<string> {
    const alias =
      body.room_alias_name === undefined ? undefined : `#${body.room_alias_name}:${this.serverName}`;
    if (alias !== undefined && this.#aliases.has(alias)) {
      throw new HomeserverError('refused', 'simulated 400 M_ROOM_IN_USE', {
        status: 400,
        errcode: 'M_ROOM_IN_USE',
      });
    }
    await Promise.resolve();
    if (alias !== undefined && this.#aliases.has(alias)) {
      throw new HomeserverError('refused', `simulated 409 M_UNKNOWN (${alias} already exists)`, {
        status: 409,
        errcode: 'M_UNKNOWN',
      });
    }
    const room = new SimulatedRoom(`!${++this.#ids}:${this.serverName}`);
    this.#rooms.set(room.id, room);
    if (alias !== undefined) this.#aliases.set(alias, room.id);
    await middle();
    for (const event of firstEvents(from.user, body, alias, this.encrypted)) this.#append(room, from, event);
    return room.id;
  }

  resolveAlias(alias: string): string | undefined {
    return this.#aliases.get(alias);
  }

  join(from: Device, idOrAlias: string, via: readonly string[] = []): void {
    // A room that this server is not in is joined through one that is.
    const resident = this.elsewhere.get(idOrAlias);
    if (resident !== undefined && !via.includes(resident)) throw notFound(idOrAlias);
    const room = this.room(
      idOrAlias.startsWith('#') ? (this.#aliases.get(idOrAlias) ?? idOrAlias) : idOrAlias,
    );
    const membership = room.membership(from.user);
    if (membership === 'join') return;
    const isPublic = room.stateEvent('m.room.join_rules', '')?.event.content['join_rule'] === 'public';
    if (membership === 'ban' || (membership !== 'invite' && !isPublic)) throw forbidden('not invited');
    this.#member(room, from, from.user, 'join');
  }

  leave(from: Device, roomId: string): void {
    const room = this.room(roomId);
    const membership = room.membership(from.user);
    if (membership === 'leave') return;
    if (membership !== 'join' && membership !== 'invite') throw forbidden('not in the room');
    this.#member(room, from, from.user, 'leave');
  }

  forget(from: Device, roomId: string): void {
    const room = this.room(roomId);
    if (room.membership(from.user) === 'join' || room.membership(from.user) === 'invite') {
      throw new HomeserverError('refused', 'simulated 400 M_UNKNOWN (still in the room)', {
        status: 400,
        errcode: 'M_UNKNOWN',
      });
    }
    room.forgotten.add(from.user);
  }

  invite(from: Device, roomId: string, user: string): void {
    const room = this.room(roomId);
    if (room.membership(from.user) !== 'join') throw forbidden('not in the room');
    if (room.power(from.user) < room.powerFor('invite')) throw forbidden('may not invite');
    const membership = room.membership(user);
    if (membership === 'join' || membership === 'ban') throw forbidden(`${user} is ${membership}`);
    this.#member(room, from, user, 'invite');
  }

  joinedRooms(user: string): string[] {
    return this.rooms.filter((id) => this.room(id).membership(user) === 'join');
  }

  #visible(viewer: Device, roomId: string, eventId: string): Stored {
    const room = this.room(roomId);
    const stored = room.find(eventId);
    if (!stored || stored.position > room.visibleTo(viewer.user)) throw notFound(eventId);
    return stored;
  }

  /** A write-once register per (device, room, transaction id). */
  #once({ user, device }: Device, room: string, txn: string, write: () => string): string {
    const register = JSON.stringify([user, device, room, txn]);
    const known = this.#transactions.get(register);
    if (known !== undefined) return known;
    const id = write();
    this.#transactions.set(register, id);
    return id;
  }

  #member(room: SimulatedRoom, from: Device, user: string, membership: string): void {
    this.#append(room, from, { type: 'm.room.member', state_key: user, content: { membership } });
  }

  #append(room: SimulatedRoom, from: Device, made: MadeEvent, txn?: string): string {
    const { type, content, state_key, redacts } = made;
    const body = structuredClone(content) as Record<string, unknown>;
    if (Buffer.byteLength(JSON.stringify(body)) > 65_000) {
      throw new HomeserverError('refused', 'simulated 413 M_TOO_LARGE', {
        status: 413,
        errcode: 'M_TOO_LARGE',
      });
    }
    const event: RoomEvent = {
      event_id: `$${++this.#ids}`,
      type,
      sender: from.user,
      origin_server_ts: this.clock.now(),
      content: body,
      ...(state_key === undefined ? {} : { state_key }),
      ...(redacts === undefined ? {} : { redacts }),
    };
    const position = ++this.#position;
    room.append({ position, event, ...(txn === undefined ? {} : { device: from.device, txn }) });
    for (const wake of this.#watchers) wake();
    return event.event_id;
  }

  /** An event as a token of `viewer` gets it: only the sending device sees its transaction id. */
  #seen({ event, device, txn, redactedBy }: Stored, viewer?: Device): RoomEvent {
    const isOwn = viewer !== undefined && viewer.user === event.sender && viewer.device === device;
    const unsigned = {
      ...event.unsigned,
      ...(isOwn && txn !== undefined ? { transaction_id: txn } : {}),
      ...(redactedBy === undefined ? {} : { redacted_because: redactedBy }),
    };
    return { ...event, ...(Object.keys(unsigned).length > 0 ? { unsigned } : {}) };
  }
}

interface MadeEvent {
  type: string;
  content: object;
  state_key?: string;
  redacts?: string;
}

const token = (position: number) => `s${position}`;

export function positionOf(sinceOrFrom: string): number {
  const position = /^s(\d+)$/.exec(sinceOrFrom)?.[1];
  if (position === undefined) {
    throw new HomeserverError('refused', 'simulated 400 M_INVALID_PARAM (token)', {
      status: 400,
      errcode: 'M_INVALID_PARAM',
    });
  }
  return Number(position);
}

function strippedState(room: SimulatedRoom, user: string) {
  const kept = new Set([
    'm.room.create',
    'm.room.name',
    'm.room.encryption',
    'm.room.join_rules',
    'm.room.topic',
  ]);
  return room
    .stateBefore(Infinity)
    .map(({ event }) => event)
    .filter(({ type, state_key }) => kept.has(type) || (type === 'm.room.member' && state_key === user))
    .map(({ type, sender, state_key = '', content }) =>
      structuredClone({ type, sender, state_key, content }),
    );
}

type Encrypted = 'off' | 'invite' | 'all';

/** In Synapse's order: what the preset says and `initial_state` does not, then that. */
function firstEvents(
  creator: string,
  body: CreateRoom,
  alias: string | undefined,
  encrypted: Encrypted,
): MadeEvent[] {
  const preset = body.preset ?? (body.visibility === 'public' ? 'public_chat' : 'private_chat');
  const invited = body.invite ?? [];
  const trusted = preset === 'trusted_private_chat' ? invited : [];
  const users = Object.fromEntries([creator, ...trusted].map((user) => [user, 100]));
  const state = (type: string, content: object, state_key = ''): MadeEvent => ({ type, content, state_key });
  const member = (user: string, content: object) => state('m.room.member', content, user);
  const isPublic = preset === 'public_chat';
  const own = new Set((body.initial_state ?? []).map(({ type }) => type));
  const byPreset = (type: string, content: object) => (own.has(type) ? [] : [state(type, content)]);
  const isEncrypted = encrypted === 'all' || (encrypted === 'invite' && !isPublic);
  return [
    state('m.room.create', { room_version: '11', ...body.creation_content }),
    member(creator, { membership: 'join' }),
    state('m.room.power_levels', {
      users,
      users_default: 0,
      events_default: 0,
      state_default: 50,
      redact: 50,
      invite: isPublic ? 50 : 0,
      events: { 'm.room.power_levels': 100, ...(isPublic && { 'm.call.invite': 50 }) },
      ...body.power_level_content_override,
    }),
    ...(alias === undefined ? [] : [state('m.room.canonical_alias', { alias })]),
    ...byPreset('m.room.join_rules', { join_rule: isPublic ? 'public' : 'invite' }),
    ...byPreset('m.room.history_visibility', { history_visibility: 'shared' }),
    ...(body.initial_state ?? []).map(({ type, state_key, content }) => state(type, content, state_key)),
    ...(isEncrypted ? [state('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' })] : []),
    ...(body.name === undefined ? [] : [state('m.room.name', { name: body.name })]),
    ...(body.topic === undefined ? [] : [state('m.room.topic', { topic: body.topic })]),
    ...invited.map((user) =>
      member(user, { membership: 'invite', ...(body.is_direct ? { is_direct: true } : {}) }),
    ),
  ];
}
