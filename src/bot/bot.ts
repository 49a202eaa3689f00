import type { Inbox } from '../matrix/inbox.js';
import type { PlatformClient } from '../platform/client.js';
import { PlatformReach } from '../platform/reach.js';
import type { Fence } from '../routing/fence.js';
import type { TaskBoard } from '../tasks/board.js';
import type { Cancel } from '../time/clock.js';
import type { BotDeps, BotSettings } from './deps.js';
import type { Engine } from './engine.js';
import { ForgottenContexts } from './forgotten-contexts.js';
import type { Invites } from './invites.js';
import { assemble, type BotParts } from './parts.js';
import type { Presence } from './presence.js';
import type { Budget } from './rate/budget.js';
import type { Streams } from './rate/streams.js';
import { type Records, roomKey } from './records.js';
import type { Source, SourceRef } from './source.js';
import type { StatusReport } from './surface/commands/status.js';
import type { Surface } from './surface/surface.js';

/**
 * One replica's bot: inbox, engine, outbox and surface over a node's state and channel. Start-up order: the position
 * and journal are open, the documents too; then rooms are read up to now, and only then anything is begun
 * (REQUIREMENTS R1, PROTOCOL D5).
 */
export class Bot {
  readonly engine: Engine;
  readonly inbox: Inbox;
  readonly surface: Surface;
  readonly records: Records;
  readonly presence: Presence;
  readonly budget: Budget;
  readonly streams: Streams;
  readonly invites: Invites;
  readonly fence: Fence;
  readonly tasks: TaskBoard;
  /** What is asked through it tells whether it is in reach. */
  readonly platform: PlatformClient;
  private readonly parts: BotParts;
  private readonly reach: PlatformReach;
  private readonly contexts: ForgottenContexts;
  private readonly deps: BotDeps;
  private readonly stops: (() => void)[] = [];
  private readonly ended = new AbortController();
  private reading = Promise.resolve();

  constructor(
    outer: BotDeps,
    private readonly settings: BotSettings,
  ) {
    this.reach = new PlatformReach(outer.clock);
    this.platform = this.reach.watch(outer.platform);
    const deps = { ...outer, platform: this.platform };
    this.deps = deps;
    this.parts = assemble(deps, settings, {
      dropFromJournal: (source) => this.dropFromJournal(source),
      status: () => this.status(),
      greet: (ref) => this.greet(ref),
    });
    const { engine, inbox, surface, records, presence, budget, streams, invites, fence, tasks } = this.parts;
    this.engine = engine;
    this.inbox = inbox;
    this.surface = surface;
    this.records = records;
    this.presence = presence;
    this.budget = budget;
    this.streams = streams;
    this.invites = invites;
    this.fence = fence;
    this.tasks = tasks;
    this.contexts = new ForgottenContexts(deps);
    this.stops.push(
      deps.state.onChange(({ kind, key }) => this.recordsChanged(kind, key)),
      deps.clock.every(settings.patienceMs, () => {
        this.sweep().catch((error: unknown) => {
          deps.log.error(
            { error: String(error) },
            'what is owed besides answers was not looked at: tried again',
          );
        });
      }),
    );
  }

  /** Resolves when every room was read up to now and this replica takes part. Rejects with the signal's reason. */
  async start(signal: AbortSignal): Promise<void> {
    const { journal } = this.deps;
    const { adoption, answers, genesis, participation, restored } = this.parts;
    genesis.note();
    restored.add();
    this.reading = restored.read(this.ended.signal);
    for (const [room, invite] of journal.state.invites) this.invites.note(room, invite);
    this.inbox.start();
    await this.inbox.catchUp(signal);
    await adoption.noteUnknownRooms(signal);
    await answers.configure();
    await this.presence.heardAll(2 * this.settings.heartbeatMs);
    participation.live = true;
    this.presence.speak();
    this.engine.evaluate();
    this.contexts.look();
  }

  /** Whether this replica takes part, and if not why. */
  readiness(): string[] {
    return this.parts.participation.reasons();
  }

  /** Rooms with prompts that this replica cannot read. */
  encryptedRooms(): number {
    return this.parts.encrypted.size;
  }

  /** Files that wait for their sender's next prompt. */
  staged(): { items: number; bytes: number } {
    return this.parts.staging.count();
  }

  status(): StatusReport {
    const { channel, clock } = this.deps;
    const [encrypted, owed] = [this.encryptedRooms(), this.inbox.owed()];
    return {
      replica: channel.self.replica,
      alive: this.presence.alive(this.settings.leaseMs),
      relay: channel.connected(),
      platform: this.reach.now(),
      homeserverAgoMs: clock.monotonic() - this.inbox.lastSuccess(),
      pending: this.engine.unsettled(),
      heldMs: this.budget.held(),
      held: { ...this.budget.counts },
      tasks: this.tasks.summary(),
      warnings: [
        ...(encrypted === 0 ? [] : [`${encrypted} encrypted room(s) that I cannot read`]),
        ...(owed === 0 ? [] : [`${owed} room(s) that the homeserver does not let me read now`]),
      ],
    };
  }

  /** O7: begins nothing more, passes on what waits for an agent, and gives what is being sent `ms` to end. */
  async drain(ms: number): Promise<void> {
    this.parts.participation.draining = true;
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
    this.parts.participation.draining = true;
    this.ended.abort();
    await this.contexts.close();
    await this.reading;
    for (const stop of this.stops) stop();
    await this.engine.stop('the replica is closing');
    await this.parts.signs.close();
    await this.inbox.stop();
    this.invites.close();
    this.presence.close();
    this.tasks.close();
    this.parts.copies.close();
    this.budget.close();
    this.fence.close();
  }

  private recordsChanged(kind: string, key: string): void {
    if (kind === 'room') this.chatChanged(key.slice(roomKey('').length));
    if (kind === 'cluster') void this.parts.genesis.look();
    if (kind === 'erasure') {
      this.engine.endForgotten();
      this.contexts.look();
    }
    if (kind === 'mark' || kind === 'member') this.engine.evaluate();
  }

  private chatChanged(room: string): void {
    if (this.records.room(room)?.room_type !== 'chat' || !this.surface.derived.hasChanged(room)) return;
    this.parts.derived.recordChanged(room).catch((error: unknown) => {
      this.deps.log.warn(
        { room, error: String(error) },
        'a chat to be looked at stands in memory alone for now',
      );
    });
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
    this.surface.settledElsewhere(source);
    this.deps.journal.append([{ t: 'settled', source: source.id }]).catch((error: unknown) => {
      this.deps.log.warn(
        { source: source.id, error: String(error) },
        'a settled source stays in the journal for now',
      );
    });
  }

  private async sweep(): Promise<void> {
    const { adoption, derived, genesis, participation } = this.parts;
    if (!participation.candidate()) return;
    await derived.sweep(this.ended.signal);
    await adoption.sweep(this.ended.signal);
    await this.parts.direct.sweep(this.ended.signal);
    await genesis.look();
  }
}
