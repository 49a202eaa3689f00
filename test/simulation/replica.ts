import { Bot } from '../../src/bot/bot.js';
import type { BotSettings } from '../../src/bot/deps.js';
import type { Homeserver } from '../../src/matrix/homeserver.js';
import { KeyedCounters } from '../../src/keyed/counters.js';
import { type ApprovalReaction, approvalReactions } from '../../src/keyed/namespaces/approval-reactions.js';
import {
  type InteractivePrompt,
  interactivePrompts,
} from '../../src/keyed/namespaces/interactive-prompts.js';
import { sentMessages } from '../../src/keyed/namespaces/sent-messages.js';
import { threadParticipation } from '../../src/keyed/namespaces/thread-participation.js';
import { limitsOf, type KeyedStoreOptions } from '../../src/keyed/options.js';
import { KeyedStore } from '../../src/keyed/store.js';
import { type Fields, type Log, silentLog } from '../../src/telemetry/log.js';
import type { SimulatedClient } from './client.js';
import { Disk } from './disk.js';
import { SimulatedJournal } from './journal.js';
import type { SimulatedPlatform } from './platform.js';
import { SimulatedProcess } from './process.js';
import { SimulatedState } from './state.js';
import type { World } from './world.js';

export interface LogLine {
  replica: string;
  level: 'info' | 'warn' | 'error';
  message: string;
  fields: Fields;
}

interface Life {
  process: SimulatedProcess;
  client: SimulatedClient;
  state: SimulatedState;
  journal: SimulatedJournal;
  bot: Bot;
  /** Settled when the start is over. */
  started: 'starting' | 'started' | Error;
}

interface Questions {
  approvals: KeyedStore<ApprovalReaction>;
  prompts: KeyedStore<InteractivePrompt>;
}

/** One replica over its lives: the folder stays, processes come and go. */
export class SimulatedReplica {
  disk = new Disk();
  /** Which platform this replica is told to use; usually all the same. */
  platform: SimulatedPlatform;
  settings: Partial<BotSettings> = {};
  /** What stands in its way of owning (PROTOCOL O1). */
  obstacle: string | undefined;
  /** Its folder knows the cluster; after a wipe a node opens, and a bot starts, only once it has met the relay. */
  #knowsCluster = true;
  wallErrorMs = 0;
  /** What is remembered of questions and lists outlives its processes, as UNDERSTUDY_PERSISTENT_STATE may have it. */
  keepsQuestions = false;
  #questions: Questions | undefined;
  #life: Life | undefined;
  #lives = 0;

  constructor(
    readonly id: string,
    private readonly world: World,
  ) {
    this.platform = world.platform;
  }

  get up(): boolean {
    return this.#life !== undefined;
  }

  get running(): boolean {
    return this.#life?.process.running ?? false;
  }

  get life(): Life {
    if (!this.#life) throw new Error(`${this.id} is not up`);
    return this.#life;
  }

  get bot(): Bot {
    return this.life.bot;
  }

  /** The name under which the homeserver sees the requests of its present process. */
  get clientName(): string {
    return this.life.client.name;
  }

  start(): void {
    if (this.#life) throw new Error(`${this.id} is up already`);
    const { world } = this;
    this.#lives += 1;
    const process = new SimulatedProcess(world.clock, this.wallErrorMs);
    const client = world.server.connect('bot', 'DELIVERY', {
      clock: process.clock,
      name: `${this.id}/${this.#lives}`,
    });
    const state = new SimulatedState(this.disk, process, this.#log());
    const journal = new SimulatedJournal(this.disk, process);
    state.onWritten = (record) => world.written(this, record);
    const channel = world.hub.join({ replica: this.id, incarnation: `${this.id}-${this.#lives}` }, process);
    const homeserver: Homeserver = client;
    const earlier = this.keepsQuestions ? this.#questions : undefined;
    this.#questions = {
      approvals: remembering(approvalReactions, process, this.id, earlier?.approvals),
      prompts: remembering(interactivePrompts, process, this.id, earlier?.prompts),
    };
    const bot = new Bot(
      {
        homeserver,
        channel,
        state,
        platform: this.platform.client(process),
        journal,
        ownMessages: {
          sent: remembering(sentMessages, process, this.id),
          threads: remembering(threadParticipation, process, this.id),
        },
        questions: this.#questions,
        clock: process.clock,
        log: this.#log(),
        happened: (event, outcome) => world.happened.push({ replica: this.id, event, outcome }),
      },
      { ...world.settings, obstacle: () => this.obstacle, ...this.settings },
    );
    const life: Life = { process, client, state, journal, bot, started: 'starting' };
    this.#life = life;
    if (this.#knowsCluster) this.#begin(life);
    world.exchangeAll();
  }

  /** Its documents are in sync with the relay's. */
  met(): void {
    if (this.#knowsCluster) return;
    this.#knowsCluster = true;
    this.#begin(this.life);
  }

  #begin(life: Life): void {
    life.bot.start(new AbortController().signal).then(
      () => (life.started = 'started'),
      (error: Error) => (life.started = error),
    );
  }

  /** Marks without the event that must stand before them (PROTOCOL C4), and actors that say an answer is under way. */
  actorProblems(): string[] {
    const { state } = this.life;
    const problems: string[] = [];
    for (const { kind, key } of state.all()) {
      if (kind !== 'mark') continue;
      const [room = '', source = ''] = key.slice('mark:'.length).split(' ');
      const events = state.actors.get(`conversation/${room}`).history();
      if (!events.some(({ event }) => event.id === source)) problems.push(`${this.id}: ${key} has no event`);
    }
    for (const key of state.actors.keys()) {
      const { machine, status, value, context } = state.actors.snapshot(key);
      const fields = context as { prompt?: string | null };
      const open =
        machine === 'conversation' ? fields.prompt !== null : machine === 'run' && isUnderWay(value);
      if (open || status !== 'active')
        problems.push(`${this.id}: ${key} is ${status} in ${JSON.stringify(value)}`);
    }
    return problems;
  }

  /** SIGKILL. What it has on the wire arrives, unless a test holds it. */
  kill(): void {
    const { process, client } = this.life;
    process.kill();
    client.freeze();
    this.#life = undefined;
    this.world.hub.leave(this.id);
  }

  /** Its data folder is lost; it must be down. */
  wipe(): void {
    if (this.#life) throw new Error(`${this.id} is up`);
    this.disk = new Disk();
    this.#questions = undefined;
    this.#knowsCluster = false;
  }

  /** SIGSTOP: its connections stay open. */
  freeze(): void {
    const { process, client } = this.life;
    process.freeze();
    client.freeze();
  }

  thaw(): void {
    const { process, client } = this.life;
    process.thaw();
    client.thaw();
    this.world.exchangeAll();
  }

  #log(): Log {
    const line = (level: LogLine['level']) => (fields: Fields, message: string) =>
      void this.world.lines.push({ replica: this.id, level, message, fields });
    const log: Log = {
      debug() {},
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
      child: () => log,
    };
    return log;
  }
}

/** A keyed store in memory, as a node opens it that was not told to keep it; of one that was kept, with its entries. */
function remembering<V>(
  options: KeyedStoreOptions<V>,
  { clock }: SimulatedProcess,
  replica: string,
  earlier?: KeyedStore<V>,
): KeyedStore<V> {
  const store = new KeyedStore({
    limits: limitsOf(options),
    shape: options.shape,
    clock,
    log: silentLog,
    counters: new KeyedCounters(),
    replica,
    flushed: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  });
  for (const { key, value, at } of earlier?.entries() ?? []) store.register(key, value, { at });
  return store;
}

const isUnderWay = (value: unknown): boolean =>
  value === 'queued' || value === 'running' || value === 'awaitingApproval';
