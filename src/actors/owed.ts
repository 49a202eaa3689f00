import { kinds } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import { Duties, type Duty } from './duties.js';
import type { Effect } from './effect.js';
import { ActorError } from './errors.js';
import { type LoggedEvent, TIMER } from './event.js';
import { type EffectHandler, type HandlerOptions, Handlers } from './handlers.js';
import type { ActorLog } from './log.js';
import type { Machines } from './machines.js';
import { OpenEffects } from './open-effects.js';
import { type ActorEvent, effectivePosition } from './plan.js';
import type { ActorsPort } from './port.js';
import type { Timer } from './timer.js';

export interface OwedContext {
  port: ActorsPort;
  machines: Machines;
  log: (key: string) => ActorLog;
  /** The writes by which an actor takes an event of its machine. */
  writes: (key: string, event: ActorEvent, cause: Cause) => Write[];
  /** The writes by which an actor takes an event of our own. */
  plan: (key: string, event: Pick<LoggedEvent, 'id' | 'type' | 'data'>, cause: Cause) => Write[];
  /** Makes the writes and takes them in. */
  write: (writes: Write[], cause: Cause) => Promise<void>;
}

/** What the fold of each actor says is owed, less the done marks, and how it is carried out (PROTOCOL A1, A4). */
export class Owed {
  readonly quarantined = new Set<string>();
  readonly #handlers: Handlers;
  readonly #open = new WeakMap<ActorLog, OpenEffects>();
  readonly #done = new Set<string>();
  readonly #duties: Duties;
  #flushing: Promise<void> | undefined;

  constructor(private readonly context: OwedContext) {
    this.#handlers = new Handlers(context.port.clock);
    this.#duties = new Duties(context.port, (duty, signal) => this.#carryOut(duty, signal));
  }

  handle(machine: string, effect: string, handler: EffectHandler, options?: HandlerOptions): void {
    this.#handlers.set(machine, effect, handler, options);
  }

  pending(): number {
    return this.#duties.pending();
  }

  /** Looks at an actor anew, after its fold or its done marks have changed. */
  look(key: string, log: ActorLog): void {
    const position = log.position();
    // Who does not know its version owns nothing of it (A4).
    if (this.note(key, log) || position.status === 'newer') {
      this.#duties.set(key, []);
      return;
    }
    const duties: Duty[] = [];
    for (const effect of this.#openOf(log)) {
      // An effect that nobody here carries out waits for a handler, or for a replica that has one.
      if (this.#handlers.has(key, effect)) duties.push({ kind: 'effect', actor: key, effect });
    }
    if (position.status === 'active') {
      for (const timer of position.timers.values()) duties.push({ kind: 'timer', actor: key, timer });
    }
    this.#duties.set(key, duties);
  }

  /** Whether an actor stands still; said once. */
  note(key: string, log: ActorLog): boolean {
    const position = effectivePosition(log, this.context.machines);
    if (position.status !== 'quarantined') {
      this.quarantined.delete(key);
      return false;
    }
    if (this.quarantined.has(key)) return true;
    this.quarantined.add(key);
    const { code, reason, event } = position;
    this.context.port.log.warn(
      { actor: key, code, reason, event },
      'an actor is quarantined; the others go on',
    );
    return true;
  }

  /** Of those that stand still, these were read anew: what goes on again is named no more. */
  noteAgain(among: (key: string) => boolean): void {
    for (const key of [...this.quarantined]) if (among(key)) this.note(key, this.context.log(key));
  }

  /** A generation was changed under the actors: done marks are looked up again. */
  reload(): void {
    this.#done.clear();
  }

  close(): Promise<void> {
    return this.#duties.close();
  }

  async #carryOut(duty: Duty, signal: AbortSignal): Promise<void> {
    const { actor: key } = duty;
    if (duty.kind === 'timer') await this.#fire(key, duty.timer);
    else await this.#perform(key, duty.effect, signal);
    this.look(key, this.context.log(key));
  }

  async #perform(key: string, effect: Effect, signal: AbortSignal): Promise<void> {
    // A kill must not take back the event of an effect that was carried out.
    await this.#flushed();
    signal.throwIfAborted();
    if (this.#isDone(key, effect) || this.context.log(key).position().status === 'newer') return;
    const result = await this.#handlers.call(key, effect, signal);
    const cause: Cause = { id: `effect:${effect.id}` };
    const done: Write = {
      kind: 'done',
      key: `${kinds.done.prefix}${key} ${effect.id}`,
      fields: { done_at: Math.floor(this.context.port.clock.now()) },
    };
    const events = result === undefined ? [] : this.#resultOf(key, result, cause);
    await this.context.write([...events, done], cause);
  }

  /** Resolves when all that stands now is durable; asked for together, it is one flush. */
  #flushed(): Promise<void> {
    this.#flushing ??= Promise.resolve().then(() => {
      this.#flushing = undefined;
      return this.context.port.flush();
    });
    return this.#flushing;
  }

  /**
   * The event's id is the timer's: two replicas that fire it write the same event. One that counts already came before
   * the event that set the timer did, over a cut, and moved nothing: then it is fired under the next id.
   */
  async #fire(key: string, { id: first, name, entry, due }: Timer): Promise<void> {
    const { plan, write, log } = this.context;
    let id = first;
    for (let again = 2; log(key).has(id); again += 1) id = `${first}/${again}`;
    const cause: Cause = { id, ts: due };
    const event = { id, type: TIMER, data: { name, entry } };
    await write(plan(key, event, cause), cause);
  }

  /**
   * Carried out is carried out: a result that the actor does not take is said, and the effect is done. Unless the
   * actor went on to a version that is not known here: then whoever knows it carries it out again, and has the result
   * taken (A4).
   */
  #resultOf(key: string, event: ActorEvent, cause: Cause): Write[] {
    try {
      return this.context.writes(key, event, cause);
    } catch (error) {
      if (!(error instanceof ActorError) || error.code === 'newer-version') throw error;
      this.context.port.log.error({ err: error, actor: key }, 'the result of an effect was refused');
      return [];
    }
  }

  #openOf(log: ActorLog): Effect[] {
    const open = this.#open.get(log) ?? new OpenEffects(log);
    this.#open.set(log, open);
    return open.all((effect) => this.#isDone(log.key, effect));
  }

  /** A done mark is never taken back, so that one seen need not be looked for again. */
  #isDone(key: string, { id }: Effect): boolean {
    const name = `${key} ${id}`;
    if (this.#done.has(name)) return true;
    if (this.context.port.provenance('done', kinds.done.prefix + name) === undefined) return false;
    this.#done.add(name);
    return true;
  }
}
