import { createHash } from 'node:crypto';
import { ActorError } from '../../actors/errors.js';
import type { LiveActors } from '../../actors/live-actors.js';
import type { ActorEvent, PlannedEvent } from '../../actors/plan.js';
import type { Cause, Write } from '../../documents/write.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { Records } from '../records.js';
import type { SettleReason, Source } from '../source.js';

export interface RecorderDeps {
  actors: Pick<LiveActors, 'writes' | 'exists' | 'snapshot' | 'change'>;
  records: Records;
  clock: Clock;
  log: Log;
  /** It goes to the room's agent: no command, no invite. False also while its event is not known. */
  asksAgent: (source: Source) => boolean;
  happened?: ((event: string, outcome: string) => void) | undefined;
}

export const conversationKey = (room: string) => `conversation/${room}`;
export const onboardingKey = (mxid: string) => `onboarding/${mxid}`;
export const runKey = ({ id, ref }: Pick<Source, 'id' | 'ref'>) => `run/${ref.room}/${id}`;

/** How a run ends that a person stopped: the platform's own code. */
export const CANCELLED = 'cancelled';

/** Longer ids of others' are hashed, so that no key grows without bound. */
const LONGEST_ID = 100;

/**
 * What the bot's actors learn at each step of an answer, as writes that go into the change which that step makes
 * anyway. Events are named after what happened, never after who saw it, so that two replicas that do one step write
 * one event. An event that an actor refuses holds nothing up: it is said and counted (delivery comes first).
 */
export class Recorder {
  constructor(private readonly deps: RecorderDeps) {}

  /** An attempt begins, or goes on after an outage: the conversation has its prompt, the run runs. */
  begun(source: Source, attempt: string): Write[] {
    const { asksAgent, clock } = this.deps;
    const conversation = this.conversation(source, [
      ...this.boundEarlier(source.ref.room),
      this.arrival(source),
    ]);
    if (!asksAgent(source)) return conversation;
    const agent = this.deps.records.room(source.ref.room)?.agent_id;
    const events: PlannedEvent[] = [
      this.created(source),
      {
        id: `begun/${attempt}${again(source)}`,
        event: { type: 'BEGUN', ...(agent !== undefined && { agent }) },
      },
    ];
    return [...conversation, ...this.writes(runKey(source), events, { id: source.id, ts: clock.now() })];
  }

  /** The attempt is over and the answer is not there: an outage or a hand-over, or a failure. */
  attemptEnded(source: Source, attempt: string, outcome: 'outage' | 'failed'): Write[] {
    return outcome === 'outage'
      ? this.run(source, `waiting/${attempt}${again(source)}`, { type: 'WAITING' })
      : this.run(source, `failed/${attempt}`, { type: 'ATTEMPT_FAILED' });
  }

  /**
   * The settled mark is written with these: the conversation has the source's own event (PROTOCOL C4), whoever saw it
   * settled, and what follows from its end.
   */
  settled(source: Source, reason: SettleReason): Write[] {
    const { asksAgent } = this.deps;
    const failure = this.failureOf(source, reason);
    // An edit that is owed nothing is no prompt.
    const isForUs = reason !== 'not-for-us' && !(reason === 'dropped' && source.target !== undefined);
    const isPrompt = isForUs && asksAgent(source);
    const events = [isForUs ? this.arrival(source) : this.noted(source)];
    if (isPrompt && source.repliedAt !== undefined) events.push(this.replies(source, source.repliedAt));
    // Of what is not known to be no prompt, to another replica either, the conversation may wait for the end.
    const isUnknown = source.event === undefined || !isForUs || reason === 'dropped';
    if (isPrompt || (source.ref.kind === 'message' && isUnknown)) {
      const fields = {
        source: source.id,
        outcome: failure ?? reason,
        failed: failure !== undefined && failure !== CANCELLED,
      };
      events.push({
        id: `${source.id}/settled`,
        event: { type: 'SETTLED', ...fields },
        ts: this.deps.clock.now(),
      });
    }
    return [...this.conversation(source, events), ...this.ended(source, isPrompt, endOf(reason, failure))];
  }

  /** The room has a context and an agent; `source` is what made it so, where it is a prompt. */
  bound(room: string, bound: { platformChat: string; agent: string }, cause: Cause): Write[] {
    const { platformChat, agent } = bound;
    const event = { id: `bound/${platformChat}`, event: { type: 'BOUND', agent } };
    const run = `run/${room}/${cause.id}`;
    return [
      ...this.writes(conversationKey(room), [event], cause),
      ...(this.has(run)
        ? this.writes(run, [{ id: `agent/${shortId(agent)}`, event: { type: 'LABELLED', agent } }], cause)
        : []),
    ];
  }

  /** A step of a person's way in: the space stands, or the first room has its records. */
  onboarded(person: string, step: 'SPACE' | 'CHAT', room: string, cause: Cause): Write[] {
    // Of spaces there is another one after each that was lost.
    const id = step === 'SPACE' ? `space/${shortId(room)}` : 'chat';
    return this.writes(onboardingKey(person), [{ id, event: { type: step, room } }], cause);
  }

  /** The last step of a person's way in. Durable before the mark, which stands in another document (DESIGN §3). */
  greeted(source: Source): Write[] {
    const person = source.id.slice('onboarding:'.length);
    const cause = { id: source.id, ts: this.deps.clock.now() };
    return this.writes(onboardingKey(person), [{ id: 'greeted', event: { type: 'GREETED' } }], cause);
  }

  /** The agent asks for an approval, or goes on after one. */
  approval(source: Source, step: 'ASKED' | 'RESUMED', approval: string): void {
    const id = shortId(approval);
    const name = step.toLowerCase();
    this.note(source, [
      ...this.conversation(source, [
        {
          id: `${source.id}/${name}/${id}`,
          event: { type: step, source: source.id, approval: id },
          ts: this.deps.clock.now(),
        },
      ]),
      ...this.run(source, `${name}/${id}`, { type: step, approval: id }),
    ]);
  }

  /** Its text is being sent in several parts, so that another replica may come to take the rest over. */
  replying(source: Source): void {
    if (source.repliedAt === undefined || !this.deps.asksAgent(source)) return;
    this.note(source, this.conversation(source, [this.replies(source, source.repliedAt)]));
  }

  /** The person closed the chat. */
  closed(room: string, cause: Cause): Write[] {
    if (!this.has(conversationKey(room))) return [];
    return this.writes(
      conversationKey(room),
      [{ id: `${cause.id}/archived`, event: { type: 'ARCHIVED' } }],
      cause,
    );
  }

  /** The bot is in the room no more; `event` took it out. */
  archived(room: string, event: { id: string; ts: number }): void {
    if (!this.has(conversationKey(room))) return;
    const cause = { id: event.id, ts: event.ts };
    this.durable(cause, this.writes(conversationKey(room), [{ event: { type: 'ARCHIVED' } }], cause));
  }

  /** Nothing waits for it: it is visible at once, and on disk with the next flush. */
  private note(source: Source, writes: Write[]): void {
    this.durable({ id: source.id, ts: source.ref.ts }, writes);
  }

  private durable(cause: Cause, writes: Write[]): void {
    if (writes.length === 0) return;
    this.deps.actors.change(writes, cause).catch((error: unknown) => {
      this.deps.log.error(
        { cause: cause.id, error: String(error) },
        'what actors learnt could not be written',
      );
      this.deps.happened?.('actor-event', 'unwritten');
    });
  }

  private arrival(source: Source): PlannedEvent {
    if (!this.deps.asksAgent(source)) return this.noted(source);
    return { id: source.id, event: { type: 'PROMPT' }, ts: source.ref.ts };
  }

  private noted({ id, ref }: Source): PlannedEvent {
    return { id, event: { type: 'NOTED' }, ts: ref.ts };
  }

  private replies(source: Source, ts: number): PlannedEvent {
    return { id: `${source.id}/replying`, event: { type: 'REPLYING', source: source.id }, ts };
  }

  /** A room that was bound before it had a conversation. */
  private boundEarlier(room: string): PlannedEvent[] {
    const known = this.deps.records.room(room);
    if (known?.platform_chat_id === undefined) return [];
    const { agent_id: agent } = known;
    return [
      {
        id: `bound/${known.platform_chat_id}`,
        event: { type: 'BOUND', ...(agent !== undefined && { agent }) },
      },
    ];
  }

  private conversation(source: Source, events: PlannedEvent[]): Write[] {
    const cause = { id: source.id, ts: source.ref.ts };
    return this.writes(conversationKey(source.ref.room), events, cause);
  }

  private run(source: Source, id: string, event: ActorEvent): Write[] {
    const key = runKey(source);
    if (!this.has(key)) return [];
    return this.writes(key, [{ id, event }], { id: source.id, ts: this.deps.clock.now() });
  }

  /** Also where its run is not known: another replica may have begun it, and would show it as running for ever. */
  private ended(source: Source, isPrompt: boolean, event: ActorEvent): Write[] {
    if (!isPrompt) return this.run(source, 'ended', event);
    const events = [this.created(source), { id: 'ended', event }];
    return this.writes(runKey(source), events, { id: source.id, ts: this.deps.clock.now() });
  }

  private created({ ref }: Source): PlannedEvent {
    const description = `answer in ${this.deps.records.room(ref.room)?.chat_id ?? 'a room'}`;
    return { id: 'created', event: { type: 'CREATED', description, at: ref.ts } };
  }

  /** Anybody who reads the room can tell: an agent's answer is a text, and a notice says why there is none. */
  private failureOf(source: Source, reason: SettleReason): string | undefined {
    if (!this.deps.asksAgent(source)) return undefined;
    if (reason === 'forbidden') return 'forbidden';
    return source.view().accepted?.kind === 'm.notice' ? (source.failure ?? 'notice') : undefined;
  }

  private has(key: string): boolean {
    return this.guarded(key, () => this.deps.actors.exists(key)) ?? false;
  }

  private writes(key: string, events: PlannedEvent[], cause: Cause): Write[] {
    return this.guarded(key, () => this.deps.actors.writes(key, events, cause)) ?? [];
  }

  private guarded<T>(key: string, ask: () => T): T | undefined {
    try {
      return ask();
    } catch (error) {
      if (!(error instanceof ActorError)) throw error;
      const { code, message } = error;
      this.deps.log.warn(
        { actor: key, code, reason: message },
        'an actor refused an event; the answer goes on',
      );
      this.deps.happened?.('actor-event', code);
      return undefined;
    }
  }
}

function endOf(reason: SettleReason, failure: string | undefined): ActorEvent {
  if (failure === CANCELLED) return { type: 'CANCELLED', result: failure };
  if (failure !== undefined) return { type: 'FAILED', result: failure };
  return { type: reason === 'answered' ? 'COMPLETED' : 'CANCELLED', result: reason };
}

/** One attempt may be cut by several outages. */
const again = (source: Source): string => (source.outages === 0 ? '' : `/${source.outages}`);

export const shortId = (id: string): string =>
  id.length <= LONGEST_ID && !/\s/u.test(id) ? id : createHash('sha256').update(id).digest('base64url');
