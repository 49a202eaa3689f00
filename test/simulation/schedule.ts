import type { Hold, SimulatedRequest } from './faults.js';
import type { SimulatedPerson } from './person.js';
import type { Random } from './random.js';
import type { SimulatedReplica } from './replica.js';
import { World } from './world.js';

interface Act {
  weight: number;
  /** Says what it did, or nothing when it was not possible now. */
  run: () => Promise<string | undefined> | string | undefined;
}

/** A random schedule over a world: people talk, replicas die, stand still, lose their folders, connections and answers. */
export class Schedule {
  readonly world: World;
  /** What happened, in order, for the message of a failure. */
  readonly story: string[] = [];
  readonly #rooms: { room: string; person: SimulatedPerson }[] = [];
  readonly #texts = new Map<string, Set<string>>();
  readonly #frozen = new Set<SimulatedReplica>();
  readonly #cutOff = new Set<SimulatedReplica>();
  #holds: { hold: Hold; what: string }[] = [];
  #asked = 0;
  #commands = 0;
  /** How often a replica may have looked dead to another. */
  #disturbed = 0;
  #relay = true;
  /** Ends the refusal of a room's history, while there is one. */
  #unreadable: (() => void) | undefined;

  constructor(private readonly random: Random) {
    this.world = new World(2 + random.below(2));
    this.world.server.timelineLimit = random.pick([100, 100, 4]);
    this.world.settings.placeholderAfterMs = random.chance(0.5) ? 1500 : Infinity;
    for (const replica of this.world.replicas) {
      replica.disk.writeMs = random.pick([1, 1, 20, 200]);
      replica.wallErrorMs = random.pick([0, 0, -2000, 90_000]);
    }
    const { platform } = this.world;
    platform.forgetful = random.chance(0.5);
    const most = random.pick([20, 20_000, 40_000]);
    platform.answer = ({ text }, n) => {
      const said = `${text} by run ${platform.forgetful ? n : 1} ${'x'.repeat(random.below(most))}`;
      this.#texts.set(text, (this.#texts.get(text) ?? new Set()).add(said));
      return { text: said, takesMs: random.below(4000), deltas: ['so ', 'far'] };
    };
  }

  /** Runs it; throws with the story when a person would have seen something wrong. */
  async run(acts: number): Promise<void> {
    const { world } = this;
    for (const name of ['alice', 'bob']) {
      const person = world.person(name);
      this.#rooms.push({ room: await world.plainRoom(person), person });
    }
    try {
      await world.startAll();
      await this.#ask();
      for (let i = 0; i < acts; i++) await this.#one();
      await this.#heal();
      await world.settleAll();
      this.#judge();
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      cause.message = `seed ${this.random.seed}\n${this.story.join('\n')}\n${cause.message}`;
      throw cause;
    }
  }

  #judge(): void {
    this.#expectNotices();
    for (const room of this.world.madeRooms('onboarding:@alice:sim.test')) {
      this.world.messages.push({ room, text: /^Hello! This room/ });
    }
    const { world } = this;
    const problems = [world.verdict(), ...this.#chatNumbers(), ...world.actorProblems()].filter(
      (one) => one !== '',
    );
    if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${this.world.diagnosis()}`);
  }

  /** C2: who may look dead three times in the middle of a run is told that it failed. */
  #expectNotices(): void {
    if (this.#disturbed < 3) return;
    for (const expected of this.world.answers) {
      const answer = this.world.seen(expected.room).find(({ inReplyTo }) => inReplyTo === expected.prompt);
      if (!answer?.body.includes('it failed 3 times')) continue;
      expected.token = 'it failed 3 times';
      expected.text = /reference/;
    }
  }

  /** Every `!new` has its own number, and with all of them answered there is no gap. */
  #chatNumbers(): string[] {
    const made = this.#rooms.flatMap(({ room }) =>
      this.world.seen(room).flatMap(({ body }) => /^Made C(\d+)/.exec(body)?.[1] ?? []),
    );
    const expected = made.map((_, i) => String(i + 2));
    const gapless = made.toSorted((a, b) => Number(a) - Number(b)).every((n, i) => n === expected[i]);
    return gapless ? [] : [`chats got the numbers ${made.join(', ')}`];
  }

  async #one(): Promise<void> {
    const acts = this.#acts();
    let left = this.random.next() * acts.reduce((sum, { weight }) => sum + weight, 0);
    const act = acts.find(({ weight }) => (left -= weight) < 0) ?? acts[0];
    const told = await act?.run();
    if (told !== undefined) this.story.push(`${this.world.clock.monotonic()} ${told}`);
    await this.world.clock.advance(this.random.pick([1, 5, 50, 300, 1500, 4000]));
  }

  #acts(): Act[] {
    const { world, random } = this;
    const replica = random.pick(world.replicas);
    const up = replica.up;
    const frozen = this.#frozen.has(replica);
    const cut = this.#cutOff.has(replica);
    return [
      { weight: 5, run: () => this.#ask() },
      { weight: 1, run: () => this.#command() },
      { weight: 3, run: () => (up ? this.#kill(replica, random.chance(0.25)) : this.#start(replica)) },
      { weight: 2, run: () => (up ? this.#freeze(replica, frozen) : undefined) },
      { weight: 2, run: () => (up ? this.#cut(replica, cut) : undefined) },
      { weight: 2, run: () => this.#partition() },
      { weight: 1, run: () => this.#exchange() },
      { weight: 1, run: () => this.#suspend() },
      { weight: 2, run: () => this.#shut(replica) },
      { weight: 4, run: () => this.#hold() },
      { weight: 3, run: () => this.#decide() },
    ];
  }

  async #ask(): Promise<string> {
    const { room, person } = this.random.pick(this.#rooms);
    this.#asked += 1;
    const body = `prompt-${this.#asked}-of-${person.name}`;
    await this.world.asks(person, room, body, {
      parts: 'several',
      text: (parts) => this.#texts.get(body)?.has(parts.join('')) ?? false,
    });
    return `${person.name} asks ${body}`;
  }

  async #command(): Promise<string | undefined> {
    const alice = this.#rooms[0];
    if (alice === undefined || this.#commands >= 2) return undefined;
    this.#commands += 1;
    await this.world.asks(alice.person, alice.room, '!new', { token: 'Made C' });
    return 'alice says !new';
  }

  #kill(replica: SimulatedReplica, wipe: boolean): string {
    this.#frozen.delete(replica);
    this.#cutOff.delete(replica);
    this.#disturbed += 1;
    replica.kill();
    if (wipe) replica.wipe();
    return `${replica.id} is killed${wipe ? ' and its folder wiped' : ''}`;
  }

  #start(replica: SimulatedReplica): string {
    this.world.restart(replica);
    return `${replica.id} starts`;
  }

  #freeze(replica: SimulatedReplica, frozen: boolean): string {
    if (frozen) {
      this.#frozen.delete(replica);
      replica.thaw();
      return `${replica.id} thaws`;
    }
    this.#disturbed += 1;
    this.#frozen.add(replica);
    replica.freeze();
    return `${replica.id} freezes`;
  }

  #cut(replica: SimulatedReplica, cut: boolean): string {
    if (cut) {
      this.#cutOff.delete(replica);
      replica.life.client.restore();
      return `${replica.id} reaches the homeserver again`;
    }
    this.#disturbed += 1;
    this.#cutOff.add(replica);
    replica.life.client.cutOff();
    return `${replica.id} is cut off from the homeserver`;
  }

  #partition(): string {
    const { world, random } = this;
    if (!this.#relay) {
      this.#relay = true;
      world.healRelay();
      return 'the relay is back for everyone';
    }
    this.#disturbed += 1;
    this.#relay = false;
    if (random.chance(0.5)) {
      world.hub.down();
      return 'the relay is down';
    }
    const { id } = random.pick(world.replicas);
    world.hub.cut(id);
    return `${id} is cut off from the relay`;
  }

  #exchange(): string {
    const { world } = this;
    world.linked = !world.linked;
    world.exchangeAll();
    return world.linked ? 'documents are exchanged again' : 'documents are not exchanged any more';
  }

  #suspend(): string {
    this.#disturbed += 1;
    this.world.clock.suspend(20_000);
    return 'every wall clock jumps by 20 s';
  }

  /** The homeserver fails to show what was said in a room, to one replica or to all. */
  #shut(replica: SimulatedReplica): string {
    if (this.#unreadable !== undefined) {
      this.#unreadable();
      this.#unreadable = undefined;
      return 'every room can be read again';
    }
    this.#disturbed += 1;
    const { room } = this.random.pick(this.#rooms);
    const toAll = this.random.chance(0.5);
    const isTo = (client: string) => toAll || client.startsWith(`${replica.id}/`);
    const { faults } = this.world.server;
    const isRead = (one: SimulatedRequest) => one.call === 'messages' && one.room === room;
    this.#unreadable = faults.refuseBy((one) => isRead(one) && isTo(one.client), { status: 502 });
    return `${room} can not be read by ${toAll ? 'anybody' : replica.id}`;
  }

  /** The next request of that kind is stopped on its way. */
  #hold(): string {
    const stage = this.random.pick(['before', 'after'] as const);
    const call = this.random.pick([
      'send',
      'send',
      'send',
      'send',
      'redact',
      'sync',
      'createRoom',
      'setState',
    ]);
    const hold = this.world.server.hold((one) => one.user === this.world.bot && one.call === call, stage);
    const what = `a ${call} of the bot, ${stage} it is applied`;
    this.#holds.push({ hold, what });
    return `stopping ${what}`;
  }

  #decide(): string | undefined {
    const next = this.#holds.shift();
    if (next === undefined) return undefined;
    const lost = this.random.chance(0.5);
    if (lost) next.hold.drop();
    else next.hold.release();
    return `${lost ? 'losing' : 'releasing'} ${next.what}${next.hold.used ? '' : ' (none came yet)'}`;
  }

  async #heal(): Promise<void> {
    const { world } = this;
    for (const { hold } of this.#holds.splice(0)) hold.release();
    this.#unreadable?.();
    world.linked = true;
    world.healRelay();
    for (const replica of this.#frozen) replica.thaw();
    for (const replica of this.#cutOff) replica.life.client.restore();
    for (const replica of world.replicas) if (!replica.up) world.restart(replica);
    this.#frozen.clear();
    this.#cutOff.clear();
    this.story.push(`${world.clock.monotonic()} everything is healed`);
    await world.clock.advance(1);
  }
}
