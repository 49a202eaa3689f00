import { z } from 'zod';
import type { Answer } from '../delivery/answer.js';
import { editContent, messageContent, type ReplyTo } from '../delivery/content.js';
import type { NextAct } from '../delivery/decide.js';
import type { DeliveryMark } from '../delivery/mark.js';
import { steps, transactionId } from '../delivery/txn.js';
import { type Homeserver, HomeserverError } from '../matrix/homeserver.js';
import type { Channel } from '../sync/channel.js';
import { type Clock, sleep } from '../time/clock.js';
import type { Source } from './source.js';

/** The timeline must be read again before anything is sent; thrown instead of a send, nothing went out. */
export class Stale extends Error {}

const hold = z.object({ ms: z.number().min(0).max(600_000) });

/**
 * Sends steps, each under its derived transaction id (PROTOCOL D1), with one rate budget for the account: a 429
 * that any replica meets holds all of them back for as long as the homeserver asked, and nothing is dropped.
 */
export class Outbox {
  private heldUntil = 0;
  private readonly stop: () => void;

  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      channel: Channel;
      clock: Clock;
      /** Rises with ownership changes; travels in every event for people and repair (O4). */
      epoch: () => number;
      /** True while nothing may be sent (D5, O4); looked at right before each PUT. */
      fenced: () => boolean;
      onRateLimit?: (ms: number) => void;
    },
  ) {
    this.stop = deps.channel.on('hold', hold, ({ ms }) => this.holdFor(ms));
  }

  close(): void {
    this.stop();
  }

  /** Throws {@link Stale} where the timeline must be read again before anything is sent or written (PROTOCOL D5). */
  mustBeFresh(): void {
    if (this.deps.fenced()) throw new Stale('the timeline must be read again before a write');
  }

  /** Ms that the account's sends are held back now. */
  held(): number {
    return Math.max(0, this.heldUntil - this.deps.clock.monotonic());
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
    return this.message(source, act.step, (replyTo) => this.contentOf(source, act, replyTo), signal);
  }

  /** The placeholder, before there is a text. */
  placeholder(source: Source, body: string, signal: AbortSignal): Promise<string> {
    const message = { kind: 'm.text' as const, body, mark: this.mark(source, steps.anchor, false) };
    return this.message(source, steps.anchor, (replyTo) => fresh(message, replyTo), signal);
  }

  stream(source: Source, anchor: string, n: number, body: string, signal: AbortSignal): Promise<string> {
    const step = steps.stream(this.deps.channel.self.incarnation, n);
    const content = editContent({
      kind: 'm.text',
      body,
      mark: this.mark(source, step, false),
      target: anchor,
    });
    return this.message(source, step, () => content, signal);
  }

  /** A message beside the answer, never final. It replies as the answer does, unless it is an edit. */
  beside(
    source: Source,
    step: string,
    content: (mark: DeliveryMark, replyTo: ReplyTo | undefined) => object,
    signal: AbortSignal,
  ): Promise<string> {
    const mark = this.mark(source, step, false);
    return this.message(source, step, (replyTo) => content(mark, replyTo), signal);
  }

  /** A step that is an event of another type (the ledger of P3). */
  async event(
    room: string,
    source: string,
    step: string,
    type: string,
    content: object,
    signal: AbortSignal,
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
  private async message(
    source: Source,
    step: string,
    content: (replyTo: ReplyTo | undefined) => object,
    signal: AbortSignal,
  ): Promise<string> {
    const txn = transactionId(source.id, step);
    const send = (replyTo: ReplyTo | undefined) =>
      this.put(signal, () =>
        this.deps.homeserver.send(source.ref.room, 'm.room.message', txn, content(replyTo), signal),
      );
    const replyTo = source.replyTo();
    try {
      return await send(replyTo);
    } catch (error) {
      if (replyTo?.thread === undefined || !isBadRequest(error)) throw error;
      source.threadRefused = true;
      return send(source.replyTo());
    }
  }

  private async put(signal: AbortSignal, send: () => Promise<string>): Promise<string> {
    for (;;) {
      const ms = this.held();
      if (ms > 0) await sleep(this.deps.clock, ms, signal);
      signal.throwIfAborted();
      if (this.deps.fenced()) throw new Stale('the timeline must be read again before a send');
      try {
        return await send();
      } catch (error) {
        if (!(error instanceof HomeserverError) || error.code !== 'rate-limited') throw error;
        const wait = error.detail.retryAfterMs ?? 1000;
        this.holdFor(wait);
        this.deps.channel.broadcast('hold', { ms: wait });
        this.deps.onRateLimit?.(wait);
      }
    }
  }

  private holdFor(ms: number): void {
    this.heldUntil = Math.max(this.heldUntil, this.deps.clock.monotonic() + ms);
  }
}

const fresh = (message: Parameters<typeof messageContent>[0], replyTo: ReplyTo | undefined) =>
  messageContent({ ...message, ...(replyTo !== undefined && { replyTo }) });

const isBadRequest = (error: unknown): boolean =>
  error instanceof HomeserverError && error.code === 'refused' && error.detail.status === 400;

const partOf = (answer: Answer, k: number): string => answer.parts[k - 1] ?? '';
