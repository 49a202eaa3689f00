import { z } from 'zod';
import type { Answer } from '../delivery/answer.js';
import { answerHash } from '../delivery/answer.js';
import type { Channel } from '../sync/channel.js';
import type { Clock } from '../time/clock.js';

const answer = z
  .object({
    kind: z.enum(['m.text', 'm.notice']),
    parts: z.array(z.string()).min(1).max(10_000),
    hash: z.string().max(64),
    of: z.string().max(255).optional(),
  })
  .refine((text) => text.hash === answerHash(text.kind, text.parts), 'hash does not match its parts');
const id = z.string().min(1).max(255);
const offer = z.object({ source: id, answer });
const ack = z.object({ source: id, hash: z.string().max(64) });
const ask = z.object({ source: id, nonce: z.number() });
const told = z.object({
  source: id,
  nonce: z.number(),
  answers: z.array(answer).max(100),
  settled: z.boolean(),
});

/** Offers for unknown sources are copies of what their beginner has in its journal; the oldest go first. */
const MOST_EARLY = 200;

/** What the peers said about a source. */
export interface Told {
  answers: Answer[];
  settled: boolean;
}

/**
 * Copies of frozen answers at the peers (PROTOCOL D4): offered before the first final send, acknowledged, held
 * in the peers' memory, and asked for by whoever takes over (D3). Nothing depends on a message arriving.
 */
export class Copies {
  /** Offers for sources that are not known here yet: the peer's /sync was quicker. */
  private readonly early = new Map<string, Answer[]>();
  private readonly acks = new Map<string, () => void>();
  private readonly asks = new Map<number, { got: (from: Told) => void }>();
  private readonly stops: (() => void)[];
  private nonce = 0;

  constructor(
    private readonly channel: Channel,
    private readonly clock: Clock,
    private readonly deadlineMs: number,
    own: {
      /** A peer's text to hold; false when the source is not known yet. */
      keep(source: string, answer: Answer): boolean;
      tell(source: string): Told;
    },
  ) {
    this.stops = [
      channel.on('frozen', offer, (body, from) => {
        if (!own.keep(body.source, body.answer)) this.keepEarly(body.source, body.answer);
        channel.send(from.replica, 'frozen-ack', { source: body.source, hash: body.answer.hash });
      }),
      channel.on('frozen-ack', ack, (body) => this.acks.get(`${body.source} ${body.hash}`)?.()),
      channel.on('ask', ask, (body, from) => {
        channel.send(from.replica, 'told', { ...body, ...own.tell(body.source) });
      }),
      channel.on('told', told, (body) => this.asks.get(body.nonce)?.got(body)),
    ];
  }

  /** Offers a frozen answer and waits for the peers' acknowledgements, not longer than the deadline. Resolves to
   * the number of peers that hold it. */
  async offer(source: string, frozen: Answer): Promise<number> {
    const expected = this.channel.present().size;
    if (expected === 0) return 0;
    const key = `${source} ${frozen.hash}`;
    let held = 0;
    try {
      await this.until(expected, (one) => {
        this.acks.set(key, () => {
          held += 1;
          one();
        });
        this.channel.broadcast('frozen', { source, answer: frozen });
      });
    } finally {
      this.acks.delete(key);
    }
    return held;
  }

  /** What was offered before the source was known; the caller holds it from now on. */
  take(source: string): Answer[] {
    const answers = this.early.get(source) ?? [];
    this.early.delete(source);
    return answers;
  }

  private keepEarly(source: string, answer: Answer): void {
    this.early.set(source, [...(this.early.get(source) ?? []), answer]);
    const oldest = this.early.keys().next();
    if (this.early.size > MOST_EARLY && oldest.done !== true) this.early.delete(oldest.value);
  }

  /** Asks every peer for the texts it holds of a source, until all have answered or the deadline is over. */
  async ask(source: string): Promise<Told> {
    const all: Told = { answers: [], settled: false };
    const expected = this.channel.present().size;
    if (expected === 0) return all;
    const nonce = (this.nonce += 1);
    try {
      await this.until(expected, (one) => {
        this.asks.set(nonce, {
          got(from) {
            all.answers.push(...from.answers);
            all.settled ||= from.settled;
            one();
          },
        });
        this.channel.broadcast('ask', { source, nonce });
      });
    } finally {
      this.asks.delete(nonce);
    }
    return all;
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  private until(count: number, begin: (one: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.clock.after(this.deadlineMs, resolve);
      let left = count;
      begin(() => {
        left -= 1;
        if (left > 0) return;
        cancel();
        resolve();
      });
    });
  }
}
