import { shardIndex } from '../../../src/documents/placement.js';
import { rendezvousOrder } from '../../../src/routing/rendezvous.js';
import type { Cluster } from '../../world/cluster.js';
import { Conversation } from '../../world/conversation.js';
import { records } from '../../world/inside.js';
import { Person } from '../../world/person.js';

/** The shards of a test's cluster. */
const SHARDS = 8;

/** Somebody with a space and a first chat, who says one command at a time. */
export class Performer extends Conversation {
  private constructor(
    readonly world: Cluster,
    person: Person,
    readonly space: string,
    readonly chat: string,
    private readonly dm: string,
  ) {
    super(world.bot, person);
    this.messages.push({ room: dm, text: /^Hello! Your chat with me is here/ });
  }

  get person(): Person {
    return this.alice;
  }

  override async dispose(): Promise<void> {}

  /** One whose commands `owner` begins, as long as it lives (PROTOCOL O3, O5). */
  static async meet(world: Cluster, owner: string): Promise<Performer> {
    const names = world.replicas.map(({ name }) => name);
    const suits = (mxid: string) => rendezvousOrder(shardIndex(mxid, SHARDS), names)[0] === owner;
    const person = await Person.register(world.homeserver, 'carol', suits);
    const dm = await person.createRoom({ invite: [world.bot.userId] });
    const line = await person.until(dm, 'the line that points to the chat', (history) =>
      history.find(({ sender, type }) => sender === world.bot.userId && type === 'm.room.message'),
    );
    const chat = roomIn(String(line.content.body));
    const [space = ''] = (await person.invitations()).filter((room) => room !== chat);
    await Promise.all([person.join(chat), person.join(space)]);
    return new Performer(world, person, space, chat, dm);
  }

  /** Something to remember under a name: the first prompt of the first chat's context. */
  async learnsOfTomatoes(): Promise<void> {
    await this.ask(this.chat, undefined, { text: (token) => `drill #1: say ${token}` });
    await this.tell(this.chat, '!save tomatoes', 'Saved as “tomatoes”');
  }

  /** Every room of theirs with the bot in it, by the documents. */
  async rooms(): Promise<string[]> {
    const chats = await records(this.world.replica(0), `chat:${this.person.userId}/`);
    return [this.dm, this.space, ...chats.map(({ fields }) => fields['room_id']?.value as string)];
  }

  /** Says a command and waits for its answer. */
  async tell(room: string, command: string, token: string): Promise<string> {
    const answer = await this.command(room, command, token);
    await this.answered();
    return this.answerTo(answer);
  }

  /** A new chat of theirs, entered. */
  async another(): Promise<string> {
    const room = roomIn(await this.tell(this.chat, '!new', 'Made C'));
    await this.person.join(room);
    return room;
  }
}

const roomIn = (text: string): string => decodeURIComponent(/matrix\.to\/#\/([^?]+)/.exec(text)?.[1] ?? '');
