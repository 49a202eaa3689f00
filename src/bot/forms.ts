import type { RoomEvent } from '../matrix/homeserver.js';
import { bundledEdit, type Edit, edited, Edits, readEdit } from './edits.js';
import { meaningOf } from './intake.js';
import type { Records } from './records.js';

/** The forms that a source's attempts name: a name of an edit, or empty for the first form. */
export const formsOf = (attempts: Iterable<string>): string[] =>
  [...attempts].map((attempt) => attempt.split('/')[3] ?? '');

/**
 * The form that all replicas take of those that its attempts name, where two were begun apart: the first form of all
 * (null), else the first by name. A form of which nothing is known, as of an edit that was redacted, is the newest;
 * undefined: there is no edit.
 */
export function formTaken(forms: readonly string[], edits: Edits): Edit | null | undefined {
  const [form] = forms.toSorted();
  if (form === '') return null;
  return (form === undefined ? undefined : edits.named(form)) ?? edits.newest;
}

/**
 * In which form messages were taken up, for who reads a room back, newest event first: as their answer says, else their
 * attempts (decision 23), else in their newest form. Of what stands in the room and the records alone, so that every
 * replica reads the same, also one that has none of them in memory.
 */
export class FormsReadBack {
  /** By what was answered: the edit that the answer was made from. */
  private readonly answered = new Map<string, string | undefined>();
  private readonly edits = new Map<string, Edits>();

  constructor(
    private readonly room: string,
    private readonly deps: { self: string; records: Pick<Records, 'attempts'> },
  ) {}

  /** The next event, to be called with each; a message comes back in the form that counts. */
  read(event: RoomEvent): RoomEvent {
    const edit = readEdit(event);
    if (edit !== undefined) {
      this.editsOf(edit.target, edit.sender).add(edit);
      return event;
    }
    const meaning = meaningOf(this.room, event, this.deps.self);
    if (meaning.is === 'sent' && meaning.event.mark.final)
      this.answered.set(meaning.source, meaning.event.mark.of);
    if (meaning.is !== 'source' || meaning.ref.kind !== 'message') return event;
    const bundled = bundledEdit(event);
    const edits = this.editsOf(event.event_id, event.sender);
    if (bundled !== undefined) edits.add(bundled);
    const taken = this.taken(event, edits);
    return taken === undefined ? event : edited(event, taken);
  }

  private taken(event: RoomEvent, edits: Edits): Edit | undefined {
    const { event_id: id, sender, origin_server_ts: ts } = event;
    if (this.answered.has(id)) return edits.get(this.answered.get(id));
    const ref = { id, room: this.room, sender, ts, kind: 'message' as const };
    return formTaken(formsOf(this.deps.records.attempts(ref).keys()), edits) ?? undefined;
  }

  /** Others' edits of it are none. */
  private editsOf(message: string, sender: string): Edits {
    const key = JSON.stringify([message, sender]);
    const edits = this.edits.get(key) ?? new Edits();
    this.edits.set(key, edits);
    return edits;
  }
}
