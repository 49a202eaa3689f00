import type { Clock } from '../../time/clock.js';
import type { Message, Person } from './person.js';

/** One message of the bot as it stands in the room now, with the edits so far applied. */
export interface Answer {
  room: string;
  event: string;
  /** The event that it answers, when it says so. */
  prompt: string | undefined;
  text: string;
  /** No further edit is to come, as far as the sender says. */
  isFinal: boolean;
  /** A long answer comes in several messages: how many, and which this is, from 1. */
  parts: number;
  part: number;
  replica: string | undefined;
}

/** The whole answer to one prompt. */
export interface Reply {
  text: string;
  replica: string | undefined;
  tookMs: number;
}

/**
 * One person and one bot: follows the bot's messages in all rooms of the person, applies edits, and joins the
 * rooms that the bot invites to.
 */
export class Conversation {
  private readonly answers = new Map<string, Answer>();

  constructor(
    readonly person: Person,
    readonly bot: string,
    private readonly clock: Clock,
  ) {}

  /** Waits up to `waitMs` for something new; resolves to the answers that came or changed, in order. */
  async next(waitMs: number, signal?: AbortSignal): Promise<Answer[]> {
    const { messages, invites } = await this.person.news(waitMs, signal);
    for (const { room, by } of invites) if (by === this.bot) await this.person.join(room, signal);
    const changed = new Set<Answer>();
    for (const message of messages) {
      const answer = message.sender === this.bot ? this.apply(message) : undefined;
      if (answer) changed.add(answer);
    }
    return [...changed];
  }

  /** Says `text` and waits for the whole answer to it; undefined when there is none within `waitMs`. */
  async ask(room: string, text: string, waitMs: number, signal?: AbortSignal): Promise<Reply | undefined> {
    await this.next(0, signal);
    const start = this.clock.monotonic();
    const prompt = await this.person.say(room, text, signal);
    for (let left = waitMs; left > 0; left = waitMs - (this.clock.monotonic() - start)) {
      await this.next(Math.ceil(Math.min(left, 10_000)), signal);
      const whole = this.wholeAnswer(prompt);
      if (whole) return { ...whole, tookMs: Math.round(this.clock.monotonic() - start) };
    }
    return undefined;
  }

  /** All parts of the final answer to a prompt, or undefined while one is missing. */
  private wholeAnswer(prompt: string): Omit<Reply, 'tookMs'> | undefined {
    const parts = [...this.answers.values()]
      .filter((answer) => answer.prompt === prompt && answer.isFinal)
      .sort((a, b) => a.part - b.part);
    const first = parts[0];
    if (!first || parts.length < first.parts) return undefined;
    return { text: parts.map(({ text }) => text).join('\n'), replica: first.replica };
  }

  private apply(message: Message): Answer | undefined {
    const known = message.replaces === undefined ? undefined : this.answers.get(message.replaces);
    if (message.replaces !== undefined && !known) return undefined;
    const answer: Answer = known ?? {
      room: message.room,
      event: message.event,
      prompt: message.inReplyTo ?? message.mark?.source,
      text: '',
      isFinal: false,
      parts: 1,
      part: 1,
      replica: undefined,
    };
    answer.text = message.text;
    // A bot that marks nothing has said its last word with its first.
    answer.isFinal = message.mark?.final ?? message.replaces === undefined;
    answer.parts = message.mark?.text?.parts ?? answer.parts;
    answer.part = message.mark?.text?.part ?? answer.part;
    answer.replica = message.mark?.replica;
    this.answers.set(answer.event, answer);
    return answer;
  }
}
