import { readMark } from '../delivery/mark.js';
import { type SentEvent, viewAnswer } from '../delivery/view.js';
import type { Homeserver, RoomEvent } from '../matrix/homeserver.js';
import { bundledEdit, type Edit, edited, isNewer, readEdit } from './edits.js';
import { ifShown } from './failures.js';
import { meaningOf } from './intake.js';
import type { Source } from './source.js';
import { eventsAfter } from './surface/room-history.js';

/** An answer that stands further behind its prompt is not looked for. */
const MOST_EVENTS_ON = 1000;

/**
 * Whether an edit of a prompt is owed an answer of its own: of what stands in the room alone, so that every replica
 * finds the same. The prompt was answered, in an older form, and both forms are an agent's to answer: a command is
 * never carried out by an edit of what was done with.
 */
export class AnswerAgain {
  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      self: string;
      /** A message in that form goes to a room's agent. */
      isPrompt: (event: RoomEvent) => boolean;
    },
  ) {}

  async isOwed(source: Source, signal: AbortSignal): Promise<boolean> {
    const { isPrompt } = this.deps;
    const edit = source.event && readEdit(source.event);
    const original = edit && (await this.event(source.ref.room, edit.target, signal));
    if (edit === undefined || original === undefined || !isEditable(original, edit)) return false;
    source.original = original;
    const newest = bundledEdit(original);
    // The newer one is a source of its own.
    if (newest !== undefined && isNewer(newest, edit)) return false;
    const answered = await this.answeredForm(source.ref.room, original, signal);
    if (answered === undefined) return false;
    if (answered.by !== undefined && !isNewer(edit, answered.by)) return false;
    return isPrompt(answered.form) && source.prompt !== undefined && isPrompt(source.prompt);
  }

  /** The form of the message that its answer was made from; undefined where no answer of ours stands. */
  private async answeredForm(
    room: string,
    original: RoomEvent,
    signal: AbortSignal,
  ): Promise<{ form: RoomEvent; by?: Edit } | undefined> {
    const { homeserver, self } = this.deps;
    const sent: SentEvent[] = [];
    let seen = 0;
    for await (const event of eventsAfter(homeserver, room, original.event_id, signal)) {
      seen += 1;
      if (seen > MOST_EVENTS_ON) return undefined;
      const meaning = meaningOf(room, event, self);
      if (meaning.is !== 'sent' || meaning.source !== original.event_id) continue;
      sent.push(meaning.event);
      const { accepted, anchorRedacted } = viewAnswer(sent);
      if (anchorRedacted) return undefined;
      if (accepted === undefined) continue;
      const of = sent.find(({ id }) => id === accepted.event)?.mark.of;
      const by = of === undefined ? undefined : await this.event(room, of, signal);
      const form = by && readEdit(by);
      // An edit that was redacted since said something older, whatever it was.
      return form === undefined ? { form: original } : { form: edited(original, form), by: form };
    }
    return undefined;
  }

  /** Its id may be one that nobody may see, or that a person made up. */
  private event(room: string, id: string, signal: AbortSignal): Promise<RoomEvent | undefined> {
    return ifShown(() => this.deps.homeserver.event(room, id, signal));
  }
}

/** A message of the same person that stands, and is itself no edit. */
function isEditable(original: RoomEvent, edit: Edit): boolean {
  return (
    original.type === 'm.room.message' &&
    original.state_key === undefined &&
    original.sender === edit.sender &&
    original.content['msgtype'] !== 'm.notice' &&
    original.unsigned?.['redacted_because'] === undefined &&
    readMark(original.content) === undefined &&
    readEdit(original) === undefined
  );
}
