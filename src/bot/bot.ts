import type { Homeserver } from '../matrix/homeserver.js';
import { Inbox } from '../matrix/inbox.js';
import type { PlatformClient } from '../platform/client.js';
import { Fence } from '../routing/fence.js';
import type { Channel } from '../sync/channel.js';
import { TaskBoard } from '../tasks/board.js';
import { runMachine, runOptions } from '../tasks/run-machine.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { Adoption } from './adoption.js';
import { conversationMachine, conversationOptions } from './actors/conversation.js';
import { onboardingMachine, onboardingOptions } from './actors/onboarding.js';
import { Recorder } from './actors/recorder.js';
import { Attempts } from './attempts.js';
import { Attendant } from './attendant.js';
import { Copies } from './copies.js';
import { Engine } from './engine.js';
import { GenesisWatch } from './genesis-watch.js';
import { Invites } from './invites.js';
import type { JournalEntry, JournalState } from './journal.js';
import { Outbox } from './outbox.js';
import { Presence } from './presence.js';
import { RoomReader } from './reader.js';
import { Receiver } from './receiver.js';
import { Records, type State } from './records.js';
import type { Source, SourceRef } from './source.js';
import type { StatusReport } from './surface/commands/status.js';
import { Surface } from './surface/surface.js';

export interface BotDeps {
  homeserver: Homeserver;
  channel: Channel;
  state: State;
  platform: PlatformClient;
  journal: { readonly state: JournalState; append(entries: JournalEntry[]): Promise<void> };
  clock: Clock;
  log: Log;
  /** Counts what happened, for /metrics. */
  happened?: (event: string, outcome: string) => void;
}

export interface BotSettings {
  /** Our own mxid. */
  self: string;
  clusterId: string;
  version: string;
  leaseMs: number;
  heartbeatMs: number;
  patienceMs: number;
  prefix: string;
  /** Who may talk to the bot. */
  allowed: (mxid: string) => boolean;
  /** Ms without an answer after which a placeholder shows; Infinity: never. */
  placeholderAfterMs: number;
  /** Length of a long poll, ms. */
  pollMs: number;
  /** The outermost conditions of O1 and D6: documents in sync, the right device. Undefined: fine. */
  obstacle: () => string | undefined;
}

/** A peer acknowledges a frozen answer within this, or the send goes on without it (PROTOCOL D4). */
const PEER_DEADLINE_MS = 300;

/**
 * One replica's bot, assembled: inbox, engine, outbox and surface over a node's state and channel. Start-up order:
 * the position and journal are open, the documents too; then rooms are read up to now, and only then anything is
 * begun (REQUIREMENTS R1, PROTOCOL D5).
 */
export class Bot {
  readonly engine: Engine;
  readonly inbox: Inbox;
  readonly surface: Surface;
  readonly records: Records;
  readonly presence: Presence;
  readonly outbox: Outbox;
  readonly invites: Invites;
  readonly fence: Fence;
  private readonly receiver: Receiver;
  private readonly copies: Copies;
  private readonly adoption: Adoption;
  private readonly genesis: GenesisWatch;
  readonly tasks: TaskBoard;
  private readonly stops: (() => void)[] = [];
  private readonly ended = new AbortController();
  private readonly encrypted = new Set<string>();
  private live = false;
  private draining = false;
  private aloneSince: number | undefined;

  constructor(
    private readonly deps: BotDeps,
    private readonly settings: BotSettings,
  ) {
    const { homeserver, channel, state, platform, journal, clock, log } = deps;
    const { self, clusterId, leaseMs, patienceMs, heartbeatMs, prefix, allowed } = settings;
    const { replica, incarnation } = channel.self;
    this.records = new Records(state);
    registerActors(state);
    this.tasks = new TaskBoard(state);
    const recorder = new Recorder({
      actors: state.actors,
      records: this.records,
      clock,
      log,
      asksAgent: (source) => this.surface.asksAgent(source),
      happened: deps.happened,
    });
    this.fence = new Fence(clock, leaseMs, (ms) => {
      log.warn(
        { jumpMs: Math.round(ms) },
        'this process stood still or a clock jumped: reading the timeline first',
      );
    });
    this.engine = new Engine({
      clock,
      log,
      records: this.records,
      presence: () => this.presence,
      attendant: () => attendant,
      self: replica,
      relay: () => channel.connected(),
      mayBegin: () => this.mayBegin(),
      leaseMs,
      patienceMs,
      onSettled: (source) => this.dropFromJournal(source),
      offered: (source) => this.copies.take(source),
      onEpoch: (epoch) => (state.epoch = epoch),
    });
    state.actorTurn = (actor, since) => this.engine.actorTurn(actor, since);
    this.presence = new Presence(channel, clock, {
      heartbeatMs,
      say: () => ({
        candidate: this.candidate(),
        begun: this.able() ? this.engine.begun() : [],
        epoch: this.engine.epoch,
        version: settings.version,
      }),
      onProgress: (source) => this.engine.progress(source),
      onChange: () => this.presenceChanged(),
    });
    this.outbox = new Outbox({
      homeserver,
      channel,
      clock,
      epoch: () => this.engine.epoch,
      fenced: () => this.fence.raised(),
      onRateLimit: () => deps.happened?.('send', 'rate-limited'),
    });
    this.surface = new Surface({
      homeserver,
      outbox: this.outbox,
      records: this.records,
      recorder,
      platform,
      clock,
      log,
      self,
      clusterId,
      prefix,
      status: () => this.status(),
      greet: (ref) => this.greet(ref),
    });
    this.copies = new Copies(channel, clock, PEER_DEADLINE_MS, {
      keep: (id, answer) => {
        const source = this.engine.get(id);
        source?.hold(answer);
        return source !== undefined;
      },
      tell: (id) => {
        const source = this.engine.get(id);
        return { answers: source?.held ?? [], settled: source?.settled !== undefined };
      },
    });
    this.invites = new Invites({
      homeserver,
      clock,
      log,
      journal,
      allowed,
      mayBegin: () => this.mayBegin(),
      delay: (room, inviter) => this.engine.rank(room, inviter) * patienceMs,
      everyMs: heartbeatMs,
    });
    this.receiver = new Receiver({
      log,
      self,
      engine: this.engine,
      records: this.records,
      journal,
      readBack: (room, options) => this.inbox.readBack(room, options),
      live: () => this.live,
      allowed,
      ahead: (event) => this.surface.ahead(event),
      personal: (event) => this.surface.personal(event),
      onMade: (made) => this.surface.rooms.noteMade(made),
      onInvite: (room, inviter) => this.invites.note(room, inviter),
      onJoined: (room) => this.invites.done(room),
      onLeft: (room, event) => recorder.archived(room, event),
      onEncrypted: (room) => this.encrypted.add(room),
    });
    const position = journal.state.position;
    this.inbox = new Inbox({
      homeserver,
      clock,
      log,
      ...(position !== undefined && { since: position }),
      timeoutMs: settings.pollMs,
      probeEveryMs: leaseMs / 3,
      onBatch: (batch) => this.receiver.take(batch),
    });
    const attendant = new Attendant({
      clock,
      log,
      records: this.records,
      recorder,
      outbox: this.outbox,
      copies: this.copies,
      attempts: new Attempts(this.records, recorder, this.presence, { replica, incarnation }),
      journal,
      timeline: new RoomReader(homeserver, this.inbox, this.receiver),
      fence: this.fence,
      work: (source, context) => this.surface.work(source, context),
      floorFree: (source) => this.engine.floorFree(source),
      placeholderAfterMs: settings.placeholderAfterMs,
      ...(deps.happened !== undefined && { happened: deps.happened }),
    });
    this.adoption = new Adoption({
      homeserver,
      records: this.records,
      surface: () => this.surface,
      clock,
      log,
      self,
    });
    this.genesis = new GenesisWatch({
      homeserver,
      inbox: () => this.inbox,
      receiver: () => this.receiver,
      records: this.records,
      log,
    });
    this.stops.push(
      state.onChange(({ kind }) => this.recordsChanged(kind)),
      clock.every(patienceMs, () => void this.sweep()),
    );
  }

  /** Resolves when every room was read up to now and this replica takes part. Rejects with the signal's reason. */
  async start(signal: AbortSignal): Promise<void> {
    const { journal } = this.deps;
    this.genesis.note();
    for (const { ref, frozen } of journal.state.sources.values()) {
      const source = this.engine.add(ref, { whole: false, stale: true });
      source.ahead = ref.kind !== 'message';
      for (const answer of frozen) source.hold(answer);
    }
    for (const [room, inviter] of journal.state.invites) this.invites.note(room, inviter);
    this.inbox.start();
    await this.inbox.catchUp(signal);
    await this.adoption.noteUnknownRooms(signal);
    await this.presence.heardAll(2 * this.settings.heartbeatMs);
    this.live = true;
    this.presence.speak();
    this.engine.evaluate();
  }

  /** Whether this replica takes part, and if not why. */
  readiness(): string[] {
    const reasons: string[] = [];
    if (!this.live) reasons.push('the rooms are not read up to now yet');
    if (this.draining) reasons.push('draining');
    if (!this.homeserverHeard()) reasons.push('the homeserver has not answered within the lease');
    const obstacle = this.obstacle();
    if (obstacle !== undefined) reasons.push(obstacle);
    return reasons;
  }

  /** Rooms with prompts that this replica cannot read. */
  encryptedRooms(): number {
    return this.encrypted.size;
  }

  status(): StatusReport {
    const { channel, clock } = this.deps;
    const encrypted = this.encrypted.size;
    return {
      replica: channel.self.replica,
      alive: this.presence.alive(this.settings.leaseMs),
      relay: channel.connected(),
      homeserverAgoMs: clock.monotonic() - this.inbox.lastSuccess(),
      pending: this.engine.unsettled(),
      heldMs: this.outbox.held(),
      tasks: this.tasks.summary(),
      warnings: encrypted === 0 ? [] : [`${encrypted} encrypted room(s) that I cannot read`],
    };
  }

  /** O7: begins nothing more, passes on what waits for an agent, and gives what is being sent `ms` to end. */
  async drain(ms: number): Promise<void> {
    this.draining = true;
    this.presence.speak();
    let cancel: Cancel | undefined;
    const over = new Promise<void>((resolve) => (cancel = this.deps.clock.after(ms, resolve)));
    try {
      await Promise.race([this.engine.handOver(this.deps.channel.present().size > 0), over]);
    } finally {
      // A timer left behind would keep the process from ending.
      cancel?.();
    }
  }

  async close(): Promise<void> {
    this.draining = true;
    this.ended.abort();
    for (const stop of this.stops) stop();
    await this.engine.stop('the replica is closing');
    await this.inbox.stop();
    this.invites.close();
    this.presence.close();
    this.tasks.close();
    this.copies.close();
    this.outbox.close();
    this.fence.close();
  }

  private mayBegin(): boolean {
    return this.candidate();
  }

  /** O1: only candidates own, and every heartbeat says whether this is one. */
  private candidate(): boolean {
    return !this.draining && this.able();
  }

  private able(): boolean {
    return this.live && this.homeserverHeard() && this.obstacle() === undefined;
  }

  /** A4: who does not know a machine's latest version does not own. */
  private obstacle(): string | undefined {
    const newer = this.deps.state.actors.newer();
    if (newer.length === 0) return this.settings.obstacle();
    return `the documents hold actors of ${newer.join(', ')}, which this replica does not know: update it`;
  }

  private homeserverHeard(): boolean {
    return this.deps.clock.monotonic() - this.inbox.lastSuccess() <= this.settings.leaseMs;
  }

  /** A relay lost for longer than a lease: others may own by now, so the timeline comes first (DESIGN §5). */
  private presenceChanged(): void {
    const now = this.deps.clock.monotonic();
    if (!this.deps.channel.connected()) this.aloneSince ??= now;
    else {
      if (this.aloneSince !== undefined && now - this.aloneSince > this.settings.leaseMs) this.fence.raise();
      this.aloneSince = undefined;
    }
    this.engine.evaluate();
  }

  private recordsChanged(kind: string): void {
    if (kind === 'cluster') void this.genesis.look();
    if (kind === 'mark' || kind === 'member') this.engine.evaluate();
  }

  /** The greeting of a person's first room, as a source of its own, journaled before anything is sent. */
  private async greet(ref: SourceRef): Promise<Source> {
    await this.deps.journal.append([{ t: 'source', ref }]);
    const source = this.engine.add(ref, { whole: false, stale: true });
    source.ahead = true;
    if (this.records.marked(ref)) source.settled = 'answered';
    // It may have been known, and its entry gone: then the new entry goes the same way.
    source.released = false;
    this.engine.evaluate();
    return source;
  }

  private dropFromJournal(source: Source): void {
    this.deps.journal.append([{ t: 'settled', source: source.id }]).catch((error: unknown) => {
      this.deps.log.warn(
        { source: source.id, error: String(error) },
        'a settled source stays in the journal for now',
      );
    });
  }

  private async sweep(): Promise<void> {
    if (!this.mayBegin()) return;
    await this.adoption.sweep(this.ended.signal);
    await this.genesis.look();
  }
}

const own = [
  { machine: conversationMachine, options: conversationOptions },
  { machine: onboardingMachine, options: onboardingOptions },
  { machine: runMachine, options: runOptions },
];

/** Ids of the machines that the bot registers itself. */
export const ownMachines: ReadonlySet<string> = new Set(own.map(({ machine }) => machine.id));

function registerActors({ actors }: State): void {
  for (const { machine, options } of own) actors.register(machine, options);
}
