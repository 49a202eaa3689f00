import { randomUUID } from 'node:crypto';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import * as answers from './answers.js';
import type { Homeserver, RoomEvent } from './homeserver.js';
import { pathOf } from './path.js';
import { downloadMedia } from './media.js';
import { isClosedToUs } from './refusal.js';
import { syncFilter } from './sync-filter.js';
import { type ApiRequest, openApi } from './transport.js';

export interface HomeserverOptions {
  /** Base URL, such as `https://matrix.example.org`. */
  url: string;
  accessToken: string;
  log: Log;
  clock: Clock;
  /** Milliseconds that one request may take (a long poll: beyond its own timeout). */
  deadlineMs: number;
  /** Counts malformed items that were dropped from an answer. */
  onDropped?: (count: number) => void;
}

/** A first /sync over many rooms takes a homeserver long to put together. */
const firstSyncMs = 180_000;
const pageSize = 100;

/**
 * The homeserver over HTTP, through matrix-bot-sdk. Opening asks nothing; the first call does.
 * Answers are parsed leniently: a malformed event in a list is dropped, counted and logged, an answer that is
 * no Matrix answer at all is `unreachable`.
 */
export function openHomeserver(options: HomeserverOptions): Homeserver {
  const { log, clock, deadlineMs } = options;
  const api = openApi(options.url, options.accessToken, clock);
  const onDropped = (count: number) => {
    options.onDropped?.(count);
    log.warn({ count }, 'dropped malformed items of a homeserver answer');
  };
  const nonces = nonceSource();

  type Extra = Partial<Pick<ApiRequest, 'query' | 'body' | 'signal' | 'deadlineMs'>>;
  const call = async <T>(
    method: ApiRequest['method'],
    path: readonly string[],
    parse: (body: unknown) => T,
    extra: Extra = {},
  ) => api({ deadlineMs, ...extra, method, path: `/_matrix/client/v3${pathOf(path)}` }, parse);
  const nothing = () => undefined;
  const eventId = (body: unknown) => answers.eventIdBody.parse(body).event_id;

  const whoami = (signal?: AbortSignal) =>
    call('GET', ['account', 'whoami'], (body) => answers.whoamiBody.parse(body), { signal });
  let self: string | undefined;
  const ownUser = async (signal?: AbortSignal) => (self ??= (await whoami(signal)).user_id);
  const ownData = async (type: string, signal?: AbortSignal) => [
    'user',
    await ownUser(signal),
    'account_data',
    type,
  ];
  const roomState = (room: string, signal?: AbortSignal) =>
    call('GET', ['rooms', room, 'state'], (body) => answers.parseEvents(body, onDropped), { signal });

  return {
    whoami,

    sync: async ({ since, timeoutMs, signal }) =>
      call('GET', ['sync'], (body) => answers.parseSync(body, onDropped), {
        query: { since, timeout: timeoutMs, filter: syncFilter(await ownUser(signal), nonces()) },
        deadlineMs: timeoutMs + (since === undefined ? Math.max(firstSyncMs, deadlineMs) : deadlineMs),
        signal,
      }),

    messages: (room, { from, to, dir, limit = pageSize }, signal) =>
      call('GET', ['rooms', room, 'messages'], (body) => answers.parseMessages(body, onDropped), {
        query: { from, to, dir, limit },
        signal,
      }),

    thread: async (room, root, { from }, signal) =>
      api(
        {
          method: 'GET',
          path: `/_matrix/client/v1${pathOf(['rooms', room, 'relations', root, 'm.thread'])}`,
          query: { dir: 'b', from, limit: pageSize },
          deadlineMs,
          signal,
        },
        (body) => answers.parseRelations(body, onDropped),
      ),

    context: (room, event, signal) =>
      call(
        'GET',
        ['rooms', room, 'context', event],
        (body) => {
          const { event: found, end } = answers.contextBody.parse(body);
          return { event: found, after: end };
        },
        { query: { limit: 0 }, signal },
      ),

    event: (room, event, signal) =>
      call('GET', ['rooms', room, 'event', event], answers.parseEvent, { signal }),

    send: (room, type, txn, content, signal) =>
      call('PUT', ['rooms', room, 'send', type, txn], eventId, {
        body: content,
        signal,
      }),

    redact: (room, event, txn, reason, signal) =>
      call('PUT', ['rooms', room, 'redact', event, txn], eventId, {
        body: reason === undefined ? {} : { reason },
        signal,
      }),

    roomState,

    stateEvent: async (room, type, key, signal) => {
      const query = { format: 'event' };
      const path = ['rooms', room, 'state', type, key];
      const body = await call('GET', path, answers.parseContent, { query, signal }).catch(absent);
      if (body === undefined) return undefined;
      const is = (event: RoomEvent | undefined) => event?.type === type && event.state_key === key;
      const event = answers.eventOf(body);
      // Homeservers before Matrix 1.16 need not know `format`, and give the content. One that looks like an event was
      // written by somebody who did not know the room's id yet, where it is a create event's.
      return is(event) && body['room_id'] === room ? event : (await roomState(room, signal)).find(is);
    },

    setState: (room, type, key, content, signal) =>
      call('PUT', ['rooms', room, 'state', type, key], eventId, {
        body: content,
        signal,
      }),

    createRoom: (body, signal) =>
      call('POST', ['createRoom'], (answer) => answers.roomIdBody.parse(answer).room_id, { body, signal }),

    resolveAlias: (alias, signal) =>
      call('GET', ['directory', 'room', alias], (body) => answers.roomIdBody.parse(body).room_id, {
        signal,
      }).catch(absent),

    stateContent: (room, type, key, signal) =>
      call('GET', ['rooms', room, 'state', type, key], answers.parseContent, { signal }).catch(absent),

    // `server_name` is what homeservers before Matrix 1.12 read.
    join: (room, via = [], signal) =>
      call('POST', ['join', room], nothing, { query: { via, server_name: via }, body: {}, signal }),
    leave: (room, signal) => call('POST', ['rooms', room, 'leave'], nothing, { body: {}, signal }),
    forget: (room, signal) => call('POST', ['rooms', room, 'forget'], nothing, { body: {}, signal }),
    invite: (room, user, signal) =>
      call('POST', ['rooms', room, 'invite'], nothing, { body: { user_id: user }, signal }),
    joinedRooms: (signal) =>
      call('GET', ['joined_rooms'], (body) => answers.joinedRoomsBody.parse(body).joined_rooms, { signal }),

    accountData: async (type, signal) =>
      call('GET', await ownData(type, signal), answers.parseContent, { signal }).catch(absent),
    setAccountData: async (type, content, signal) =>
      call('PUT', await ownData(type, signal), nothing, { body: content, signal }),

    media: (address, { most, deadlineMs: withinMs }, signal) =>
      downloadMedia(options, { address, most, deadlineMs: withinMs, signal }),

    typing: async (room, on, timeoutMs, signal) => {
      const user = await ownUser(signal);
      await call('PUT', ['rooms', room, 'typing', user], nothing, {
        body: on ? { typing: true, timeout: timeoutMs } : { typing: false },
        signal,
      });
    },

    readReceipt: (room, event, signal) =>
      call('POST', ['rooms', room, 'receipt', 'm.read', event], nothing, {
        body: {},
        signal,
      }),
  };
}

/** A 404 says that there is none, unless its errcode says something else (an endpoint that a proxy does not know). */
function absent(error: unknown): undefined {
  if (isClosedToUs(error) && error.detail.status === 404) return;
  throw error;
}

/** Unlike any other process's and unlike any before (PROTOCOL D5). */
function nonceSource(): () => string {
  const prefix = randomUUID();
  let count = 0;
  return () => `${prefix}-${++count}`;
}
