import type { BotSettings } from '../../src/bot/deps.js';
import { MADE_FOR_KEY } from '../../src/bot/intake.js';
import type { Source } from '../../src/bot/source.js';
import { readLedger } from '../../src/bot/surface/ledger.js';
import { canonicalJson } from '../../src/documents/json.js';
import { rendezvousOrder } from '../../src/routing/rendezvous.js';
import { eventProblems, roomProblems } from '../world/event-schema.js';
import { judge, tell, type ExpectedAnswer, type ExpectedMessage } from '../world/judge.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import { seenMessages, type SeenMessage } from '../world/seen.js';
import { ChannelHub } from './channel.js';
import { SimulatedClock } from './clock.js';
import { Disk, type StoredRecord } from './disk.js';
import type { Match, SimulatedRequest } from './faults.js';
import { SimulatedHomeserver } from './homeserver.js';
import { SimulatedPerson } from './person.js';
import { SimulatedPlatform } from './platform.js';
import { type LogLine, SimulatedReplica } from './replica.js';
import { joinInto, seed } from './state.js';

export const LEASE = 3000;
export const PATIENCE = 5000;

function problemsOf({ call, type, content }: SimulatedRequest): string[] {
  if (call === 'createRoom') return roomProblems(content);
  if (call === 'typing' || call === 'readReceipt')
    return eventProblems(call === 'typing' ? 'typing-request' : 'receipt-request', content);
  if (call === 'redact') return eventProblems('m.room.redaction', content);
  // What is only read has none.
  return type === undefined || content === undefined ? [] : eventProblems(type, content);
}

/** It is over; what is left of it in the room is ended when the room lets the bot write again. */
const waitsForItsRoom = (source: Source | undefined): boolean =>
  source?.settled !== undefined && source.isLeftOpen && (source.closed || source.refusals > 0);

const seenOf = (source: Source | undefined) =>
  source && {
    settled: source.settled,
    whole: source.whole,
    stale: source.stale,
    marked: source.marked,
    accepted: source.view().accepted?.hash,
    orphans: source.view().orphans,
    events: source.events.map(({ id, mark }) => `${id} ${mark.step}`),
  };

/**
 * Replicas of the real bot on one simulated homeserver, relay and platform, and people who talk to it. Simulated time
 * stands still but for {@link SimulatedClock.advance}, so that a schedule is the same at every run.
 */
export class World {
  readonly clock = new SimulatedClock();
  readonly server = new SimulatedHomeserver({ clock: this.clock });
  readonly hub = new ChannelHub();
  readonly platform = new SimulatedPlatform(this.clock);
  readonly people = new Map<string, SimulatedPerson>();
  readonly replicas: SimulatedReplica[] = [];
  readonly lines: LogLine[] = [];
  readonly happened: { replica: string; event: string; outcome: string }[] = [];
  readonly bot = `@bot:${this.server.serverName}`;
  readonly settings: BotSettings = {
    self: this.bot,
    clusterId: 'cluster-of-the-test',
    version: '0.0.0',
    leaseMs: LEASE,
    heartbeatMs: 500,
    patienceMs: PATIENCE,
    prefix: '!',
    allowed: () => true,
    strangers: 'silence',
    invites: 'allowed',
    onEdit: 'ignore',
    threads: 'shared',
    // Who is answered where is what other schedules are about.
    alwaysRooms: () => true,
    isAdmin: () => false,
    placeholderAfterMs: Infinity,
    streaming: true,
    editsPerSecond: 2,
    pollMs: 30_000,
    obstacle: () => undefined,
  };
  /** Documents of replicas that reach the relay are exchanged at once; false: only by {@link exchange}. */
  linked = true;
  readonly answers: ExpectedAnswer[] = [];
  readonly messages: ExpectedMessage[] = [];
  /** What the relay holds of the documents; it outlives every replica's folder. */
  readonly relayDisk = new Disk();
  #genesis: number | undefined;

  /** Replicas that are not started yet, the cluster founded, everyone a member. */
  constructor(replicas = 2) {
    for (let i = 0; i < replicas; i++) this.replicas.push(new SimulatedReplica(`r${i}`, this));
  }

  /** A world in which alice has one plain room with the bot, and all replicas are up. */
  static async withRoom(
    replicas = 2,
    prepare: (world: World) => void = () => {},
  ): Promise<{ world: World; alice: SimulatedPerson; room: string }> {
    const world = new World(replicas);
    const alice = world.person('alice');
    const room = await world.plainRoom(alice);
    prepare(world);
    await world.startAll();
    return { world, alice, room };
  }

  replica(i: number): SimulatedReplica {
    const replica = this.replicas[i];
    if (!replica) throw new Error(`there is no replica ${i}`);
    return replica;
  }

  person(name: string): SimulatedPerson {
    const person = this.people.get(name) ?? new SimulatedPerson(this.server, name);
    this.people.set(name, person);
    return person;
  }

  /** A room from before genesis that the bot is in and has a record and a context for: no onboarding happens. */
  async plainRoom(person: SimulatedPerson): Promise<string> {
    const room = await person.client.createRoom({ preset: 'private_chat', invite: [this.bot] });
    await this.server.connect('bot', 'SETUP').join(room);
    this.platform.chats.push({ id: `chat-of-${room}`, agent: 'agent-1', key: `earlier ${room}` });
    for (const { disk } of this.replicas) {
      const fields = {
        room_type: 'invited',
        matrix_user_id: person.mxid,
        platform_chat_id: `chat-of-${room}`,
        agent_id: 'agent-1',
      };
      seed(disk, { kind: 'room', key: `matrix_room:${room}`, fields }, this.clock.now());
    }
    return room;
  }

  /** The cluster record and the members, as far as this replica's folder lacks them. */
  found(replica: SimulatedReplica): void {
    this.#genesis ??= this.clock.now();
    const now = this.clock.now();
    seed(replica.disk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts: this.#genesis } }, now);
    for (const { id } of this.replicas) {
      seed(replica.disk, { kind: 'member', key: `member:${id}`, fields: { joined_at: now } }, now);
    }
  }

  async startAll(): Promise<void> {
    await this.clock.advance(10);
    for (const replica of this.replicas) this.found(replica);
    await this.clock.advance(10);
    for (const replica of this.replicas) replica.start();
    await this.until(() => this.replicas.every(({ up, life }) => up && life.started === 'started'));
    // One heartbeat, so that everyone has heard everyone.
    await this.clock.advance(600);
  }

  /** Starts again what was killed. A folder that was wiped is filled from the relay; until then it may not own. */
  restart(replica: SimulatedReplica): void {
    replica.start();
  }

  /** Every disk is lost, the relay's too, and all replicas begin again on empty ones. */
  async losesEverything(): Promise<void> {
    for (const replica of this.replicas) {
      replica.kill();
      replica.wipe();
    }
    this.relayDisk.records.clear();
    for (const replica of this.replicas) this.found(replica);
    for (const replica of this.replicas) replica.start();
    this.exchangeAll();
    await this.clock.advance(1000);
  }

  /** The replicas in the order of their ranks for a room of this person. */
  ranks(room: string, person: SimulatedPerson): SimulatedReplica[] {
    const state = this.replicas.find(({ up }) => up)?.life.state;
    const shard = state?.shardOf(room, person.mxid) ?? 0;
    const order = rendezvousOrder(
      shard,
      this.replicas.map(({ id }) => id),
    );
    return order.map((id) => this.replicas.find((replica) => replica.id === id) as SimulatedReplica);
  }

  /** A prompt, expected to be answered once; by default with the platform's echo. */
  async asks(
    person: SimulatedPerson,
    room: string,
    body: string,
    expected: Omit<Partial<ExpectedAnswer>, 'room' | 'prompt'> = {},
  ): Promise<string> {
    const prompt = await person.says(room, body);
    this.answers.push({ room, prompt, token: body, ...expected });
    return prompt;
  }

  /** A replica wrote a record: the relay gets it at once, those who reach it two ms later. */
  written(from: SimulatedReplica, record: StoredRecord): void {
    if (!this.linked || !this.hub.reaches(from.id)) return;
    joinInto(this.relayDisk, [record]);
    for (const to of this.replicas) {
      if (to === from || !to.up || !this.hub.connects(from.id, to.id)) continue;
      const { process, state } = to.life;
      process.clock.after(2, () => state.merge([record]));
    }
  }

  /** All that two replicas hold, both ways, now. */
  exchange(a: SimulatedReplica, b: SimulatedReplica): void {
    const ofA = a.life.state.all();
    a.life.state.merge(b.life.state.all());
    b.life.state.merge(ofA);
  }

  /** Everyone who is connected and runs, with the relay and so with each other, as after a reconnection. */
  exchangeAll(): void {
    if (!this.linked) return;
    for (const replica of this.replicas) {
      if (!replica.running || !this.hub.reaches(replica.id)) continue;
      joinInto(this.relayDisk, replica.life.state.all());
      replica.life.state.merge(this.relayDisk.records.values());
      replica.met();
    }
    for (const a of this.replicas) {
      for (const b of this.replicas) {
        if (a !== b && a.running && b.running && this.hub.connects(a.id, b.id)) this.exchange(a, b);
      }
    }
  }

  /** The relay is back for everyone. */
  healRelay(): void {
    this.hub.up();
    for (const { id } of this.replicas) this.hub.restore(id);
    this.exchangeAll();
  }

  until(condition: () => boolean, limitMs = 60_000): Promise<void> {
    return this.clock.advanceUntil(condition, limitMs);
  }

  /** Nothing is under way in any replica that is up. */
  quiet(): boolean {
    return this.whatIsLeft().length === 0;
  }

  whatIsLeft(): string[] {
    const left: string[] = [];
    for (const replica of this.replicas) {
      if (!replica.running) continue;
      const { bot, journal, started } = replica.life;
      if (started !== 'started') left.push(`${replica.id} ${String(started)}`);
      if (bot.inbox.owed() > 0) left.push(`${replica.id} cannot read ${bot.inbox.owed()} room(s)`);
      for (const source of bot.engine.all()) {
        if (source.work) left.push(`${replica.id} is at work on ${source.id}`);
        if (source.settled === undefined) left.push(`${replica.id} has ${source.id} unsettled`);
      }
      for (const id of journal.state.sources.keys())
        if (!waitsForItsRoom(bot.engine.get(id)))
          left.push(`${replica.id} has ${id} in its journal (${JSON.stringify(seenOf(bot.engine.get(id)))})`);
      for (const room of journal.state.invites.keys()) left.push(`${replica.id} has an invite to ${room}`);
    }
    return left;
  }

  /** Advances until everything is quiet and stays so. */
  async settleAll(limitMs = 180_000, staysMs = 3 * PATIENCE): Promise<void> {
    const end = this.clock.monotonic() + limitMs;
    let quietSince: number | undefined;
    while (quietSince === undefined || this.clock.monotonic() - quietSince < staysMs) {
      if (this.clock.monotonic() > end)
        throw new Error(`not quiet after ${limitMs} simulated ms:\n${this.diagnosis()}`);
      await this.clock.advance(100);
      if (!this.quiet()) quietSince = undefined;
      else quietSince ??= this.clock.monotonic();
    }
  }

  /** What a person's client holds of a room; events of one instant in the order of the timeline. */
  history(room: string): TimelineEvent[] {
    return this.server.history(room).map((event, place) => ({ ...event, origin_server_ts: place }));
  }

  /** The bot's messages as a person sees them. */
  seen(room: string): SeenMessage[] {
    return seenMessages(this.history(room)).filter(({ sender }) => sender === this.bot);
  }

  /** Events of the bot in a room, as they stand. */
  sent(room: string): TimelineEvent[] {
    return this.history(room).filter(
      ({ sender, type, state_key }) =>
        sender === this.bot && type === 'm.room.message' && state_key === undefined,
    );
  }

  /** What is wrong in the rooms that people see; an empty text when nothing is. */
  verdict(rooms = [...new Set([...this.answers, ...this.messages].map(({ room }) => room))]): string {
    const histories = new Map(rooms.map((room) => [room, this.history(room)]));
    const problems = judge(histories, { bot: this.bot, answers: this.answers, messages: this.messages });
    const orphans = this.orphanRooms();
    return [problems.length === 0 ? '' : tell(problems), ...orphans, ...this.unfitEvents()]
      .filter((line) => line !== '')
      .join('\n');
  }

  /** What replicas sent and Matrix does not know so. */
  unfitEvents(): string[] {
    const replicas = new Set(this.replicas.map(({ id }) => id));
    const sent = this.server.requests.filter(({ client }) => replicas.has(client.split('/')[0] ?? ''));
    return [...new Set(sent.flatMap(problemsOf))];
  }

  /** What is wrong in what the replicas' actors say, once everything is quiet and exchanged; empty when nothing is. */
  actorProblems(): string[] {
    const up = this.replicas.filter(({ running }) => running);
    const problems = up.flatMap((replica) => replica.actorProblems());
    const [first, ...others] = up.map(({ life }) => life.state.actors);
    for (const key of first?.keys() ?? []) {
      const here = canonicalJson(first?.snapshot(key) as never);
      for (const other of others) {
        const there = canonicalJson(other.snapshot(key) as never);
        if (there !== here) problems.push(`${key} is not the same everywhere:\n${here}\n${there}`);
      }
    }
    return problems;
  }

  /** Rooms that the bot made for a source and that are not the one room of that source, and not left. */
  orphanRooms(): string[] {
    const made = this.server.rooms.flatMap((room) => {
      const create = this.server.room(room).stateEvent('m.room.create', '')?.event;
      const of = create?.content[MADE_FOR_KEY] as { source: string; person: string } | undefined;
      return create?.sender === this.bot && of ? [{ room, ...of }] : [];
    });
    const spaces = made
      .filter(({ source }) => source.endsWith('/space'))
      .map((space) => ({ ...space, room: this.heirOf(space.room) }))
      .filter(({ room }) => this.server.room(room).membership(this.bot) === 'join');
    const problems: string[] = [];
    for (const { person } of spaces) {
      const own = spaces.filter((space) => space.person === person);
      if (own.length > 1) problems.push(`${person} has ${own.length} spaces`);
    }
    for (const { room, source, person } of made) {
      if (source.endsWith('/space')) continue;
      const space = spaces.find((one) => one.person === person)?.room;
      const entry = space && readLedger(this.server.history(space), this.bot).entries.get(source);
      const winner = entry && 'room' in entry ? entry.room : undefined;
      if (room === winner) continue;
      const { membership } = { membership: (user: string) => this.server.room(room).membership(user) };
      if (membership(this.bot) === 'join')
        problems.push(`the bot sits in ${room}, made for ${source} in vain`);
      if (membership(person) !== 'none') problems.push(`${person} was invited to ${room}, made in vain`);
    }
    return [...new Set(problems)];
  }

  /** The last of the rooms that took a room's place, as far as the bot is in them. */
  private heirOf(room: string): string {
    const { content } = this.server.room(room).stateEvent('m.room.tombstone', '')?.event ?? {};
    const next = this.server.rooms.find((one) => one === content?.['replacement_room']);
    return next !== undefined && this.server.room(next).membership(this.bot) === 'join'
      ? this.heirOf(next)
      : room;
  }

  /** Rooms that the bot made for a source and is in. */
  madeRooms(source: string): string[] {
    return this.server.rooms.filter((id) => {
      const room = this.server.room(id);
      const made = room.stateEvent('m.room.create', '')?.event.content[MADE_FOR_KEY] as { source?: string };
      return made?.source === source && room.membership(this.bot) === 'join';
    });
  }

  /** For the message of a test that failed. */
  diagnosis(): string {
    const lines = this.lines
      .filter(({ level }) => level !== 'info')
      .slice(-12)
      .map(
        ({ replica, level, message, fields }) =>
          `${replica} ${level} ${message} ${JSON.stringify(fields).slice(0, 300)}`,
      );
    return [...this.whatIsLeft(), ...lines].join('\n');
  }

  /** Requests that arrived at the homeserver. */
  requests(match: Match): SimulatedRequest[] {
    return this.server.requests.filter(match);
  }
}
