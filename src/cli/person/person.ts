import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { sleep, type Clock } from '../../time/clock.js';
import { UserError } from '../user-error.js';
import { Refused, call, logIn, v3, type Call } from './api.js';

const relation = z.object({
  rel_type: z.string().optional(),
  event_id: z.string().optional(),
  'm.in_reply_to': z.object({ event_id: z.string() }).optional(),
});
const mark = z.object({
  source: z.string(),
  final: z.boolean(),
  replica: z.string(),
  text: z.object({ parts: z.number(), part: z.number() }).optional(),
});
const messageContent = z.object({
  body: z.string().catch(''),
  'm.new_content': z.object({ body: z.string() }).optional().catch(undefined),
  'm.relates_to': relation.optional().catch(undefined),
  'dev.understudy.delivery': mark.optional().catch(undefined),
});
const timelineEvent = z.object({
  event_id: z.string(),
  type: z.string(),
  sender: z.string(),
  content: z.record(z.string(), z.unknown()),
});
const syncAnswer = z.object({
  next_batch: z.string(),
  rooms: z
    .object({
      invite: z
        .record(z.string(), z.object({ invite_state: z.object({ events: z.array(z.unknown()) }) }).partial())
        .optional(),
      join: z
        .record(z.string(), z.object({ timeline: z.object({ events: z.array(z.unknown()) }) }).partial())
        .optional(),
    })
    .optional(),
});

/** A message as a person's client shows it. */
export interface Message {
  room: string;
  event: string;
  sender: string;
  text: string;
  /** The event whose text this replaces. */
  replaces: string | undefined;
  /** The event that it answers. */
  inReplyTo: string | undefined;
  /** Whether this is the last word, and who sent it, where the sender says so. */
  mark: z.infer<typeof mark> | undefined;
}

/** One look at what is new. */
export interface News {
  messages: Message[];
  /** Rooms that this person is invited to, with who invites. */
  invites: { room: string; by: string | undefined }[];
}

/** The name of the room in which a person first speaks with the bot from here. */
export const directName = 'Understudy in the terminal';

/** How long a request that can be made again is tried again. */
const patienceMs = 60_000;

/** Somebody at a Matrix client, over plain requests: what `chat` and the proof of `up` speak with. */
export class Person {
  private since: string | undefined;

  private constructor(
    readonly homeserver: string,
    readonly userId: string,
    private readonly token: string,
    private readonly clock: Clock,
  ) {}

  static async logIn(homeserver: string, user: string, password: string, clock: Clock): Promise<Person> {
    const { user_id, access_token } = await logIn(homeserver, user, password);
    return new Person(homeserver, user_id, access_token, clock);
  }

  /** A room of this person and the invited ones, unencrypted. */
  async createRoom(name: string, invite: string[]): Promise<string> {
    const body = { preset: 'trusted_private_chat', is_direct: true, name, invite };
    const made = await this.call(z.object({ room_id: z.string() }), {
      method: 'POST',
      path: v3('createRoom'),
      body,
    });
    return made.room_id;
  }

  async join(room: string, signal?: AbortSignal): Promise<string> {
    const answer = z.object({ room_id: z.string() });
    return (await this.call(answer, { method: 'POST', path: v3('join', room), body: {}, signal })).room_id;
  }

  async joinedRooms(): Promise<string[]> {
    const answer = z.object({ joined_rooms: z.array(z.string()) });
    return (await this.call(answer, { method: 'GET', path: v3('joined_rooms') })).joined_rooms;
  }

  async members(room: string): Promise<string[]> {
    const answer = z.object({ joined: z.record(z.string(), z.unknown()) });
    return Object.keys(
      (await this.call(answer, { method: 'GET', path: v3('rooms', room, 'joined_members') })).joined,
    );
  }

  async roomName(room: string): Promise<string | undefined> {
    try {
      const path = v3('rooms', room, 'state', 'm.room.name');
      return (await this.call(z.object({ name: z.string().optional() }), { method: 'GET', path })).name;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Sends under one transaction id however often it is tried; resolves to the event id. */
  async say(room: string, text: string, signal?: AbortSignal): Promise<string> {
    const path = v3('rooms', room, 'send', 'm.room.message', randomUUID());
    const body = { msgtype: 'm.text', body: text };
    return (await this.call(z.object({ event_id: z.string() }), { method: 'PUT', path, body, signal }))
      .event_id;
  }

  /**
   * What is new since the last look; the first look shows only what comes after it. Waits up to `waitMs`. Each
   * request is unlike any before, since Synapse repeats a stored answer to an equal one for two minutes.
   */
  async news(waitMs: number, signal?: AbortSignal): Promise<News> {
    const isFirst = this.since === undefined;
    const filter = {
      presence: { types: [] },
      account_data: { types: [] },
      room: {
        timeline: { limit: isFirst ? 1 : 100, not_senders: [`@${randomUUID()}:nobody.invalid`] },
        state: { lazy_load_members: true },
        ephemeral: { types: [] },
      },
    };
    const answer = await this.call(syncAnswer, {
      method: 'GET',
      path: v3('sync'),
      query: {
        filter: JSON.stringify(filter),
        timeout: String(isFirst ? 0 : waitMs),
        ...(this.since !== undefined && { since: this.since }),
      },
      deadlineMs: waitMs + 20_000,
      signal,
    });
    this.since = answer.next_batch;
    const joined = isFirst ? [] : Object.entries(answer.rooms?.join ?? {});
    return {
      messages: joined.flatMap(([room, { timeline }]) =>
        (timeline?.events ?? []).flatMap((raw) => message(room, raw)),
      ),
      invites: Object.entries(answer.rooms?.invite ?? {}).map(([room, { invite_state }]) => ({
        room,
        by: (invite_state?.events ?? [])
          .map((raw) => inviter(raw, this.userId))
          .find((by) => by !== undefined),
      })),
    };
  }

  /** Every request here may be made twice, so it is tried again while the homeserver is away or asks to wait. */
  private async call<T>(schema: z.ZodType<T>, request: Call): Promise<T> {
    const until = this.clock.monotonic() + patienceMs;
    for (let pause = 200; ; pause = Math.min(pause * 2, 5_000)) {
      try {
        return await call(this.homeserver, schema, { ...request, token: this.token });
      } catch (error) {
        const isPassing =
          error instanceof Refused ? error.status === 429 || error.status >= 500 : error instanceof UserError;
        if (!isPassing || this.clock.monotonic() > until) throw error;
        await sleep(
          this.clock,
          (error instanceof Refused ? error.retryAfterMs : undefined) ?? pause,
          request.signal ?? undefined,
        );
      }
    }
  }
}

/** A message event, or nothing where the event is of another kind or not well formed. */
function message(room: string, raw: unknown): Message[] {
  const event = timelineEvent.safeParse(raw);
  if (!event.success || event.data.type !== 'm.room.message') return [];
  const content = messageContent.safeParse(event.data.content);
  if (!content.success) return [];
  const {
    body,
    'm.new_content': edited,
    'm.relates_to': related,
    'dev.understudy.delivery': ours,
  } = content.data;
  return [
    {
      room,
      event: event.data.event_id,
      sender: event.data.sender,
      text: edited?.body ?? body,
      replaces: related?.rel_type === 'm.replace' ? related.event_id : undefined,
      inReplyTo: related?.['m.in_reply_to']?.event_id,
      mark: ours,
    },
  ];
}

const membership = z.object({ type: z.literal('m.room.member'), state_key: z.string(), sender: z.string() });

function inviter(raw: unknown, me: string): string | undefined {
  const parsed = membership.safeParse(raw);
  return parsed.success && parsed.data.state_key === me ? parsed.data.sender : undefined;
}
