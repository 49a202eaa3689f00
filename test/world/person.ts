import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureUsers } from '../../src/dev/synapse.js';
import { MatrixRefusal, matrixCall, v3, type Call, type TimelineEvent } from './matrix-http.js';

/** Where a person's requests go, and how new people are made there. */
export interface HomeserverAccess {
  url: string;
  serverName: string;
  registrationSecret: string;
}

interface Sent {
  event_id: string;
}

interface SyncAnswer {
  next_batch: string;
  rooms?: {
    invite?: Record<string, unknown>;
    join?: Record<string, { timeline?: { limited?: boolean; events?: TimelineEvent[] } }>;
  };
}

const RETRY_DEADLINE_MS = 60_000;

/**
 * Somebody at a Matrix client: plain requests to the homeserver, none of the product's code. Whatever can be tried
 * again safely is, through outages and rate limits, so that a person never sends one message twice.
 */
export class Person {
  private constructor(
    readonly homeserver: HomeserverAccess,
    readonly userId: string,
    readonly password: string,
    readonly token: string,
    readonly deviceId: string,
  ) {}

  /** Makes a user with a name of its own, which `suits` takes, and signs in. */
  static async register(
    homeserver: HomeserverAccess,
    name: string,
    suits: (mxid: string) => boolean = () => true,
  ): Promise<Person> {
    let localpart: string;
    do localpart = `${name}-${randomUUID().slice(0, 8)}`;
    while (!suits(`@${localpart}:${homeserver.serverName}`));
    const password = randomUUID();
    const [made] = await ensureUsers(homeserver.url, homeserver.registrationSecret, [
      { name: localpart, password },
    ]);
    if (!made) throw new Error(`The user ${localpart} was there already`);
    return new Person(homeserver, made.user_id, password, made.access_token, made.device_id);
  }

  /** Signs in once more, on a device of its own or on `deviceId`. */
  static async login(
    homeserver: HomeserverAccess,
    userId: string,
    password: string,
    deviceId?: string,
  ): Promise<Person> {
    const identifier = { type: 'm.id.user', user: userId };
    const body = { type: 'm.login.password', identifier, password, ...(deviceId && { device_id: deviceId }) };
    const made = await matrixCall<{ user_id: string; access_token: string; device_id: string }>(
      homeserver.url,
      'POST',
      v3('login'),
      { body },
    );
    return new Person(homeserver, made.user_id, password, made.access_token, made.device_id);
  }

  get localpart(): string {
    return this.userId.slice(1).split(':')[0] ?? '';
  }

  /** One request as this person, tried once. */
  call<Answer = object>(method: string, path: string, call: Call = {}): Promise<Answer> {
    return matrixCall<Answer>(this.homeserver.url, method, path, { token: this.token, ...call });
  }

  /** A request that may be made twice: tried again through outages and rate limits, for a minute. */
  private async safely<Answer = object>(method: string, path: string, call: Call = {}): Promise<Answer> {
    const until = performance.now() + RETRY_DEADLINE_MS;
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      try {
        return await this.call<Answer>(method, path, { deadlineMs: 20_000, ...call });
      } catch (error) {
        if (error instanceof MatrixRefusal && error.status < 500 && error.status !== 429) throw error;
        if (call.signal?.aborted || performance.now() > until) throw error;
        await pause(error instanceof MatrixRefusal ? (error.retryAfterMs ?? wait) : wait);
      }
    }
  }

  /** A direct chat, unless told otherwise. */
  async createRoom(
    options: { name?: string; invite?: string[]; encrypted?: boolean; direct?: boolean } = {},
  ): Promise<string> {
    const { name, invite = [], encrypted = false, direct = true } = options;
    const encryption = {
      type: 'm.room.encryption',
      state_key: '',
      content: { algorithm: 'm.megolm.v1.aes-sha2' },
    };
    const body = {
      preset: 'private_chat',
      is_direct: direct,
      invite,
      ...(name && { name }),
      ...(encrypted && { initial_state: [encryption] }),
    };
    return (await this.call<{ room_id: string }>('POST', v3('createRoom'), { body })).room_id;
  }

  async invite(room: string, userId: string): Promise<void> {
    await this.call('POST', v3('rooms', room, 'invite'), { body: { user_id: userId } });
  }

  async kick(room: string, userId: string): Promise<void> {
    await this.call('POST', v3('rooms', room, 'kick'), { body: { user_id: userId } });
  }

  async join(room: string): Promise<void> {
    await this.safely('POST', v3('join', room), { body: {} });
  }

  async leave(room: string): Promise<void> {
    await this.safely('POST', v3('rooms', room, 'leave'), { body: {} });
  }

  /** Sends an event under one transaction id however often it is tried, and resolves to its event id. */
  async send(room: string, type: string, content: object): Promise<string> {
    const path = v3('rooms', room, 'send', type, randomUUID());
    return (await this.safely<Sent>('PUT', path, { body: content })).event_id;
  }

  /** Puts a file on the homeserver; resolves to its mxc URI. */
  async upload(bytes: Uint8Array, type: string): Promise<string> {
    const target = new URL('/_matrix/media/v3/upload', this.homeserver.url);
    const answer = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': type, authorization: `Bearer ${this.token}` },
      body: bytes as Uint8Array<ArrayBuffer>,
      signal: AbortSignal.timeout(60_000),
    });
    if (!answer.ok) throw new MatrixRefusal(answer.status, 'upload', await answer.text());
    return ((await answer.json()) as { content_uri: string }).content_uri;
  }

  say(room: string, text: string): Promise<string> {
    return this.send(room, 'm.room.message', { msgtype: 'm.text', body: text });
  }

  edit(room: string, event: string, text: string): Promise<string> {
    return this.send(room, 'm.room.message', {
      msgtype: 'm.text',
      body: `* ${text}`,
      'm.new_content': { msgtype: 'm.text', body: text },
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    });
  }

  react(room: string, event: string, key: string): Promise<string> {
    return this.send(room, 'm.reaction', {
      'm.relates_to': { rel_type: 'm.annotation', event_id: event, key },
    });
  }

  async redact(room: string, event: string): Promise<string> {
    return (await this.safely<Sent>('PUT', v3('rooms', room, 'redact', event, randomUUID()), { body: {} }))
      .event_id;
  }

  async joinedRooms(): Promise<string[]> {
    return (await this.safely<{ joined_rooms: string[] }>('GET', v3('joined_rooms'))).joined_rooms;
  }

  async members(room: string): Promise<string[]> {
    return Object.keys(
      (await this.safely<{ joined: object }>('GET', v3('rooms', room, 'joined_members'))).joined,
    );
  }

  state(room: string): Promise<TimelineEvent[]> {
    return this.safely('GET', v3('rooms', room, 'state'));
  }

  /**
   * One `/sync`. Synapse keeps its answer for two minutes and gives it to whoever asks the same again, so a nonce in
   * the filter makes each request unlike any before.
   */
  sync(
    options: { since?: string; timeoutMs?: number; rooms?: string[]; signal?: AbortSignal } = {},
  ): Promise<SyncAnswer> {
    const { since, timeoutMs = 0, rooms, signal } = options;
    const filter = {
      presence: { not_types: ['*'] },
      room: {
        ...(rooms && { rooms }),
        timeline: { limit: 100, not_senders: [`@${randomUUID()}:nonce.invalid`] },
      },
    };
    return this.safely('GET', v3('sync'), {
      query: { timeout: timeoutMs, filter: JSON.stringify(filter), ...(since && { since }) },
      deadlineMs: timeoutMs + 20_000,
      ...(signal && { signal }),
    });
  }

  /** Rooms that this person is invited to and has not entered. */
  async invitations(): Promise<string[]> {
    return Object.keys((await this.sync()).rooms?.invite ?? {});
  }

  /** Every event of a room that this person may see, oldest first. */
  async history(room: string): Promise<TimelineEvent[]> {
    const events: TimelineEvent[] = [];
    let from: string | undefined;
    do {
      const query: Record<string, string | number> = { dir: 'b', limit: 500, ...(from && { from }) };
      const page = await this.safely<{ chunk: TimelineEvent[]; end?: string }>(
        'GET',
        v3('rooms', room, 'messages'),
        { query },
      );
      events.push(...page.chunk);
      from = page.end;
    } while (from);
    return events.toReversed();
  }

  /**
   * Reads the room until `look` finds something in its history, waking up with every new event. Rejects after
   * `deadlineMs` with `what` and the end of the room.
   */
  async until<Found>(
    room: string,
    what: string | (() => string),
    look: (history: TimelineEvent[]) => Found | undefined | false,
    deadlineMs = 120_000,
  ): Promise<Found> {
    const until = performance.now() + deadlineMs;
    let since: string = (await this.sync({ rooms: [room] })).next_batch;
    for (;;) {
      const history = await this.history(room);
      const found = look(history);
      if (found !== undefined && found !== false) return found;
      const left = until - performance.now();
      if (left <= 0)
        throw new Error(
          `Not seen within ${deadlineMs} ms in ${room}: ${typeof what === 'string' ? what : what()}\n${lastOf(history)}`,
        );
      since = (await this.sync({ since, rooms: [room], timeoutMs: Math.ceil(Math.min(left, 5000)) }))
        .next_batch;
    }
  }

  /** The same for a condition outside of one room: asked again after every change that this person sees. */
  async eventually<Found>(
    what: string,
    look: () => Promise<Found | undefined | false>,
    deadlineMs = 120_000,
  ): Promise<Found> {
    const until = performance.now() + deadlineMs;
    let since: string = (await this.sync()).next_batch;
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      const left = until - performance.now();
      if (left <= 0) throw new Error(`Not so within ${deadlineMs} ms: ${what}`);
      since = (await this.sync({ since, timeoutMs: Math.ceil(Math.min(left, 1000)) })).next_batch;
    }
  }
}

const lastOf = (history: TimelineEvent[]) =>
  history
    .slice(-12)
    .map((event) => `  ${event.sender} ${event.type} ${JSON.stringify(event.content).slice(0, 200)}`)
    .join('\n');
