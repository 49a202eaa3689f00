import type { AnyStateMachine } from 'xstate';
import { parseActorKey, splitActorKey } from '../documents/actor-key.js';
import { kinds, type Kind } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import { Actor, type SendOptions } from './actor.js';
import { Definitions } from './definitions.js';
import { ActorError } from './errors.js';
import { compareEvents, type LoggedEvent, UPGRADE } from './event.js';
import { actorsOf, FoldedActors } from './folded.js';
import type { EffectHandler, HandlerOptions } from './handlers.js';
import { machineOf } from './key.js';
import type { ActorLog } from './log.js';
import { type Machine, type MachineOptions, Machines } from './machines.js';
import { Owed } from './owed.js';
import {
  type ActorEvent,
  effectivePosition,
  type PlannedEvent,
  planEvents,
  type Planning,
  planLogged,
  planRelease,
} from './plan.js';
import type { ActorsPort } from './port.js';
import { Scans } from './scans.js';
import { type ActorSnapshot, snapshotOf } from './snapshot.js';
import { type ActorHandler, Subscribers } from './subscribers.js';
import { Waiting } from './waiting.js';

/** The replicated actors of a node (REQUIREMENTS R5): folded on demand from its documents, kept up by their changes. */
export class LiveActors {
  readonly machines = new Machines();
  readonly #definitions: Definitions;
  readonly #folded: FoldedActors;
  readonly #owed: Owed;
  readonly #subscribers: Subscribers;
  /** Events that stand in the documents and are not taken in yet, by actor. */
  readonly #arrived = new Map<string, Map<string, LoggedEvent>>();
  /** Where actors stood of which a generation begins elsewhere, until they are read anew. */
  readonly #rebased = new Map<string, ActorSnapshot | undefined>();
  readonly #stop: () => void;
  readonly #waiting = new Waiting();
  #drainSoon = false;
  readonly #scans: Scans;

  constructor(private readonly port: ActorsPort) {
    const { machines } = this;
    this.#definitions = new Definitions(port, machines);
    this.#folded = new FoldedActors(port, machines, (key) => this.#subscribers.has(key));
    this.#subscribers = new Subscribers(port.log);
    this.#scans = new Scans(port, (key) => this.#owed.look(key, this.#folded.log(key)));
    this.#owed = new Owed({
      port,
      machines,
      log: (key) => this.#folded.log(key),
      writes: (key, event, cause) => this.writes(key, [{ event }], cause),
      plan: (key, event, cause) => planLogged(this.#planning(key), [event], cause),
      write: (writes, cause) => this.#write(writes, cause),
    });
    this.#stop = port.onChange(({ kind, key }) => this.#changed(kind, key));
  }

  /**
   * Makes a machine known. Its actors resume where the documents say; entry actions do not run again.
   *
   * @throws {ActorError} `invalid-machine`, `invalid-context`, `duplicate-machine`, `definition-changed`.
   */
  register(logic: AnyStateMachine, options: MachineOptions = {}): Machine {
    this.#drain();
    const machine = this.machines.register(logic, options, (one) => this.#definitions.assertSame(one));
    this.#folded.forgetMachine(machine.id);
    this.#owed.noteAgain((key) => machineOf(key) === machine.id);
    for (const key of this.#subscribers.keys()) if (machineOf(key) === machine.id) this.#folded.log(key);
    this.#scanSoon(machine);
    this.port.registered?.(machine.id);
    return machine;
  }

  /**
   * Who carries out the effects of that name; without a handler they wait.
   *
   * @throws {RangeError} for a deadline that is none.
   */
  carryOut(machine: string, effect: string, handler: EffectHandler, options?: HandlerOptions): void {
    this.#owed.handle(machine, effect, handler, options);
    const known = this.machines.latest(machine);
    if (known !== undefined) this.#scanSoon(known);
  }

  /** Resolves when every actor that may owe an effect or a timer has been looked at. */
  ready(): Promise<void> {
    return this.#scans.ready();
  }

  /**
   * An actor by its key; one without an event stands in its machine's initial state.
   *
   * @throws {ActorError} `bad-key`, `unknown-machine`.
   */
  get(key: string): Actor {
    this.#assertKey(key);
    return new Actor(key, {
      snapshot: () => this.snapshot(key),
      exists: () => this.exists(key),
      send: (event, options) => this.send(key, event, options),
      watch: (handle) => this.#watch(key, handle),
      log: () => this.#logOf(key),
      snapshotOf: (position) => snapshotOf(key, this.machines, position),
    });
  }

  /** The actor has at least one event. */
  exists(key: string): boolean {
    this.#drain();
    return this.#folded.index.exists(key);
  }

  /** The actor counts the event of that id already, here or in the base of its generation. */
  counts(key: string, eventId: string): boolean {
    this.#drain();
    return this.#folded.log(key).has(eventId);
  }

  /** The keys of all actors that have an event, of one machine or of all. */
  *keys(machine?: string): Iterable<string> {
    this.#drain();
    for (const key of this.#folded.index.actors()) {
      if (machine === undefined || machineOf(key) === machine) yield key;
    }
  }

  snapshot(key: string): ActorSnapshot {
    this.#drain();
    return this.#shown(key, this.#folded.log(key));
  }

  /** Actors that stand still until they are released; those looked at so far. */
  quarantined(): ReadonlySet<string> {
    return this.#owed.quarantined;
  }

  /**
   * Machines registered here of which the documents hold a version that is not: this replica is behind the others, and
   * should not own (A4). A machine that is not registered here at all is none: it may be nobody's any more, or of
   * another program on the same documents; see {@link lacking}.
   */
  newer(): string[] {
    return this.#definitions.newer();
  }

  /**
   * Machines of these actors (of all, without a choice) that this replica cannot fold: not registered here, or not in
   * the version of the documents. It carries out nothing of them, and should not cut a shard that holds them (A4, A6).
   */
  lacking(among: (key: string) => boolean = () => true): string[] {
    const keys = [...this.keys()].filter(among);
    return this.#definitions.lacking(keys.map(machineOf));
  }

  /** Effects and timers that wait. */
  pending(): number {
    return this.#owed.pending();
  }

  /**
   * The writes by which an actor takes events, to be made in one change with other records; none for events that
   * count already.
   *
   * @throws {ActorError}
   */
  writes(key: string, events: readonly PlannedEvent[], cause: Cause): Write[] {
    this.#drain();
    this.#assertKey(key);
    return planEvents(this.#planning(key), events, cause);
  }

  /**
   * Makes what {@link writes} gave, with other records, in one change: the actors stand where it leads them at once;
   * resolves when it is durable.
   */
  change(writes: readonly Write[], cause: Cause): Promise<void> {
    return this.#write(writes, cause);
  }

  /** See {@link Actor.send}. */
  async send(key: string, event: ActorEvent, options: SendOptions): Promise<ActorSnapshot> {
    const { cause, id, existing = false } = options;
    if (existing && !this.exists(key) && this.#waiting.of(key).length === 0) {
      throw new ActorError('missing-actor', `there is no actor ${key} yet`);
    }
    const writes = this.writes(key, [{ event, ...(id !== undefined && { id }) }], cause);
    return this.#made(key, writes, cause);
  }

  /**
   * Lets a quarantined actor go on, in a state (leaf paths, separated by spaces) or anew. What came while it stood
   * still counts, and changes nothing. In a state that is given it keeps the context it stood still with, taken
   * through the migrations; where that cannot be, and anew, its context is the initial one.
   *
   * @throws {ActorError} `not-quarantined`, `unknown-state`, `missing-actor`, `bad-key`, `unknown-machine`,
   *   `newer-version`.
   */
  async release(key: string, options: { state?: string; cause: Cause }): Promise<ActorSnapshot> {
    this.#assertKey(key);
    if (!this.exists(key)) throw new ActorError('missing-actor', `there is no actor ${key}`);
    const { cause, state } = options;
    return this.#made(key, planRelease(this.#planning(key), state, cause), cause);
  }

  /**
   * A generation was changed under the actors: those of the records that stand otherwise are read anew, without any
   * all of them (PROTOCOL A6).
   */
  reload(records?: readonly { kind: Kind; key: string }[]): void {
    this.#takeIn();
    const moved = records && actorsOf(records);
    const shown = (key: string) => this.#shown(key, this.#folded.log(key));
    const watched = [...this.#subscribers.keys()].filter((key) => moved?.has(key) !== false);
    const before = watched.map((key) => ({ key, from: shown(key) }));
    this.#owed.reload();
    if (records === undefined || moved === undefined) this.#folded.reload();
    else this.#folded.renew(records, moved);
    this.#owed.noteAgain((key) => moved?.has(key) !== false);
    for (const { key, from } of before) this.#subscribers.noteMove(key, from, shown(key));
    for (const machine of this.machines.all()) this.#scanSoon(machine, moved);
    this.#subscribers.tell();
  }

  async close(): Promise<void> {
    this.#scans.close();
    this.#stop();
    await this.#owed.close();
  }

  #assertKey(key: string): Machine {
    const parsed = parseActorKey(key);
    if (parsed === undefined) {
      throw new ActorError(
        'bad-key',
        `an actor's key is <machine id>/<place>[/<rest>] without white space, not ${JSON.stringify(key)}`,
      );
    }
    const machine = this.machines.latest(parsed.machine);
    if (machine === undefined) {
      throw new ActorError('unknown-machine', `no machine ${parsed.machine} is registered`);
    }
    return machine;
  }

  #logOf(key: string): ActorLog {
    this.#drain();
    return this.#folded.log(key);
  }

  #planning(key: string): Planning {
    const { machines, port } = this;
    return { log: this.#folded.log(key), machines, now: port.clock.now(), waiting: this.#waiting.of(key) };
  }

  async #made(key: string, writes: readonly Write[], cause: Cause): Promise<ActorSnapshot> {
    // What counts already may count only with what waits.
    if (writes.length === 0) await this.#waiting.stand(key);
    await this.#write(writes, cause);
    return this.snapshot(key);
  }

  async #write(writes: readonly Write[], cause: Cause): Promise<void> {
    if (writes.length === 0) return this.port.flush();
    const durable = this.port.change(writes, cause);
    // Visible from here on, before it is durable: the next event of this actor comes after it.
    // The definition that moved it is our own.
    for (const { kind, key } of writes) if (kind !== 'actor') this.#changed(kind, key);
    this.#waiting.hold(writes, (actor, id) => this.#folded.index.has(actor, id), durable);
    this.#drain();
    await durable;
  }

  #changed(kind: string, key: string): void {
    switch (kind) {
      case 'event':
        return this.#eventCame(key);
      case 'actor':
        return this.#definitions.changed(key);
      case 'base':
        return this.#baseCame(key.slice(kinds.base.prefix.length));
      case 'done': {
        const split = splitActorKey(key.slice(kinds.done.prefix.length));
        const log = split && this.#folded.loaded(split.actor);
        if (log !== undefined) this.#owed.look(log.key, log);
        return;
      }
    }
  }

  #eventCame(key: string): void {
    const split = splitActorKey(key.slice(kinds.event.prefix.length));
    const event = split && this.#folded.read(split.actor, split.id);
    if (split === undefined || event === undefined) return;
    this.#folded.index.add(key);
    if (event.type === UPGRADE) this.#definitions.seen(machineOf(split.actor), event.data?.['to']);
    const arrived = this.#arrived.get(split.actor) ?? new Map<string, LoggedEvent>();
    this.#arrived.set(split.actor, arrived.set(split.id, event));
    this.#drainLater();
  }

  /** A generation begins elsewhere: told as one change, whatever it takes or brings. */
  #baseCame(key: string): void {
    const before = this.#folded.loaded(key);
    if (before === undefined) return;
    const from = this.#subscribers.has(key) ? this.#shown(key, before) : undefined;
    if (!this.#rebased.has(key)) this.#rebased.set(key, from);
    this.#folded.forget(key);
    this.#drainLater();
  }

  #drainLater(): void {
    if (this.#drainSoon) return;
    this.#drainSoon = true;
    queueMicrotask(() => this.#drain());
  }

  /** Takes in all that arrived, and then tells of it. */
  #drain(): void {
    this.#takeIn();
    this.#subscribers.tell();
  }

  /** Takes in what arrived, per actor in (stamp, id) order. */
  #takeIn(): void {
    this.#drainSoon = false;
    for (const [key, from] of this.#rebased) {
      this.#rebased.delete(key);
      this.#safely(key, () => {
        const log = this.#folded.log(key);
        this.#owed.look(key, log);
        if (from !== undefined) this.#subscribers.noteMove(key, from, this.#shown(key, log));
      });
    }
    for (const [key, arrived] of this.#arrived) {
      this.#arrived.delete(key);
      this.#safely(key, () => this.#takeArrived(key, arrived));
    }
  }

  #takeArrived(key: string, arrived: ReadonlyMap<string, LoggedEvent>): void {
    const log = this.#folded.loaded(key);
    if (log === undefined) {
      // Read whole when somebody asks; what may owe something is looked at now, and what is watched is here.
      if (this.machines.latest(machineOf(key))?.active === true) this.#owed.look(key, this.#folded.log(key));
      return;
    }
    for (const event of [...arrived.values()].sort(compareEvents)) this.#take(key, log, event);
    this.#owed.look(key, log);
  }

  /** One actor that cannot be taken in holds no other up; it is read whole when somebody asks for it again. */
  #safely(key: string, takeIn: () => void): void {
    try {
      takeIn();
    } catch (error) {
      this.#folded.forget(key);
      this.port.log.error({ err: error, actor: key }, 'what came for an actor could not be taken in');
    }
  }

  #take(key: string, log: ActorLog, event: LoggedEvent): void {
    const from = this.#subscribers.has(key) ? this.#shown(key, log) : undefined;
    const taken = log.insert(event);
    if (taken === undefined || from === undefined) return;
    const to = this.#shown(key, log);
    // Of each event once: another version of one that was told is no event of its own.
    if (taken.replaced) this.#subscribers.noteMove(key, from, to);
    else this.#subscribers.note({ key, event, from, to, late: taken.late || event.late === true });
  }

  #shown(key: string, log: ActorLog): ActorSnapshot {
    this.#owed.note(key, log);
    return snapshotOf(key, this.machines, effectivePosition(log, this.machines));
  }

  #watch(key: string, handle: ActorHandler): () => void {
    this.#drain();
    this.#folded.log(key);
    return this.#subscribers.add(key, handle);
  }

  /** What may owe something, or may not fit a later version, is looked at. */
  #scanSoon(machine: Machine, actors?: Iterable<string>): void {
    if (!machine.active && machine.version === 1) return;
    this.#scans.soon(() => this.#keysAmong(machine.id, actors));
  }

  #keysAmong(machine: string, actors: Iterable<string> | undefined): Iterable<string> {
    if (actors === undefined) return this.keys(machine);
    return [...actors].filter((key) => machineOf(key) === machine);
  }
}
