import { type ReplyTo, threadOf } from '../../delivery/content.js';
import { readMark } from '../../delivery/mark.js';
import type { RoomEvent } from '../../matrix/homeserver.js';
import type { PlatformClient, Verdict } from '../../platform/client.js';
import type { Outcome } from '../attendant.js';
import type { Source, SourceRef } from '../source.js';
import { stepKey } from '../surface/platform-key.js';
import { notice } from '../surface/texts.js';
import { type Decisions, tooLate } from './decisions.js';
import type { OpenRequests } from './open-requests.js';
import { readReaction } from './reaction.js';
import type { ApprovalRequest } from './request.js';

export interface ReactionsDeps {
  platform: Pick<PlatformClient, 'cancel'>;
  requests: OpenRequests;
  decisions: Decisions;
  self: string;
  /** Sources that this replica has in memory: all that are not settled are among them. */
  sources: () => Iterable<Source>;
  /** It goes to the room's agent. */
  isPrompt: (event: RoomEvent) => boolean;
  mayCancel: (person: string, run: SourceRef) => boolean;
}

/** What a reaction is about. */
type Meant = { request: ApprovalRequest; verdict: Verdict } | { run: SourceRef };

/**
 * Reactions of people: on a question of ours a decision (PROTOCOL P5), on a run's prompt or placeholder the wish that it
 * stops. All others say nothing to us, and cost nothing where that can be seen in memory.
 */
export class Reactions {
  constructor(private readonly deps: ReactionsDeps) {}

  /** Whether a reaction is taken up at all; by memory alone, because a batch must not wait (PROTOCOL C3). */
  heeds(event: RoomEvent, room: string): boolean {
    const reaction = readReaction(event);
    if (reaction === undefined) return false;
    if (reaction.sign !== 'stop') return this.deps.requests.mayBe(reaction.target);
    for (const source of this.deps.sources()) if (isRun(source, room)) return true;
    return false;
  }

  /** Whether it is for us, and for its sender to say. Rejects with `HomeserverError` while nobody can tell. */
  async isForUs(source: Source, signal: AbortSignal): Promise<boolean> {
    const event = await this.eventOf(source, signal);
    // Nothing is left to judge: it is dropped by whoever works on it.
    if (event === undefined || isRedacted(event)) return true;
    const meant = await this.meant(source.ref, event, signal);
    if (meant === undefined) return false;
    const { sender } = source.ref;
    if ('run' in meant) return this.deps.mayCancel(sender, meant.run);
    return this.deps.decisions.mayDecide(meant.request, sender);
  }

  async work(source: Source, signal: AbortSignal, fresh: () => void): Promise<Outcome> {
    const { room, sender: person } = source.ref;
    const event = await this.eventOf(source, signal);
    if (event === undefined || isRedacted(event)) return { settle: 'dropped' };
    const meant = await this.meant(source.ref, event, signal);
    if (meant === undefined) return { settle: 'not-for-us' };
    if ('run' in meant) {
      fresh();
      await this.deps.platform.cancel(stepKey(meant.run.id, 'send'), signal);
      return { settle: 'answered' };
    }
    const { request, verdict } = meant;
    const decider = { cause: source.id, room, person, signal, fresh };
    const decided = await this.deps.decisions.decide(request, verdict, decider);
    if (decided !== 'over' && decided.ours) return { settle: 'answered' };
    source.about = await this.placeOf(room, request.event, signal);
    return notice(tooLate(decided));
  }

  private async meant(ref: SourceRef, event: RoomEvent, signal: AbortSignal): Promise<Meant | undefined> {
    const reaction = readReaction(event);
    if (reaction === undefined) return undefined;
    const { target, sign } = reaction;
    if (sign === 'stop') {
      const run = await this.runOf(ref.room, target, signal);
      return run && { run };
    }
    const request = await this.deps.requests.find(ref.room, target, signal);
    return request && { request, verdict: sign };
  }

  /** The run under way whose prompt, or message of ours, an event is. */
  private async runOf(room: string, target: string, signal: AbortSignal): Promise<SourceRef | undefined> {
    const { sources, requests, self, isPrompt } = this.deps;
    const runs = [...sources()].filter((source) => isRun(source, room));
    if (runs.length === 0) return undefined;
    const isOf = (source: Source) => source.id === target || source.knows(target);
    let run = runs.find(isOf);
    if (run === undefined) {
      const found = await requests.ask(room, target, signal);
      const mark = found?.sender === self ? readMark(found.content) : undefined;
      run = runs.find(({ id }) => id === mark?.source);
    }
    if (run === undefined) return undefined;
    const { prompt } = await this.learned(run, signal);
    return prompt !== undefined && isPrompt(prompt) ? run.ref : undefined;
  }

  private async eventOf(source: Source, signal: AbortSignal): Promise<RoomEvent | undefined> {
    return (await this.learned(source, signal)).event;
  }

  private async learned(source: Source, signal: AbortSignal): Promise<Source> {
    const found = source.event ?? (await this.deps.requests.ask(source.ref.room, source.id, signal));
    if (found !== undefined) source.learn(found);
    return source;
  }

  /** Where a note about a question is said: in the thread that the question stands in. */
  private async placeOf(room: string, event: string, signal: AbortSignal): Promise<ReplyTo> {
    const found = await this.deps.requests.ask(room, event, signal);
    const thread = found && threadOf(found.content);
    return { event, ...(thread !== undefined && { thread }) };
  }
}

const isRun = ({ ref, settled }: Source, room: string): boolean =>
  ref.room === room && ref.kind === 'message' && settled === undefined;

const isRedacted = ({ unsigned }: RoomEvent): boolean => unsigned?.['redacted_because'] !== undefined;
