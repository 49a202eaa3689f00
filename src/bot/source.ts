import type { Answer } from '../delivery/answer.js';
import { type ReplyTo, threadOf } from '../delivery/content.js';
import { type AnswerView, type SentEvent, viewAnswer } from '../delivery/view.js';
import type { Taken } from './attachments/taken.js';
import type { RoomEvent } from '../matrix/homeserver.js';
import { readReaction } from './approvals/reaction.js';
import { openSteps } from './approvals/request.js';
import { bundledEdit, type Edit, edited, Edits, readEdit } from './edits.js';

/**
 * What an answer is owed for.
 * - `message`: a prompt or a command; `id` is its event. Or an edit of one that was answered: its own answer is owed.
 * - `invite`: the line in a room that we were invited to; `id` is the invite event.
 * - `encrypted`: the one notice of a room that we cannot read; `id` is `encrypted:<room id>`.
 * - `greeting`: the hello in a person's first chat room; `id` is `onboarding:<mxid>` (PROTOCOL P4).
 * - `reaction`: a reaction to a question or a run of ours; `id` is its event.
 * - `stranger`: the one notice in a room to a person who may not talk to the bot; `id` is `stranger:<hash of both>`.
 */
export type SourceKind = 'message' | 'invite' | 'encrypted' | 'greeting' | 'stranger' | 'reaction';

/** What of a source is durable in the journal: no text. */
export interface SourceRef {
  id: string;
  room: string;
  /** The person; decides the shard where the room has no record yet (PROTOCOL O5). */
  sender: string;
  /** origin_server_ts, ms. */
  ts: number;
  kind: SourceKind;
}

export type SettleReason = 'answered' | 'redacted' | 'dropped' | 'forbidden' | 'not-for-us';

/** One source in memory, from its arrival to its settling. */
export class Source {
  /** Our events for it, in timeline order. */
  readonly events: SentEvent[] = [];
  /** Texts held: own, and copies that peers offered (PROTOCOL D4). */
  readonly held: Answer[] = [];
  /** The event itself, as it was sent, where it is one and was read. */
  event: RoomEvent | undefined;
  /** Of a source that is an edit: the message that it replaces. */
  original: RoomEvent | undefined;
  /** Its sender's edits of it. */
  readonly edits = new Edits();
  /** The edit in whose form it is taken up; null: in its first form. Undefined: nobody has taken it up. */
  taken: Edit | null | undefined;
  /** Monotonic ms of the last progress beat of another replica. */
  lastProgress: number | undefined;
  /** Present while this replica works on it. */
  work: AbortController | undefined;
  /** The timeline must be read up to now before anything is sent (PROTOCOL D5). */
  stale: boolean;
  /** Everything of it since the source itself has been read. */
  whole: boolean;
  /** Monotonic ms when it was last read from the source on, or seen live. */
  readAt: number;
  /** Another replica may have begun it: the peers are asked for its text before the agent (PROTOCOL D3). */
  takenOver = false;
  /** For which round the peers were asked last ('' for the first). */
  asked: string | undefined;
  /** A command that passes ahead of the run before it (PROTOCOL O6). */
  ahead = false;

  /** It was redacted. */
  dropped = false;
  /** The bot is not in its room. */
  closed = false;
  /** Monotonic ms since when it is settled here. */
  settledAt: number | undefined;
  /** Its journal entry has gone, because nothing was owed any more (PROTOCOL C3). */
  released = false;
  /** Its settled mark was seen in the documents; marks only grow. */
  marked = false;
  /** Monotonic ms before which it is not begun again, after its work ended with an error. */
  notBefore = 0;
  /** How often its room refused what is owed there, since the last sign that it might not. */
  refusals = 0;
  /** How often our way to the homeserver did not pass for it. */
  waysTried = 0;
  /** Too old for what is left of it in the room to be ended any more. */
  abandoned = false;
  /** The step sent last: who sends it again at once gets nowhere. */
  lastStep: string | undefined;
  /** Its work waits for the platform to come in reach: no sign of progress (PROTOCOL O3). */
  waiting = false;
  /** A command that writes the person's own records, wherever it is typed (PROTOCOL O5). */
  personal = false;
  /** The id of this replica's attempt, while it is begun (PROTOCOL C2). */
  attempt: string | undefined;
  /** How often outages and hand-overs ended its attempts here. */
  outages = 0;
  /** Ms since the epoch when this replica froze its answer. */
  repliedAt: number | undefined;
  /** The homeserver did not take an answer in the prompt's thread. */
  threadRefused = false;
  /** Stream edits tried by this process: each has a step of its own, over all its attempts. */
  stepped = 0;
  /** Of those, what was not left out: only these count on the ramp. */
  streamed = 0;
  /** Its place among the files that its sender sent before and after it, where this process took it in live. */
  arrived: number | undefined;
  /** The files that go with it, once that was read. */
  files: Taken | undefined;
  /** The open list that it chooses from by a number; null: it is a number, and no list is open. */
  offered:
    | { readonly event: string; readonly names: string[]; readonly thread: string | undefined }
    | null
    | undefined;
  /** What the answer to a reaction replies to, where that is known better than from the reaction itself. */
  about: ReplyTo | undefined;
  /** A short code of what its notice says, where it is an error's. */
  failure: string | undefined;

  private end: SettleReason | undefined;
  private cached: { length: number; view: AnswerView } | undefined;
  private readonly waiters = new Set<() => void>();

  constructor(
    private reference: SourceRef,
    /** Monotonic ms since when this replica knows of it. */
    readonly seenAt: number,
    read: { whole: boolean; stale: boolean },
  ) {
    this.readAt = seenAt;
    this.whole = read.whole;
    this.stale = read.stale;
  }

  get settled(): SettleReason | undefined {
    return this.end;
  }

  set settled(reason: SettleReason | undefined) {
    this.end = reason;
    this.wake();
  }

  get ref(): SourceRef {
    return this.reference;
  }

  get id(): string {
    return this.ref.id;
  }

  /** What its answers reply to; nothing where it is no event of the room's. */
  replyTo(): ReplyTo | undefined {
    if (this.ref.kind === 'reaction') return this.about ?? targetOf(this.event);
    if (this.ref.kind !== 'message' && this.ref.kind !== 'invite') return undefined;
    const thread = this.threadRefused ? undefined : this.thread;
    // Clients show no reply to an edit: it is one to what was edited.
    return { event: this.target ?? this.id, ...(thread !== undefined && { thread }) };
  }

  /** The root of the thread that it stands in; of an edit, that what it replaces stands in. */
  get thread(): string | undefined {
    const placed = this.target === undefined ? this.event : this.original;
    return placed && threadOf(placed.content);
  }

  /** Of a source that is an edit: what it replaces. */
  get target(): string | undefined {
    return this.event && readEdit(this.event)?.target;
  }

  /** What its sender asks: in the form in which it was taken up, else in its newest. */
  get prompt(): RoomEvent | undefined {
    const { event, taken, original } = this;
    if (event === undefined) return undefined;
    const own = readEdit(event);
    if (own !== undefined) {
      const relation = original?.content['m.relates_to'];
      return edited({ ...event, content: relation === undefined ? {} : { 'm.relates_to': relation } }, own);
    }
    const edit = taken === undefined ? this.edits.newest : taken;
    return edit ? edited(event, edit) : event;
  }

  /** Learns its own event, and the edit that the homeserver hands along with it. */
  learn(event: RoomEvent): void {
    this.event ??= event;
    const { sender, origin_server_ts: ts, event_id: id } = event;
    // Where an answer of ours alone told of it, who asks is known only now.
    const isItself = id === this.id && this.ref.kind === 'message';
    if (isItself && sender !== this.ref.sender) this.reference = { ...this.ref, sender, ts };
    if (event.unsigned?.['redacted_because'] !== undefined) this.dropped = true;
    const edit = bundledEdit(event);
    if (edit !== undefined) this.edit(edit);
  }

  /** Takes an edit in; false where it is none of this message's sender, of an edit, or known. */
  edit(edit: Edit): boolean {
    const { event, ref } = this;
    const sender = event?.sender ?? ref.sender;
    const isOurs = edit.target === this.id && edit.sender === sender && this.target === undefined;
    return isOurs && ref.kind === 'message' && this.edits.add(edit);
  }

  /** The bot was taken out of its room, or is back in it. */
  close(closed: boolean): void {
    if (this.closed && !closed) this.refusals = this.notBefore = 0;
    this.closed = closed;
    this.wake();
  }

  /** It was redacted, or of an edit, what it replaces. */
  withdraw(): void {
    this.dropped = true;
    this.wake();
  }

  /** It is settled, and what nobody will end came to stand in the room since: that is ended. */
  get isLeftOpen(): boolean {
    return !this.abandoned && (this.hasLeftQuestion || this.hasLeftPlaceholder);
  }

  /** A question of its run, which is over. */
  private get hasLeftQuestion(): boolean {
    return this.end !== undefined && openSteps(this.events).length > 0;
  }

  private get hasLeftPlaceholder(): boolean {
    const { anchor, anchorRedacted, current, accepted } = this.view();
    if (anchor === undefined || anchorRedacted) return false;
    return this.end === 'forbidden'
      ? accepted === undefined
      : this.end === 'dropped' && current === undefined;
  }

  view(): AnswerView {
    if (this.cached?.length !== this.events.length) {
      this.cached = { length: this.events.length, view: viewAnswer(this.events) };
    }
    return this.cached.view;
  }

  knows(event: string): boolean {
    return this.find(event) !== undefined;
  }

  find(event: string): SentEvent | undefined {
    return this.events.find((sent) => sent.id === event);
  }

  /** Adds an event that was read after all others; false when it is known. */
  append(event: SentEvent): boolean {
    if (this.knows(event.id)) return false;
    this.events.push(event);
    this.wake();
    return true;
  }

  /** Resolves at the next change of what was read or is held, or after `aborted` fires. */
  changed(aborted: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.waiters.delete(done);
        aborted.removeEventListener('abort', done);
        resolve();
      };
      this.waiters.add(done);
      aborted.addEventListener('abort', done, { once: true });
    });
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter();
  }

  /** Replaces the events by a reading from the source on; what is newer than that reading stays behind it. */
  rebuild(read: SentEvent[]): void {
    const ids = new Set(read.map((event) => event.id));
    const newer = this.events.filter((event) => !ids.has(event.id));
    this.events.splice(0, this.events.length, ...read, ...newer);
    this.cached = undefined;
    this.whole = true;
    this.wake();
  }

  /** A file that goes with it was redacted. */
  withdrawFile(event: string): void {
    if (this.files === undefined || 'refused' in this.files) return;
    this.files = { media: this.files.media.filter((one) => one.event !== event) };
  }

  redact(event: string): boolean {
    const found = this.find(event);
    if (found === undefined) return false;
    found.redacted = true;
    this.cached = undefined;
    this.wake();
    return true;
  }

  hold(answer: Answer): void {
    if (this.held.some((known) => known.hash === answer.hash)) return;
    this.held.push(answer);
    this.wake();
  }
}

function targetOf(event: RoomEvent | undefined): ReplyTo | undefined {
  const reaction = event && readReaction(event);
  return reaction && { event: reaction.target };
}
