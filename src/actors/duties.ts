import type { Cancel } from '../time/clock.js';
import { Agenda } from './agenda.js';
import type { Effect } from './effect.js';
import type { ActorsPort } from './port.js';
import type { Timer } from './timer.js';

/** What an actor owes: an effect to carry out, or a timer to fire when it is due. */
export type Duty =
  | { readonly kind: 'effect'; readonly actor: string; readonly effect: Effect }
  | { readonly kind: 'timer'; readonly actor: string; readonly timer: Timer };

interface Owed {
  readonly duty: Duty;
  /** Monotonic ms since when this replica knows of it. */
  readonly since: number;
  /** Monotonic ms before which it is not tried again. */
  notBefore: number;
  failures: number;
  /** How often it was carried out, and was owed again at once. */
  rounds: number;
  running: boolean;
}

const AGAIN_MS = { first: 200, most: 30_000 };
/** How long closing waits for what runs: a disk that fails or a handler that goes on holds it up no longer, ms. */
const CLOSE_MS = 2000;
/** A turn may come sooner than thought, when a replica leaves: what is due does not wait longer without a look, ms. */
const LOOK_MS = 1000;
/** The wall clock may be set: a timer does not wait longer without a look, ms. */
const LOOK_AHEAD_MS = 60_000;
/** How often a replica says that it is at work on an effect, and how long another believes it, ms. */
const BEAT_MS = 1500;
const WORK_LASTS_MS = 5000;

/**
 * Carries out what actors owe, when it is this replica's turn (PROTOCOL A1, A4, O3). What is owed is told anew after
 * each fold, so that a merge may bring a duty that nobody wrote, and take one away.
 */
export class Duties {
  readonly #owed = new Map<string, Map<string, Owed>>();
  readonly #running = new Set<Promise<void>>();
  /** By actor and duty, until they end: one that is dropped and owed again meanwhile is not begun beside itself. */
  readonly #underWay = new Map<string, Owed>();
  readonly #agenda = new Agenda();
  readonly #ended = new AbortController();
  #alarm: { at: number; cancel: Cancel } | undefined;
  #beat: Cancel | undefined;

  constructor(
    private readonly port: ActorsPort,
    /** Rejects when it could not be done; it is tried again. */
    private readonly carryOut: (duty: Duty, signal: AbortSignal) => Promise<void>,
  ) {}

  /** What an actor owes now, all of it; what was owed and is not named any more is dropped. */
  set(actor: string, duties: readonly Duty[]): void {
    const before = this.#owed.get(actor);
    if (duties.length === 0 && before === undefined) return;
    const now = this.port.clock.monotonic();
    const owed = new Map<string, Owed>();
    for (const duty of duties) {
      const id = idOf(duty);
      const known = before?.get(id) ?? this.#underWay.get(`${actor} ${id}`);
      owed.set(id, known ?? { duty, since: now, notBefore: 0, failures: 0, rounds: 0, running: false });
    }
    if (owed.size === 0) {
      this.#owed.delete(actor);
      this.#agenda.remove(actor);
      return;
    }
    this.#owed.set(actor, owed);
    this.#soon(actor);
  }

  pending(): number {
    let sum = 0;
    for (const owed of this.#owed.values()) sum += owed.size;
    return sum;
  }

  async close(): Promise<void> {
    this.#alarm?.cancel();
    this.#beat?.();
    this.#ended.abort(new Error('the node is closing'));
    const { clock, log } = this.port;
    let cancel: Cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(CLOSE_MS, resolve);
    });
    await Promise.race([Promise.all(this.#running), late]);
    cancel();
    if (this.#running.size > 0) {
      log.warn({ running: this.#running.size }, 'closed before all effects and timers under way had ended');
    }
  }

  /** Not in the middle of whatever told us. */
  #soon(actor: string): void {
    this.#agenda.set(actor, this.port.clock.monotonic());
    queueMicrotask(() => this.#look());
  }

  #look(): void {
    if (this.#ended.signal.aborted) return;
    const now = this.port.clock.monotonic();
    for (const actor of this.#agenda.take(now)) this.#considerSafely(actor, now);
    const at = this.#agenda.first();
    if (at === this.#alarm?.at) return;
    this.#alarm?.cancel();
    this.#alarm = Number.isFinite(at)
      ? {
          at,
          cancel: this.port.clock.after(Math.max(1, at - now), () => {
            this.#alarm = undefined;
            this.#look();
          }),
        }
      : undefined;
  }

  /** What is wrong with one actor holds no other up. */
  #considerSafely(actor: string, now: number): void {
    try {
      this.#consider(actor, now);
    } catch (error) {
      this.port.log.error({ err: error, actor }, 'what an actor owes could not be looked at: tried again');
      this.#agenda.set(actor, now + LOOK_MS);
    }
  }

  #consider(actor: string, now: number): void {
    let next = Infinity;
    for (const owed of this.#owed.get(actor)?.values() ?? []) {
      if (owed.running) continue;
      const wait = this.#wait(actor, owed);
      if (wait <= 0) this.#begin(owed);
      else next = Math.min(next, wait);
    }
    if (Number.isFinite(next)) this.#agenda.set(actor, now + next);
  }

  #wait(actor: string, { duty, since, notBefore }: Owed): number {
    const { clock } = this.port;
    const untilDue = duty.kind === 'timer' ? duty.timer.due - clock.now() : 0;
    if (untilDue > 0) return Math.min(untilDue, LOOK_AHEAD_MS);
    // The turn of a timer counts from when it was due, not from when it was set.
    const from = duty.kind === 'timer' ? Math.max(since, clock.monotonic() + untilDue) : since;
    const turn = Math.max(this.port.turn(actor, from), this.#othersWork(duty));
    return Math.max(Math.min(turn, LOOK_MS), notBefore - clock.monotonic());
  }

  /** Milliseconds for which another replica is believed to be at work on an effect, since it said so. */
  #othersWork(duty: Duty): number {
    const heard = duty.kind === 'effect' ? this.port.work?.heard(duty.effect.id) : undefined;
    return heard === undefined ? 0 : heard + WORK_LASTS_MS - this.port.clock.monotonic();
  }

  /** An effect that takes long is not begun by others as long as this replica is connected and says so. */
  #beatWhileAtWork(): void {
    const { work } = this.port;
    if (work === undefined || this.#beat !== undefined) return;
    this.#beat = this.port.clock.every(BEAT_MS, () => {
      const duties = [...this.#underWay.values()].map(({ duty }) => duty);
      const effects = duties.filter((duty) => duty.kind === 'effect').map(({ effect }) => effect.id);
      if (effects.length > 0) return work.say(effects);
      this.#beat?.();
      this.#beat = undefined;
    });
  }

  #begin(owed: Owed): void {
    const name = `${owed.duty.actor} ${idOf(owed.duty)}`;
    owed.running = true;
    this.#underWay.set(name, owed);
    this.#beatWhileAtWork();
    const work = this.carryOut(owed.duty, this.#ended.signal)
      .then(() => this.#carriedOut(owed))
      .catch((error: unknown) => this.#failed(owed, error))
      .finally(() => {
        owed.running = false;
        this.#underWay.delete(name);
        this.#running.delete(work);
        this.#soon(owed.duty.actor);
      });
    this.#running.add(work);
  }

  /** Owed no more, or there is something wrong: then it is tried again in a while, and holds nobody up. */
  #carriedOut(owed: Owed): void {
    owed.failures = 0;
    owed.rounds += 1;
    owed.notBefore = this.port.clock.monotonic() + pauseAfter(owed.rounds);
  }

  #failed(owed: Owed, error: unknown): void {
    if (this.#ended.signal.aborted) return;
    owed.failures += 1;
    const pause = pauseAfter(owed.failures);
    owed.notBefore = this.port.clock.monotonic() + pause;
    const { duty } = owed;
    this.port.log.warn(
      { err: error, actor: duty.actor, duty: idOf(duty), failures: owed.failures, againInMs: pause },
      `${duty.kind === 'effect' ? `effect ${duty.effect.name}` : `timer ${duty.timer.name}`} failed`,
    );
  }
}

/** Milliseconds; longer each time. */
const pauseAfter = (times: number): number => Math.min(AGAIN_MS.first * 2 ** (times - 1), AGAIN_MS.most);

const idOf = (duty: Duty): string => (duty.kind === 'effect' ? `effect ${duty.effect.id}` : duty.timer.id);
