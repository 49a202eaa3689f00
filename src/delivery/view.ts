import type { AnswerKind } from './answer.js';
import type { DeliveryMark } from './mark.js';
import { steps } from './txn.js';

/** One event of ours for one source, in timeline order, as the fold needs it. */
export interface SentEvent {
  id: string;
  mark: DeliveryMark;
  /** The text it shows (of an edit: the new text). */
  body: string;
  kind: AnswerKind;
  redacted: boolean;
}

/** A text of the chain of finals. */
export interface ChainText {
  hash: string;
  parts: number;
  /** The event that brought it into the chain: anchor or edit. */
  event: string;
  body: string;
  kind: AnswerKind;
  /** Parts read in the room, by number; 1 always. */
  seen: ReadonlyMap<number, string>;
}

/**
 * What the timeline says about one answer (PROTOCOL D3). `current` is the last final that follows the chain;
 * `accepted` the first text of the chain whose parts are all in the timeline, for ever.
 */
export interface AnswerView {
  anchor: string | undefined;
  /** The anchor was redacted by somebody: the source is settled (D2). */
  anchorRedacted: boolean;
  chain: ChainText[];
  current: ChainText | undefined;
  accepted: ChainText | undefined;
  /** The event whose text the anchor shows now, and that text's hash where it is a final text. */
  top: { event: string; hash: string | undefined } | undefined;
  /** Visible events that should not be: parts of texts not accepted, second events under one step (D3, D10). */
  orphans: string[];
}

/** Folds our events for one source, in timeline order, into what they mean together. Pure; a function of the
 * timeline alone, so that all replicas that have read the same timeline agree. */
export function viewAnswer(events: readonly SentEvent[]): AnswerView {
  const fold = new ViewFold();
  for (const event of events) fold.add(event);
  return fold.view();
}

interface MutableText extends Omit<ChainText, 'seen'> {
  seen: Map<number, string>;
}

class ViewFold {
  private anchor: string | undefined;
  private anchorRedacted = false;
  private readonly chain: MutableText[] = [];
  private accepted: MutableText | undefined;
  private top: AnswerView['top'];
  /** Parts k >= 2 in sight, by hash and number. */
  private readonly parts = new Map<string, Map<number, string>>();
  private readonly beside = new Set<string>();
  private readonly doubles: string[] = [];

  add(event: SentEvent): void {
    const { step } = event.mark;
    if (step === steps.anchor) this.addAnchor(event);
    else if (event.mark.final && event.mark.text?.part === 1) this.addFinal(event);
    else if (event.mark.text !== undefined && event.mark.text.part > 1) this.addPart(event);
    else if (step.startsWith('stream/') && !event.redacted) this.top = { event: event.id, hash: undefined };
    else if (step.startsWith('approval/')) this.addBeside(event);
    this.accept();
  }

  /** Beside the answer, and no part of it: only one under each step may be seen (D10). */
  private addBeside(event: SentEvent): void {
    if (!this.beside.has(event.mark.step)) this.beside.add(event.mark.step);
    else if (!event.redacted) this.doubles.push(event.id);
  }

  private addAnchor(event: SentEvent): void {
    if (this.anchor !== undefined) {
      if (!event.redacted) this.doubles.push(event.id);
      return;
    }
    this.anchor = event.id;
    this.anchorRedacted = event.redacted;
    this.top = { event: event.id, hash: event.mark.text?.hash };
    if (event.mark.final) this.extend(event);
  }

  /** A final edit, or a repair (a copy of a final text, which extends no chain). */
  private addFinal(event: SentEvent): void {
    if (event.redacted) return;
    this.top = { event: event.id, hash: event.mark.text?.hash };
    if (event.mark.step.startsWith('repair/')) return;
    const last = this.chain.at(-1);
    const follows = last === undefined ? event.mark.after === undefined : event.mark.after === last.hash;
    if (follows && this.accepted === undefined) this.extend(event);
  }

  private extend(event: SentEvent): void {
    const text = event.mark.text;
    if (text === undefined) return;
    this.chain.push({
      hash: text.hash,
      parts: text.parts,
      event: event.id,
      body: event.body,
      kind: event.kind,
      seen: new Map([[1, event.id]]),
    });
  }

  private addPart(event: SentEvent): void {
    const text = event.mark.text;
    if (text === undefined || event.redacted) return;
    const seen = this.parts.get(text.hash) ?? new Map<number, string>();
    this.parts.set(text.hash, seen);
    if (seen.has(text.part)) this.doubles.push(event.id);
    else seen.set(text.part, event.id);
  }

  private accept(): void {
    if (this.accepted !== undefined) return;
    this.accepted = this.chain.find((text) => (this.parts.get(text.hash)?.size ?? 0) >= text.parts - 1);
  }

  view(): AnswerView {
    for (const text of this.chain) {
      for (const [k, event] of this.parts.get(text.hash) ?? []) text.seen.set(k, event);
    }
    const current = this.accepted ?? this.chain.at(-1);
    const orphans = [...this.doubles];
    for (const [hash, seen] of this.parts) if (hash !== current?.hash) orphans.push(...seen.values());
    return {
      anchor: this.anchor,
      anchorRedacted: this.anchorRedacted,
      chain: this.chain,
      current,
      accepted: this.accepted,
      top: this.top,
      orphans,
    };
  }
}
