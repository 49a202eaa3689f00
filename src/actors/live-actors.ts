import type { AnyStateMachine } from 'xstate';
import { parseActorKey, splitActorKey } from '../documents/actor-key.js';
import { kinds } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import { Actor, type ActorChange } from './actor.js';
import { readBase } from './base.js';
import { eventOf } from './cut.js';
import { Duties, type Duty } from './duties.js';
import type { Effect } from './effect.js';
import { ActorError } from './errors.js';
import { compareEvents, type LoggedEvent, RELEASE, TIMER, UPGRADE } from './event.js';
import { EventIndex } from './index-of-events.js';
import { ActorLog } from './log.js';
import { type Machine, type MachineOptions, Machines } from './machines.js';
import {
  type ActorEvent,
  type PlannedEvent,
  effectivePosition,
  planEvents,
  planLogged,
  releaseData,
} from './plan.js';
import type { ActorsPort } from './port.js';
import { type ActorSnapshot, snapshotOf } from './snapshot.js';

/**
 * Carries out an effect, idempotently by its id: it may be called again after a kill, and by another replica. The
 * event it returns, if any, is written in one change with the done mark.
 */
export type EffectHandler = (
  effect: Effect,
  context: { actor: string; signal: AbortSignal },
) => Promise<ActorEvent | void>;

/** Actors kept folded in memory although nothing waits for them. */
const MOST_IDLE = 5000;
/** Actors looked through in one go at registration, so that a start does not block the process. */
const SLICE = 200;

/** The replicated actors of a node (REQUIREMENTS R5): folded on demand from its documents, kept up by their changes. */
export class LiveActors {
  readonly machines = new Machines();
  readonly #index: EventIndex;
  readonly #logs = new Map<string, ActorLog>();
  readonly #watchers = new Map<string, Set<(change: ActorChange) => void>>();
  readonly #handlers = new Map<string, EffectHandler>();
  readonly #quarantined = new Set<string>();
  readonly #done = new Set<string>();
  readonly #foreign = new Set<string>();
  readonly #highest = new Map<string, number>();
  readonly #duties: Duties;
  readonly #arrived = new Map<string, Map<string, LoggedEvent>>();
  readonly #stop: () => void;
  #draining = false;
  #scans: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(private readonly port: ActorsPort) {
    this.#index = new EventIndex(port);
    this.#duties = new Duties(port, (duty, signal) => this.#carryOut(duty, signal));
    this.#stop = port.onChange(({ kind, key }) => this.#changed(kind, key));
  }

  /**
   * Makes a machine known. Its actors resume where the documents say; entry actions do not run again.
   *
   * @throws {ActorError} `invalid-machine`, `invalid-context`, `duplicate-machine`, `definition-changed`.
   */
  register(logic: AnyStateMachine, options: MachineOptions = {}): Machine {
    const machine = this.machines.register(logic, options);
    this.#assertSame(machine);
    // What was folded without this version may now come to something else.
    for (const key of this.#logs.keys()) if (machineOf(key) === machine.id) this.#logs.delete(key);
    this.#scans = this.#scans.then(() => this.#scan(machine));
    return machine;
  }

  /** Who carries out effects of that name; without a handler they wait. */
  carryOut(machine: string, effect: string, handler: EffectHandler): void {
    this.#handlers.set(`${machine}/${effect}`, handler);
    const known = this.machines.latest(machine);
    if (known !== undefined) this.#scans = this.#scans.then(() => this.#scan(known));
  }

  /** Resolves when every actor that may owe an effect or a timer has been looked at. */
  ready(): Promise<void> {
    return this.#scans;
  }

  /**
   * An actor by its key; one without an event stands in its machine's initial state.
   *
   * @throws {ActorError} `bad-key`, `unknown-machine`.
   */
  get(key: string): Actor {
    const parsed = parseActorKey(key);
    if (parsed === undefined) {
      throw new ActorError(
        'bad-key',
        `an actor's key is <machine id>/<place>[/<rest>] without white space, not ${JSON.stringify(key)}`,
      );
    }
    if (this.machines.latest(parsed.machine) === undefined) {
      throw new ActorError('unknown-machine', `no machine ${parsed.machine} is registered`);
    }
    return new Actor(key, {
      snapshot: () => this.snapshot(key),
      exists: () => this.exists(key),
      send: (event, options) => this.send(key, event, options),
      watch: (handle) => this.#watch(key, handle),
      transitions: () => this.#log(key).transitions(),
      snapshotOf: (position) => snapshotOf(key, this.machines, position),
    });
  }

  /** The actor has at least one event. */
  exists(key: string): boolean {
    this.#drain();
    return this.#index.exists(key);
  }

  /** The keys of all actors that have an event, of one machine or of all. */
  *keys(machine?: string): Iterable<string> {
    this.#drain();
    for (const key of this.#index.actors())
      if (machine === undefined || machineOf(key) === machine) yield key;
  }

  snapshot(key: string): ActorSnapshot {
    this.#drain();
    return this.#shown(key, this.#log(key));
  }

  /** Actors that stand still until they are released; those folded so far. */
  quarantined(): ReadonlySet<string> {
    return this.#quarantined;
  }

  /** Machines of which the documents hold a version that is not registered here: such a replica does not own (A4). */
  newer(): string[] {
    const names = [...this.#highest].filter(
      ([id, version]) => version > (this.machines.latest(id)?.version ?? Infinity),
    );
    return names.map(([id, version]) => `${id} version ${version}`);
  }

  /** Effects and timers that wait. */
  pending(): number {
    return this.#duties.pending();
  }

  /**
   * The writes by which an actor takes events, to be made in one change with other records; none for events that
   * count already.
   *
   * @throws {ActorError}
   */
  writes(key: string, events: readonly PlannedEvent[], cause: Cause): Write[] {
    this.#drain();
    this.get(key);
    return planEvents(this.#log(key), this.machines, events, cause, this.port.clock.now());
  }

  /** See {@link Actor.send}. */
  async send(key: string, event: ActorEvent, options: SendOptions): Promise<ActorSnapshot> {
    const { cause, id, existing = false } = options;
    if (existing && !this.exists(key)) throw new ActorError('missing-actor', `there is no actor ${key} yet`);
    await this.#write(key, this.writes(key, [{ event, ...(id !== undefined && { id }) }], cause), cause);
    return this.snapshot(key);
  }

  /**
   * Lets a quarantined actor go on, in a state (leaf paths, separated by spaces) or anew. What came while it stood
   * still counts, and changes nothing.
   *
   * @throws {ActorError} `unknown-state`, `missing-actor`.
   */
  async release(key: string, options: { state?: string; cause: Cause }): Promise<ActorSnapshot> {
    this.get(key);
    if (!this.exists(key)) throw new ActorError('missing-actor', `there is no actor ${key}`);
    const machine = this.machines.latest(machineOf(key)) as Machine;
    const event = { id: options.cause.id, type: RELEASE, data: releaseData(machine, options.state) };
    const now = this.port.clock.now();
    await this.#write(
      key,
      planLogged(this.#log(key), this.machines, [event], options.cause, now),
      options.cause,
    );
    return this.snapshot(key);
  }

  /** A generation was changed under the actors: everything is read anew (PROTOCOL A6). */
  reload(): void {
    const watched = [...this.#watchers.keys()].map((key) => ({ key, from: this.snapshot(key) }));
    this.#logs.clear();
    this.#done.clear();
    this.#arrived.clear();
    this.#index.rebuild(this.port);
    for (const { key, from } of watched) {
      const to = this.snapshot(key);
      if (JSON.stringify(from) !== JSON.stringify(to))
        this.#tell(key, { event: undefined, from, to, late: false });
    }
    for (const machine of this.machines.all()) this.#scans = this.#scans.then(() => this.#scan(machine));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    await this.#duties.close();
  }

  async #write(key: string, writes: Write[], cause: Cause): Promise<void> {
    if (writes.length === 0) return this.port.flush();
    const durable = this.port.change(writes, cause);
    // Visible from here on, before it is durable: the next event of this actor comes after it.
    for (const write of writes) if (write.kind === 'event') this.#changed('event', write.key);
    this.#drain();
    await durable;
    this.#trim(key);
  }

  #changed(kind: string, key: string): void {
    if (kind === 'base') return this.#rebased(key.slice(kinds.base.prefix.length));
    if (kind === 'done') return this.#doneMarked(key.slice(kinds.done.prefix.length));
    if (kind === 'actor') return this.#noteDefinition(key);
    if (kind !== 'event') return;
    const split = splitActorKey(key.slice(kinds.event.prefix.length));
    const event = split && this.#read(key, split.id);
    if (split === undefined || event === undefined) return;
    this.#index.add(key);
    if (event.type === UPGRADE) this.#seen(machineOf(split.actor), event.data?.['to']);
    const arrived = this.#arrived.get(split.actor) ?? new Map<string, LoggedEvent>();
    this.#arrived.set(split.actor, arrived.set(split.id, event));
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => this.#drain());
  }

  /** Takes in what arrived, per actor in (stamp, id) order, and tells of each event once. */
  #drain(): void {
    this.#draining = false;
    for (const [key, arrived] of this.#arrived) {
      this.#arrived.delete(key);
      const log = this.#logs.get(key);
      const wanted = this.#watchers.has(key) || this.machines.latest(machineOf(key))?.active === true;
      if (log === undefined) {
        // Read whole when somebody asks; a watched one is always here.
        if (wanted) this.#owe(key, this.#log(key));
        continue;
      }
      for (const event of [...arrived.values()].sort(compareEvents)) this.#take(key, log, event);
      this.#owe(key, log);
    }
  }

  #take(key: string, log: ActorLog, event: LoggedEvent): void {
    const watched = this.#watchers.has(key);
    const before = watched ? this.#shown(key, log) : undefined;
    const taken = log.insert(event);
    if (taken === undefined || before === undefined) return;
    const to = this.#shown(key, log);
    this.#tell(key, { event, from: before, to, late: taken.late || event.late === true });
  }

  #rebased(key: string): void {
    if (!this.#logs.has(key) && !this.#watchers.has(key)) return;
    this.#logs.delete(key);
    this.#owe(key, this.#log(key));
  }

  #doneMarked(name: string): void {
    const key = name.slice(0, name.indexOf(' '));
    const log = this.#logs.get(key);
    if (log !== undefined) this.#owe(key, log);
  }

  #tell(key: string, change: Omit<ActorChange, 'key'>): void {
    for (const handle of this.#watchers.get(key) ?? []) {
      try {
        handle({ key, ...change });
      } catch (error) {
        this.port.log.error({ err: error, actor: key }, 'a subscriber of an actor threw');
      }
    }
  }

  #watch(key: string, handle: (change: ActorChange) => void): () => void {
    this.#drain();
    this.#log(key).position();
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(handle));
    return () => {
      watchers.delete(handle);
      if (watchers.size === 0 && this.#watchers.get(key) === watchers) this.#watchers.delete(key);
    };
  }

  #shown(key: string, log: ActorLog): ActorSnapshot {
    return snapshotOf(key, this.machines, effectivePosition(log, this.machines));
  }

  /** What the fold says is owed, less the done marks (PROTOCOL A1). */
  #owe(key: string, log: ActorLog): void {
    const position = log.position();
    const stands = this.#note(key, log);
    const duties: Duty[] = [];
    if (!stands) {
      for (const effect of log.effects()) {
        if (this.#handlerOf(key, effect) !== undefined && !this.#isDone(key, effect))
          duties.push({ kind: 'effect', actor: key, effect });
      }
    }
    if (!stands && position.status === 'active') {
      for (const timer of position.timers.values()) duties.push({ kind: 'timer', actor: key, timer });
    }
    this.#duties.set(key, duties);
  }

  /** A done mark is never taken back, so that one seen need not be looked for again. */
  #isDone(key: string, { id }: Effect): boolean {
    const name = `${key} ${id}`;
    if (this.#done.has(name)) return true;
    if (this.port.provenance('done', kinds.done.prefix + name) === undefined) return false;
    this.#done.add(name);
    return true;
  }

  /** Whether it stands still; said once. */
  #note(key: string, log: ActorLog): boolean {
    const position = effectivePosition(log, this.machines);
    if (position.status !== 'quarantined') {
      this.#quarantined.delete(key);
      return false;
    }
    if (this.#quarantined.has(key)) return true;
    this.#quarantined.add(key);
    const { code, reason, event } = position;
    this.port.log.warn({ actor: key, code, reason, event }, 'an actor is quarantined; the others go on');
    return true;
  }

  async #carryOut(duty: Duty, signal: AbortSignal): Promise<void> {
    const { actor: key } = duty;
    if (duty.kind === 'timer') return this.#fire(key, duty.timer);
    const { effect } = duty;
    const handler = this.#handlerOf(key, effect);
    if (handler === undefined) return;
    const result = await handler(effect, { actor: key, signal });
    const cause: Cause = { id: `effect:${effect.id}` };
    const done: Write = {
      kind: 'done',
      key: `${kinds.done.prefix}${key} ${effect.id}`,
      fields: { done_at: Math.floor(this.port.clock.now()) },
    };
    const events = result === undefined ? [] : this.#resultOf(key, result, cause);
    await this.#write(key, [...events, done], cause);
    const log = this.#logs.get(key);
    if (log !== undefined) this.#owe(key, log);
  }

  #handlerOf(key: string, effect: Effect): EffectHandler | undefined {
    return this.#handlers.get(`${machineOf(key)}/${effect.name}`);
  }

  /** Carried out is carried out: a result that the actor does not take is said, and the effect is done. */
  #resultOf(key: string, event: ActorEvent, cause: Cause): Write[] {
    try {
      return this.writes(key, [{ event }], cause);
    } catch (error) {
      if (!(error instanceof ActorError)) throw error;
      this.port.log.error({ err: error, actor: key }, 'the result of an effect was refused');
      return [];
    }
  }

  async #fire(
    key: string,
    { id, name, entry, due }: Extract<Duty, { kind: 'timer' }>['timer'],
  ): Promise<void> {
    const cause: Cause = { id, ts: due };
    const log = this.#log(key);
    const writes = planLogged(
      log,
      this.machines,
      [{ id, type: TIMER, data: { name, entry } }],
      cause,
      this.port.clock.now(),
    );
    await this.#write(key, writes, cause);
    this.#owe(key, this.#log(key));
  }

  #log(key: string): ActorLog {
    const known = this.#logs.get(key);
    if (known !== undefined) return known;
    const stored = this.port.provenance('base', kinds.base.prefix + key)?.['base']?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(key), this.machines, stored);
    const log = new ActorLog(key, this.machines, base);
    for (const id of this.#index.ids(key)) {
      const event = this.#read(`${kinds.event.prefix}${key} ${id}`, id);
      if (event !== undefined) log.insert(event);
    }
    this.#logs.set(key, log);
    this.#note(key, log);
    this.#trim(key);
    return log;
  }

  /** Folded actors are a cache: those that nobody watches are dropped, oldest first. */
  #trim(keep: string): void {
    if (this.#logs.size <= MOST_IDLE) return;
    for (const key of this.#logs.keys()) {
      if (this.#logs.size <= MOST_IDLE) return;
      if (key !== keep && !this.#watchers.has(key)) this.#logs.delete(key);
    }
  }

  #read(key: string, id: string): LoggedEvent | undefined {
    const entry = this.port.provenance('event', key)?.['event'];
    return entry && eventOf(id, entry, this.port.count);
  }

  /** Same id and version with another definition: the documents' actors were moved by other rules (DESIGN §4). */
  #assertSame(machine: Machine): void {
    for (const recordKey of this.port.keys('actor')) {
      const key = recordKey.slice(kinds.actor.prefix.length);
      if (machineOf(key) !== machine.id) continue;
      const saved = this.#saved(recordKey);
      this.#seen(machine.id, saved?.version);
      if (saved === undefined || saved.version !== machine.version || saved.hash === machine.hash) continue;
      throw new ActorError(
        'definition-changed',
        `machine ${machine.id} version ${machine.version} has another definition than the one ${key} was moved by: raise the version and say how to migrate`,
      );
    }
  }

  /** A replica that runs another definition under the same version: said, because their folds may differ. */
  #noteDefinition(recordKey: string): void {
    const key = recordKey.slice(kinds.actor.prefix.length);
    const saved = this.#saved(recordKey);
    const machine = saved && this.machines.version(machineOf(key), saved.version);
    if (machine === undefined || machine.hash === saved?.hash || this.#foreign.has(machine.id)) return;
    this.#foreign.add(machine.id);
    this.port.log.error(
      { machine: machine.id, version: machine.version, actor: key },
      'another replica runs this machine version with another definition: give all replicas the same, or raise the version',
    );
  }

  #saved(recordKey: string): { version: number; hash: string } | undefined {
    const state = this.port.provenance('actor', recordKey)?.['current_state']?.value;
    return kinds.actor.fields.current_state.schema.safeParse(state).data;
  }

  #seen(machine: string, version: unknown): void {
    if (typeof version !== 'number') return;
    this.#highest.set(machine, Math.max(version, this.#highest.get(machine) ?? 0));
  }

  async #scan(machine: Machine): Promise<void> {
    if (!machine.active && machine.version === 1) return;
    let looked = 0;
    for (const key of [...this.keys(machine.id)]) {
      if (this.#closed) return;
      this.#owe(key, this.#log(key));
      looked += 1;
      if (looked % SLICE === 0) await new Promise<void>((resolve) => this.port.clock.after(0, resolve));
    }
  }
}

export interface SendOptions {
  /** What makes the caller send it; the event counts once per cause. */
  cause: Cause;
  /** Another id for the event, when one cause sends several. */
  id?: string;
  /** Only to an actor that has an event already; else `missing-actor`. */
  existing?: boolean;
}

const machineOf = (key: string): string => key.slice(0, Math.max(key.indexOf('/'), 0));
