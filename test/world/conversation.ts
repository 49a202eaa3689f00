import { randomUUID } from 'node:crypto';
import type { ExpectedAnswer, ExpectedMessage, Case } from './judge.js';
import type { Person } from './person.js';
import { judgeNow, untilAnswered, watchInBackground } from './watch.js';

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
    want: Pick<ExpectedAnswer, 'parts'> & { text?: (token: string) => ExpectedAnswer['text'] } = {},
  ): Promise<ExpectedAnswer> {
    const token = newToken();
    const prompt = await this.alice.say(room, text(token));
    const answerText = want.text?.(token);
    const answer = {
      room,
      prompt,
      token,
      ...(answerText !== undefined && { text: answerText }),
      ...(want.parts && { parts: want.parts }),
    };
    this.answers.push(answer);
    return answer;
  }

  /** Waits until every answer that is owed so far stands. */
  answered(deadlineMs = 30_000): Promise<void> {
    return untilAnswered(this.alice, this.case, deadlineMs);
  }

  /** Everything wrong in any room so far, in words; empty when nothing is. */
  async problems(): Promise<string> {
    return judgeNow(this.alice, { ...this.case, rooms: await this.alice.joinedRooms() });
  }

  /**
   * Waits for the answers that are owed, then goes on watching all rooms behind the next tests and lets go of the bot
   * at the end; the file's `everyRoomIsJudged` reports it. To be called last in a test.
   */
  async watch(name: string, deadlineMs = 30_000): Promise<void> {
    await this.answered(deadlineMs);
    this.#watched = true;
    watchInBackground(
      name,
      () => this.problems(),
      () => this.dispose(),
    );
  }
}
