import { parseMessages, parseSync } from '../../src/matrix/answers.js';
import { HomeserverError, type RoomEvent, type SyncAnswer } from '../../src/matrix/homeserver.js';
import type { SimulatedPerson } from '../simulation/person.js';
import type { Random } from '../simulation/random.js';
import { World } from '../simulation/world.js';
import { HostileEvents, isFile, isOwedAnAnswer, type HostileEvent } from '../world/hostile-events.js';
import { seenMessages } from '../world/seen.js';

/** What somebody made up and the homeserver took. */
interface Taken extends HostileEvent {
  id: string;
  room: string;
  sender: SimulatedPerson;
}

const GREETINGS = [/^Hello! This room is a chat of your own/, /^Hello! Your chat with me is here/];
const ENCRYPTED = /^This room is encrypted and I cannot read it/;
const GENUINE = 'honestly';

/**
 * Three people who may talk to the bot, each in a room of their own, one group in which it answers those who address it, and
 * mallory, who may not talk to it and is in all of them. Whatever the homeserver says goes through the real parser, with
 * items in it that no homeserver should say.
 */
export class HostileWorld {
  readonly taken: Taken[] = [];
  readonly genuine: { room: string; id: string; body: string; files: boolean }[] = [];
  refused = 0;
  dropped = 0;
  planted = 0;
  readonly #made: HostileEvents;
  readonly #mallory: SimulatedPerson;
  #isForeign = false;
  #txn = 0;

  private constructor(
    readonly world: World,
    private readonly random: Random,
    private readonly own: { person: SimulatedPerson; room: string }[],
    private readonly group: string,
  ) {
    this.#mallory = world.person('mallory');
    this.#made = new HostileEvents(random, () => ({
      events: this.#aims(),
      people: [...world.people.values()].map(({ mxid }) => mxid),
      rooms: [this.group, ...own.map(({ room }) => room)],
      bot: world.bot,
    }));
  }

  static async open(random: Random): Promise<HostileWorld> {
    const world = new World(2);
    const people = ['alice', 'bob', 'carol'].map((name) => world.person(name));
    const mallory = world.person('mallory');
    const own = [];
    for (const person of people) {
      const room = await world.plainRoom(person);
      await person.client.invite(room, mallory.mxid);
      await mallory.client.join(room);
      own.push({ person, room });
    }
    const [alice] = people as [SimulatedPerson];
    const group = await world.plainRoom(alice);
    for (const person of [...people.slice(1), mallory]) {
      await alice.client.invite(group, person.mxid);
      await person.client.join(group);
    }
    Object.assign(world.settings, {
      allowed: (mxid: string) => mxid !== mallory.mxid,
      alwaysRooms: (room: string) => room !== group,
    });
    world.platform.answer = ({ text }) => ({ text: text.startsWith(GENUINE) ? `echo: ${text}` : 'heard' });
    const made = new HostileWorld(world, random, own, group);
    made.#corrupt();
    // Made for a source, as it says, by a person: it is no room of ours.
    const odd = await alice.client.createRoom({
      preset: 'private_chat',
      invite: [world.bot],
      creation_content: { 'dev.understudy.made_for': { source: 'onboarding:x', person: mallory.mxid } },
    });
    made.own.push({ person: alice, room: odd });
    const list = { '@x:y': 'none', [mallory.mxid]: [5, null, {}], ['__proto__']: ['!x:y'] };
    await world.server.connect('bot', 'ELEMENT').setAccountData('m.direct', list);
    await world.startAll();
    return made;
  }

  /** Events of somebody in the rooms, all before a replica can look; now and then a prompt that is meant. */
  burst(events: number): void {
    for (let n = 0; n < events; n += 1) this.#one();
  }

  #one(): void {
    const { random, world } = this;
    const { person, room } = random.chance(0.2)
      ? { person: random.pick(this.own).person, room: this.group }
      : random.pick(this.own);
    if (random.chance(0.01)) {
      const body = `${GENUINE} ${this.genuine.length}`;
      const content = { msgtype: 'm.text', body, 'm.mentions': { user_ids: [world.bot] } };
      const id = this.#post(person, room, { type: 'm.room.message', content });
      const files = this.taken.some((one) => one.sender === person && one.room === room && isFile(one));
      this.genuine.push({ room, id, body, files });
      return;
    }
    const sender = random.chance(0.75) ? this.#mallory : person;
    this.#isForeign = sender === this.#mallory;
    const event = this.#made.next();
    try {
      this.taken.push({ ...event, id: this.#post(sender, room, event), room, sender });
    } catch (error) {
      if (!(error instanceof HomeserverError)) throw error;
      this.refused += 1;
    }
  }

  #post({ client }: SimulatedPerson, room: string, event: HostileEvent): string {
    const { server } = this.world;
    const { type, content, stateKey, redacts } = event;
    const txn = `hostile-${(this.#txn += 1)}`;
    if (redacts !== undefined) return server.redact(client.identity, room, redacts, txn);
    if (stateKey !== undefined) return server.setState(client.identity, room, type, stateKey, content);
    return server.send(client.identity, room, type, txn, content);
  }

  /** Who is owed an answer leaves what was meant alone, and so do others' answers: what they do to it counts. */
  #aims(): string[] {
    const { random } = this;
    const ids = Array.from({ length: Math.min(20, this.taken.length) }, () => random.pick(this.taken).id);
    if (!this.#isForeign) return ids;
    const meant = this.genuine.slice(-10).map(({ id }) => id);
    const answers = this.genuine.slice(-1).flatMap(({ room }) =>
      this.world.server
        .room(room)
        .timeline.slice(-20)
        .filter(({ event }) => event.sender === this.world.bot)
        .map(({ event }) => event.event_id),
    );
    return [...ids, ...meant, ...answers];
  }

  /** The homeserver's answers as text, with rubbish among their items, through the parser of the real client. */
  #corrupt(): void {
    const { server } = this.world;
    const onDropped = (count: number) => (this.dropped += count);
    const sync = server.syncAnswer.bind(server);
    server.syncAnswer = (viewer, since) => {
      const { answer, news } = sync(viewer, since);
      if (viewer.user !== this.world.bot) return { answer, news };
      const said = rawSync(answer, (events) => this.#mixed(events));
      return { answer: parseSync(JSON.parse(JSON.stringify(said)), onDropped), news };
    };
    const messages = server.messages.bind(server);
    server.messages = (viewer, room, page) => {
      const answer = messages(viewer, room, page);
      if (viewer.user !== this.world.bot) return answer;
      const said = { ...answer, chunk: this.#mixed(answer.chunk) };
      return parseMessages(JSON.parse(JSON.stringify(said)), onDropped);
    };
  }

  #mixed(events: RoomEvent[]): unknown[] {
    return events.flatMap((event) => (this.random.chance(0.05) ? [this.#rubbish(event), event] : [event]));
  }

  #rubbish(like: RoomEvent): unknown {
    this.planted += 1;
    const { random } = this;
    const wrong = random.pick<object>([
      { event_id: 5 },
      { event_id: '' },
      { type: null },
      { sender: { toString: 'x' } },
      { origin_server_ts: 'now' },
      { origin_server_ts: null },
      { state_key: 5 },
      { content: [] },
      { content: null },
      { content: 'x' },
    ]);
    return random.pick<unknown>([null, 5, 'x', [], {}, [like], { ...like, ...wrong }]);
  }

  /** What is wrong, once everything is quiet: one line each. */
  problems(): string[] {
    const { world } = this;
    const found: string[] = [...world.unfitEvents(), ...world.orphanRooms()];
    const redacted = new Set(this.taken.map(({ redacts }) => redacts));
    const edited = new Set(this.taken.map(({ content }) => relationOf(content)?.event_id));
    const taken = new Map(this.taken.map((event) => [event.id, event]));
    const meant = new Map(this.genuine.map((prompt) => [prompt.id, prompt]));
    const seen = new Map<string, number>();
    for (const room of world.server.rooms) {
      let encrypted = 0;
      for (const { body, inReplyTo, sender, eventId } of seenMessages(world.history(room))) {
        if (sender !== world.bot) continue;
        const of = inReplyTo ?? '';
        const from = taken.get(of) ?? meant.get(of);
        if (from !== undefined) {
          seen.set(of, (seen.get(of) ?? 0) + 1);
          if (from.room !== room) found.push(`${eventId} answers ${of} in another room`);
        } else if (ENCRYPTED.test(body)) encrypted += 1;
        else if (!GREETINGS.some((greeting) => greeting.test(body)))
          found.push(`in ${room} nobody asked for ${JSON.stringify(body.slice(0, 80))} (${of})`);
        const prompt = meant.get(of);
        // A file that cannot be taken goes with its sender's next prompt too, and is what that is answered with.
        if (prompt && body !== `echo: ${prompt.body}` && !(prompt.files && FILES.test(body)))
          found.push(`${prompt.body} has the answer ${body.slice(0, 80)}`);
      }
      if (encrypted > 1) found.push(`${encrypted} notices in ${room}`);
    }
    for (const { id, body } of this.genuine)
      if (seen.get(id) !== 1) found.push(`${body} (${id}) has ${seen.get(id) ?? 0} answers`);
    for (const event of this.taken) {
      const times = seen.get(event.id) ?? 0;
      const isMute = event.sender === this.#mallory || !isOwedAnAnswer(event);
      const isSure =
        !isMute &&
        !isFile(event) &&
        event.room !== this.group &&
        !redacted.has(event.id) &&
        !edited.has(event.id);
      if (times > 1 || (isMute && times > 0) || (isSure && times === 0))
        found.push(
          `${event.sender.name} ${event.id} has ${times} answers: ${JSON.stringify(event).slice(0, 300)}`,
        );
    }
    return found;
  }

  /** Events that must have one answer. */
  get owed(): number {
    return this.taken.filter(
      (event) =>
        event.sender !== this.#mallory &&
        event.room !== this.group &&
        !isFile(event) &&
        isOwedAnAnswer(event),
    ).length;
  }
}

/** What is said of files instead of an answer. */
const FILES = /^(I cannot take `|I take \d+ files|The files before|I could not get `)/;

const relationOf = (content: Record<string, unknown>) =>
  content['m.relates_to'] as { event_id?: unknown } | null | undefined;

function rawSync(
  { next_batch, joined, invited, left }: SyncAnswer,
  mixed: (events: RoomEvent[]) => unknown[],
): object {
  const rooms = <T extends { room: string }>(list: T[], of: (one: T) => object) =>
    Object.fromEntries(list.map((one) => [one.room, of(one)]));
  return {
    next_batch,
    rooms: {
      join: {
        ...rooms(joined, ({ timeline, state, limited, prevBatch }) => ({
          timeline: { events: mixed(timeline), limited, prev_batch: prevBatch },
          state: { events: mixed(state) },
        })),
        '!odd:x': 5,
        ['__proto__']: { timeline: 'none' },
      },
      invite: rooms(invited, ({ state }) => ({ invite_state: { events: state } })),
      leave: rooms(left, ({ timeline }) => ({ timeline: { events: timeline } })),
    },
  };
}
