import { randomUUID } from 'node:crypto';
import type { ExpectedAnswer, ExpectedMessage, Case } from './judge.js';
import type { Person } from './person.js';
import { seenMessages } from './seen.js';
import { judgeNow, untilAnswered, watchInBackground } from './watch.js';

/** What the bot says unasked, in its own words: in a room that it was invited to, and in the chat that it makes there. */
const invited = /^Hello! Your chat with me is here/;
const greeting = /^Hello! This room is a chat of your own/;

/** A text that stands in one prompt only, for finding its answer. */
const newToken = (): string => `t${randomUUID().slice(0, 13)}`;

/** What people say to a bot in a test, and what it owes them for it. */
export abstract class Conversation {
  readonly answers: ExpectedAnswer[] = [];
  readonly messages: ExpectedMessage[] = [];
  #watched = false;

  constructor(
    readonly bot: Person,
    /** Invites the bot, writes prompts, and is the one through whose eyes the rooms are judged. */
    readonly alice: Person,
  ) {}

  abstract dispose(): Promise<void>;

  /** Whether {@link watch} has taken over. */
  get isWatched(): boolean {
    return this.#watched;
  }

  get case(): Case {
    return { bot: this.bot.userId, answers: this.answers, messages: this.messages };
  }

  /** A room of alice with the bot in it. */
  async room(name?: string): Promise<string> {
    const room = await this.alice.createRoom({ invite: [this.bot.userId], ...(name && { name }) });
    this.messages.push({ room, text: invited });
    await this.botIn(room);
    return room;
  }

  /** A room of somebody else's, in which alice was before the bot came. */
  async roomOf(person: Person): Promise<string> {
    const room = await person.createRoom({ direct: false, invite: [this.alice.userId] });
    await this.alice.join(room);
    this.messages.push({ room, text: invited });
    await person.invite(room, this.bot.userId);
    await this.botIn(room);
    return room;
  }

  /** Waits until the bot is in a room that it was invited to. */
  async botIn(room: string): Promise<void> {
    const look = async () => (await this.alice.members(room)).includes(this.bot.userId);
    await this.alice.eventually(`the bot joins ${room}`, look);
  }

  /** Says something that must be answered once; `text` makes the prompt from its token, `want` says more of the answer. */
  async ask(
    room: string,
    text: (token: string) => string = (token) => `say ${token}`,
    want: Pick<ExpectedAnswer, 'parts' | 'asks'> & { text?: (token: string) => ExpectedAnswer['text'] } = {},
    person = this.alice,
  ): Promise<ExpectedAnswer> {
    const token = newToken();
    const prompt = await person.say(room, text(token));
    const answerText = want.text?.(token);
    const answer = {
      room,
      prompt,
      token,
      ...(answerText !== undefined && { text: answerText }),
      ...(want.parts && { parts: want.parts }),
      ...(want.asks && { asks: want.asks }),
    };
    this.answers.push(answer);
    return answer;
  }

  /** Says something, such as a command, that must be answered once by a text that holds `token`. */
  async command(room: string, text: string, token: string): Promise<ExpectedAnswer> {
    const answer = { room, prompt: await this.alice.say(room, text), token };
    this.answers.push(answer);
    return answer;
  }

  /** The text that a person sees as the answer to a prompt; empty when there is none. */
  async answerTo({ room, prompt }: Pick<ExpectedAnswer, 'room' | 'prompt'>): Promise<string> {
    const seen = seenMessages(await this.alice.history(room));
    return seen
      .filter(({ sender, inReplyTo }) => sender === this.bot.userId && inReplyTo === prompt)
      .map(({ body }) => body)
      .join('');
  }

  /** Waits until every answer and message that is owed so far stands. */
  answered(deadlineMs = 120_000): Promise<void> {
    return untilAnswered(this.alice, this.case, deadlineMs);
  }

  /** Everything wrong so far in any room of alice, who enters those that she was invited to; empty when nothing is. */
  async problems(): Promise<string> {
    for (const room of await this.alice.invitations()) await this.alice.join(room);
    const rooms = await this.alice.joinedRooms();
    const own = new Set(this.messages.map(({ room }) => room));
    const made = rooms.filter((room) => !own.has(room));
    const greetings = made.map((room) => ({ room, text: greeting, times: 'at most once' as const }));
    return judgeNow(this.alice, { ...this.case, messages: [...this.messages, ...greetings], rooms });
  }

  /**
   * Waits for the answers that are owed, then goes on watching all rooms behind the next tests and lets go of the bot
   * at the end; the file's `everyRoomIsJudged` reports it. To be called last in a test.
   */
  async watch(name: string, deadlineMs = 120_000): Promise<void> {
    await this.answered(deadlineMs);
    this.#watched = true;
    watchInBackground(
      name,
      () => this.problems(),
      () => this.dispose(),
    );
  }
}
