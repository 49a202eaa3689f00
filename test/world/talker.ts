import { randomBytes } from 'node:crypto';
import type { ExpectedAnswer } from './judge.js';
import { Person, type HomeserverAccess } from './person.js';

/** A picture of one pixel; readers stop at its end, so what follows can be anything. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);
/** So large that pictures which stay in a replica show: with one before every fifth prompt, 20 kB a prompt. */
const PICTURE_BYTES = 100_000;
/** Somebody with one room and one agent, in whose every word stands a text that nobody else says. */
export class Talker {
  /** In each prompt, file name and file of this person. */
  readonly secret: string;
  /** Bodies of the prompts, in their order. */
  readonly prompts: string[] = [];
  /** What the bot owes this person. */
  readonly answers: ExpectedAnswer[] = [];
  /** Event ids of the pictures. */
  readonly pictures: string[] = [];
  readonly #open = new Set<string>();
  #since: string | undefined;

  private constructor(
    readonly person: Person,
    readonly bot: string,
    readonly room: string,
    readonly agent: string,
  ) {
    this.secret = `${person.localpart.split('-')[0]}x${randomBytes(8).toString('hex')}`;
  }

  /** Somebody new, in a room with the bot, which is told to be that agent there. */
  static async enter(
    homeserver: HomeserverAccess,
    name: string,
    bot: string,
    agent: string,
  ): Promise<Talker> {
    const person = await Person.register(homeserver, name);
    const room = await person.createRoom({ invite: [bot] });
    const talker = new Talker(person, bot, room, agent);
    await person.eventually('the bot joins', async () => (await person.members(room)).includes(bot));
    await talker.#ask(`!agent ${agent}`, { token: `(${agent})` });
    await talker.answered();
    return talker;
  }

  /** Says `count` things, every `pictureEvery`th after a picture, with at most `open` of them unanswered at a time. */
  async talk(count: number, { open, pictureEvery }: { open: number; pictureEvery: number }): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      if (this.prompts.length % pictureEvery === 0) await this.#picture();
      const number = this.prompts.length + 1;
      const body = `number ${number} of ${this.secret}`;
      this.prompts.push(body);
      // The agent counts the prompts of its context: one that is lost, doubled or another room's breaks the count.
      const begins = `${this.agent} #${number}: ${body}`;
      await this.#ask(body, { token: body, text: ([part = '']) => part.startsWith(begins) });
      await this.answered(open - 1);
    }
    await this.answered();
  }

  /** Waits until at most `open` of what was asked is without an answer. */
  async answered(open = 0, deadlineMs = 180_000): Promise<void> {
    const until = performance.now() + deadlineMs;
    while (this.#open.size > open) {
      if (performance.now() > until)
        throw new Error(`no answer within ${deadlineMs} ms to ${[...this.#open].join(', ')} in ${this.room}`);
      await this.#look();
    }
  }

  async #ask(body: string, want: Pick<ExpectedAnswer, 'token' | 'text'>): Promise<void> {
    const prompt = await this.person.say(this.room, body);
    this.answers.push({ room: this.room, prompt, ...want });
    this.#open.add(prompt);
  }

  /** One that the next prompt may be about: an `m.image` with a file of its own on the homeserver. */
  async #picture(): Promise<void> {
    const number = this.pictures.length + 1;
    const bytes = Buffer.concat([PIXEL, Buffer.alloc(PICTURE_BYTES, `picture ${number} of ${this.secret} `)]);
    const url = await this.person.upload(bytes, 'image/png');
    const content = {
      msgtype: 'm.image',
      body: `picture ${number} of ${this.secret}.png`,
      url,
      info: { mimetype: 'image/png', size: bytes.length, w: 1, h: 1 },
    };
    this.pictures.push(await this.person.send(this.room, 'm.room.message', content));
  }

  /** What came since the last look, after at most a second. */
  async #look(): Promise<void> {
    const since = this.#since;
    const options = { rooms: [this.room], timeoutMs: 1000, ...(since !== undefined && { since }) };
    const { next_batch, rooms } = await this.person.sync(options);
    this.#since = next_batch;
    const seen = rooms?.join?.[this.room]?.timeline;
    const events = seen?.limited ? await this.person.history(this.room) : (seen?.events ?? []);
    for (const { sender, content } of events) {
      const to = content['m.relates_to']?.['m.in_reply_to']?.event_id;
      if (sender === this.bot && to !== undefined) this.#open.delete(to);
    }
  }
}
