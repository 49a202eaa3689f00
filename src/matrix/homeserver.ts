/**
 * What the bot needs of a homeserver: the Matrix client-server API, narrowed. `client.ts` implements it over
 * matrix-bot-sdk; tests implement it in memory. Every call rejects with {@link HomeserverError} and nothing else.
 */
export interface Homeserver {
  /** `GET /account/whoami`. */
  whoami(signal?: AbortSignal): Promise<{ user_id: string; device_id: string }>;
  /**
   * `GET /sync`. Every request is made unlike any before (a nonce in its inline filter), because Synapse
   * repeats a stored answer for two minutes to every token of the device (PROTOCOL D5).
   */
  sync(request: { since?: string; timeoutMs: number; signal?: AbortSignal }): Promise<SyncAnswer>;
  /** `GET /rooms/{room}/messages`, one page, in the order of `dir`. `end` is absent on the last page. */
  messages(
    room: string,
    page: { from?: string; to?: string; dir: 'f' | 'b'; limit?: number },
    signal?: AbortSignal,
  ): Promise<{ chunk: RoomEvent[]; end?: string }>;
  /** `GET /rooms/{room}/relations/{root}/m.thread`, one page, newest first. `end` is absent on the last page. */
  thread(
    room: string,
    root: string,
    page: { from?: string },
    signal?: AbortSignal,
  ): Promise<{ chunk: RoomEvent[]; end?: string }>;
  /** `GET /rooms/{room}/context/{event}?limit=0`: the event and the token just after it, for reading on from it. */
  context(room: string, event: string, signal?: AbortSignal): Promise<{ event: RoomEvent; after: string }>;
  /** `GET /rooms/{room}/event/{event}`. */
  event(room: string, event: string, signal?: AbortSignal): Promise<RoomEvent>;
  /** `PUT /rooms/{room}/send/{type}/{txn}`: a write-once register per (device, txn). Resolves to the event id. */
  send(room: string, type: string, txn: string, content: object, signal?: AbortSignal): Promise<string>;
  /** `PUT /rooms/{room}/redact/{event}/{txn}`. */
  redact(room: string, event: string, txn: string, reason?: string, signal?: AbortSignal): Promise<string>;
  /** `GET /rooms/{room}/state`, all current state events: for rooms whose state others cannot fill. */
  roomState(room: string, signal?: AbortSignal): Promise<RoomEvent[]>;
  /** `PUT /rooms/{room}/state/{type}/{key}`. */
  setState(room: string, type: string, key: string, content: object, signal?: AbortSignal): Promise<string>;
  /** `GET /rooms/{room}/state/{type}/{key}`: the content of one state event; undefined when there is none. */
  stateContent(
    room: string,
    type: string,
    key: string,
    signal?: AbortSignal,
  ): Promise<Record<string, unknown> | undefined>;
  /** The same, whole (`?format=event`, Matrix 1.16): who wrote it, and when. */
  stateEvent(room: string, type: string, key: string, signal?: AbortSignal): Promise<RoomEvent | undefined>;
  createRoom(body: CreateRoom, signal?: AbortSignal): Promise<string>;
  /** `GET /directory/room/{alias}`; undefined when there is none. */
  resolveAlias(alias: string, signal?: AbortSignal): Promise<string | undefined>;
  /** `POST /join/{room}`; idempotent. `via`: servers to join a room through that our own is not in. */
  join(room: string, via?: readonly string[], signal?: AbortSignal): Promise<void>;
  leave(room: string, signal?: AbortSignal): Promise<void>;
  forget(room: string, signal?: AbortSignal): Promise<void>;
  invite(room: string, user: string, signal?: AbortSignal): Promise<void>;
  joinedRooms(signal?: AbortSignal): Promise<string[]>;
  /** `GET /user/{self}/account_data/{type}`; undefined when there is none. */
  accountData(type: string, signal?: AbortSignal): Promise<Record<string, unknown> | undefined>;
  /** `PUT /user/{self}/account_data/{type}`, whole: the last writer wins, and nothing says who that was. */
  setAccountData(type: string, content: object, signal?: AbortSignal): Promise<void>;
  /**
   * `GET /_matrix/client/v1/media/download/{server}/{mediaId}`, the token in the header. A file of more than `most`
   * bytes is `refused` with status 413, whatever was said of its size. `deadlineMs` is for all of it.
   */
  media(
    address: MediaAddress,
    bounds: { most: number; deadlineMs: number },
    signal?: AbortSignal,
  ): Promise<Uint8Array>;
  typing(room: string, on: boolean, timeoutMs: number, signal?: AbortSignal): Promise<void>;
  readReceipt(room: string, event: string, signal?: AbortSignal): Promise<void>;
}

/** Where a file is: `mxc://{server}/{mediaId}`, both of the characters that the specification allows. */
export interface MediaAddress {
  server: string;
  mediaId: string;
}

/** A client event as the client-server API gives it; parsed leniently, `content` is hostile until looked at. */
export interface RoomEvent {
  event_id: string;
  type: string;
  sender: string;
  origin_server_ts: number;
  state_key?: string;
  content: Record<string, unknown>;
  unsigned?: Record<string, unknown>;
  /** Of an `m.room.redaction`: the event it takes away (room versions before 11; later ones say it in `content`). */
  redacts?: string;
}

/** One /sync answer, reduced to what the bot reads. */
export interface SyncAnswer {
  next_batch: string;
  joined: JoinedRoom[];
  invited: { room: string; state: StrippedState[] }[];
  left: { room: string; timeline: RoomEvent[] }[];
}

export interface JoinedRoom {
  room: string;
  /** The homeserver left events out before `timeline[0]`; `prevBatch` is where they end. */
  limited: boolean;
  prevBatch?: string;
  timeline: RoomEvent[];
  /** State of our own writing that is not in the timeline (initial sync, or changed in the gap). */
  state: RoomEvent[];
}

export interface StrippedState {
  type: string;
  sender: string;
  state_key: string;
  content: Record<string, unknown>;
}

export interface CreateRoom {
  name?: string;
  topic?: string;
  room_alias_name?: string;
  preset?: 'private_chat' | 'trusted_private_chat' | 'public_chat';
  visibility?: 'private' | 'public';
  invite?: string[];
  is_direct?: boolean;
  creation_content?: Record<string, unknown>;
  initial_state?: { type: string; state_key: string; content: object }[];
  power_level_content_override?: Record<string, unknown>;
}

/**
 * - `rate-limited`: 429; wait `retryAfterMs`, try again.
 * - `unreachable`: no answer (refused, reset, deadline, 5xx or a proxy's error page): the request may or may not
 *   have been carried out; try again with the same transaction id.
 * - `refused`: the homeserver answered with a Matrix error (4xx); `errcode` says which.
 * - `aborted`: our own signal ended the request.
 */
export class HomeserverError extends Error {
  constructor(
    readonly code: 'rate-limited' | 'unreachable' | 'refused' | 'aborted',
    message: string,
    readonly detail: { status?: number; errcode?: string; retryAfterMs?: number } = {},
  ) {
    super(message);
    this.name = 'HomeserverError';
  }
}
