import type { Answer } from '../delivery/answer.js';
import { editContent, messageContent, type ReplyTo } from '../delivery/content.js';
import type { NextAct } from '../delivery/decide.js';
import type { DeliveryMark } from '../delivery/mark.js';
import { steps, transactionId } from '../delivery/txn.js';
import { type Homeserver, HomeserverError } from '../matrix/homeserver.js';
import type { Channel } from '../sync/channel.js';
import type { Budget } from './rate/budget.js';
import type { Source } from './source.js';

/** The timeline must be read again before anything is sent; thrown instead of a send, nothing went out. */
export class Stale extends Error {}

/**
 * Sends steps, each under its derived transaction id (PROTOCOL D1), within the account's budget: what a 429 refuses
 * waits for its turn, and only what is shown for the moment is left out instead.
 */
export class Outbox {
  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      channel: Pick<Channel, 'self'>;
      budget: Budget;
      /** Rises with ownership changes; travels in every event for people and repair (O4). */
      epoch: () => number;
      /** True while nothing may be sent (D5, O4); looked at right before each PUT. */
      fenced: () => boolean;
    },
  ) {}

  /** Throws {@link Stale} where the timeline must be read again before anything is sent or written (PROTOCOL D5). */
  mustBeFresh(): void {
    if (this.deps.fenced()) throw new Stale('the timeline must be read again before a write');
  }

  /** One step of an answer. Resolves to the id of the event that stands under it, which may be another's (D2). */
  async act(
    source: Source,
    act: Exclude<NextAct, { act: 'settle' | 'obtain' }>,
    signal: AbortSignal,
  ): Promise<string> {
    if (act.act === 'redact') {
      return this.put(signal, () =>
        this.deps.homeserver.redact(source.ref.room, act.event, transactionId(source.id, act.step)),
      );
    }
    return this.message(
      source,
      act.step,
      (replyTo) => this.contentOf(source, act, replyTo),
      signal,
      (send) => this.put(signal, send),
    );
  }

  /** The placeholder, before there is a text. Undefined: left out, because answers need the budget. */
  placeholder(source: Source, body: string, signal: AbortSignal): Promise<string | undefined> {
    const message = { kind: 'm.text' as const, body, mark: this.mark(source, steps.anchor, false) };
    return this.message(
      source,
      steps.anchor,
      (replyTo) => fresh(message, replyTo),
      signal,
      (send) => this.offer(send),
    );
  }

  /**
   * One edit that shows the text so far. Undefined: left out, because answers need the budget; with `until`, it waits
   * for its turn as they do, at most until that fires.
   */
  async stream(
    source: Source,
    { anchor, body, until }: { anchor: string; body: string; until?: AbortSignal },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    source.stepped += 1;
    source.streamed += 1;
    const step = steps.stream(this.deps.channel.self.incarnation, source.stepped);
    const mark = this.mark(source, step, false);
    const content = editContent({ kind: 'm.text', body, mark, target: anchor });
    const sent = await this.message(
      source,
      step,
      () => content,
      signal,
      (send) => (until === undefined ? this.offer(send) : this.put(until, send)),
    );
    if (sent === undefined) source.streamed -= 1;
    return sent;
  }

  /**
   * A state event, which has no transaction id: it may land late whatever is looked at before it, and is written again
   * then (PROTOCOL P3). So no fence holds it up: nothing may ever lower one for it.
   */
  state(room: string, type: string, key: string, content: object, signal?: AbortSignal): Promise<string> {
    const { budget, homeserver } = this.deps;
    return budget.send('state', () => homeserver.setState(room, type, key, content, signal), signal);
  }

  /** A message beside the answer, never final. It replies as the answer does, unless it is an edit. */
  beside(
    source: Source,
    step: string,
    content: (mark: DeliveryMark, replyTo: ReplyTo | undefined) => object,
    signal: AbortSignal,
  ): Promise<string> {
    const mark = this.mark(source, step, false);
    return this.message(
      source,
      step,
      (replyTo) => content(mark, replyTo),
      signal,
      (send) => this.put(signal, send),
    );
  }

  /** A step that is an event of another type (the ledger of P3). */
  async event(
    room: string,
    source: string,
    step: string,
    type: string,
    content: object,
    signal?: AbortSignal,
  ) {
    return this.put(signal, () =>
      this.deps.homeserver.send(room, type, transactionId(source, step), content, signal),
    );
  }

  private contentOf(
    source: Source,
    act: Extract<NextAct, { act: 'send' | 'repair' }>,
    replyTo: ReplyTo | undefined,
  ): Record<string, unknown> {
    const { kind, body, mark } =
      act.act === 'repair'
        ? {
            kind: act.text.kind,
            body: act.text.body,
            mark: {
              ...this.mark(source, act.step, true),
              text: { hash: act.text.hash, parts: act.text.parts, part: 1 },
            },
          }
        : { kind: act.answer.kind, body: partOf(act.answer, act.part), mark: this.finalMark(source, act) };
    if (act.edits !== undefined) return editContent({ kind, body, mark, target: act.edits });
    return fresh({ kind, body, mark }, replyTo);
  }

  private finalMark(source: Source, act: Extract<NextAct, { act: 'send' }>): DeliveryMark {
    return {
      ...this.mark(source, act.step, true),
      text: { hash: act.answer.hash, parts: act.answer.parts.length, part: act.part },
      ...(act.after !== undefined && { after: act.after }),
      ...(act.answer.of !== undefined && { of: act.answer.of }),
    };
  }

  mark(source: Source, step: string, final: boolean): DeliveryMark {
    return {
      source: source.id,
      step,
      final,
      epoch: this.deps.epoch(),
      replica: this.deps.channel.self.replica,
    };
  }

  /** A thread that the homeserver does not take (a prompt of another server may name any event as its root) is no
   * reason to leave the prompt without an answer: it is then a plain reply. */
  private async message<T extends string | undefined = string>(
    source: Source,
    step: string,
    content: (replyTo: ReplyTo | undefined) => object,
    signal: AbortSignal,
    by: (send: () => Promise<string>) => Promise<T>,
  ): Promise<T> {
    const txn = transactionId(source.id, step);
    const send = (replyTo: ReplyTo | undefined) =>
      by(() => this.deps.homeserver.send(source.ref.room, 'm.room.message', txn, content(replyTo), signal));
    const replyTo = source.replyTo();
    try {
      return await send(replyTo);
    } catch (error) {
      if (replyTo?.thread === undefined || !isBadRequest(error)) throw error;
      source.threadRefused = true;
      return send(source.replyTo());
    }
  }

  private put<T>(signal: AbortSignal | undefined, send: () => Promise<T>) {
    return this.deps.budget.send('answer', () => this.now(send), signal);
  }

  private offer<T>(send: () => Promise<T>) {
    return this.deps.budget.offer(() => this.now(send));
  }

  /** After whatever wait there was: this process may have stood still in it. */
  private async now<T>(send: () => Promise<T>): Promise<T> {
    if (this.deps.fenced()) throw new Stale('the timeline must be read again before a send');
    return send();
  }
}

const fresh = (message: Parameters<typeof messageContent>[0], replyTo: ReplyTo | undefined) =>
  messageContent({ ...message, ...(replyTo !== undefined && { replyTo }) });

const isBadRequest = (error: unknown): boolean =>
  error instanceof HomeserverError && error.code === 'refused' && error.detail.status === 400;

const partOf = (answer: Answer, k: number): string => answer.parts[k - 1] ?? '';
