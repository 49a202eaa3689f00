import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RoomEvent } from '../matrix/homeserver.js';

/** Of what an edit of a prompt leads to that was taken up already: nothing, or an answer of its own. */
export type EditPolicy = 'ignore' | 'answer-again';

/** A message that takes another one's place (Matrix spec, event replacements). Who may do so is asked where it counts. */
export interface Edit {
  id: string;
  ts: number;
  sender: string;
  /** The message that it replaces. */
  target: string;
  /** `m.new_content`: hostile, but for a type and a text. */
  content: Record<string, unknown>;
}

const replacement = z.object({
  'm.relates_to': z.object({
    rel_type: z.literal('m.replace'),
    event_id: z.string().startsWith('$').max(255),
  }),
  'm.new_content': z.looseObject({ msgtype: z.string(), body: z.string() }),
});

const bundle = z.object({
  event_id: z.string().startsWith('$').max(255),
  type: z.string(),
  sender: z.string(),
  origin_server_ts: z.number(),
  content: z.record(z.string(), z.unknown()),
});

/** Reads a message as an edit; undefined where it is none, or is not well formed. */
export function readEdit(event: RoomEvent): Edit | undefined {
  if (event.type !== 'm.room.message' || event.state_key !== undefined) return undefined;
  const parsed = replacement.safeParse(event.content);
  if (!parsed.success) return undefined;
  return {
    id: event.event_id,
    ts: event.origin_server_ts,
    sender: event.sender,
    target: parsed.data['m.relates_to'].event_id,
    content: parsed.data['m.new_content'],
  };
}

/** The newest edit, as the homeserver hands it along with a message; older ones tell no more than its id. */
export function bundledEdit(event: RoomEvent): Edit | undefined {
  const relations = event.unsigned?.['m.relations'] as { 'm.replace'?: unknown } | null | undefined;
  const parsed = bundle.safeParse(relations?.['m.replace']);
  const edit = parsed.success ? readEdit(parsed.data) : undefined;
  return edit?.target === event.event_id && edit.sender === event.sender ? edit : undefined;
}

/** The order in which clients take edits: by their time, then by their id (Matrix spec, event replacements). */
export const isNewer = (edit: Pick<Edit, 'ts' | 'id'>, than: Pick<Edit, 'ts' | 'id'>): boolean =>
  edit.ts > than.ts || (edit.ts === than.ts && edit.id > than.id);

/** A message in the form that an edit gives it: its own id, and its own place in a thread. */
export function edited(original: RoomEvent, { content }: Edit): RoomEvent {
  const { 'm.relates_to': relation } = original.content;
  const { 'm.relates_to': _, ...shown } = content;
  return { ...original, content: { ...shown, ...(relation !== undefined && { 'm.relates_to': relation }) } };
}

/** Its sender left nothing to answer (PROTOCOL C1, edited away). */
export const isEditedAway = ({ content }: Edit): boolean =>
  content['msgtype'] === 'm.notice' || String(content['body']).trim() === '';

/** Names an edit in the id of an attempt: short, and without a slash. */
export const formName = (edit: string): string =>
  createHash('sha256').update(edit).digest('base64url').slice(0, 12);

/** A person may send many; only the newest ones can still count. */
const MOST_EDITS = 50;

/** The edits of one message by its sender, as far as they were read. */
export class Edits {
  private readonly known = new Map<string, Edit>();

  add(edit: Edit): boolean {
    if (this.known.has(edit.id)) return false;
    this.known.set(edit.id, edit);
    if (this.known.size > MOST_EDITS) {
      const oldest = [...this.known.values()].reduce((a, b) => (isNewer(a, b) ? b : a));
      this.known.delete(oldest.id);
    }
    return true;
  }

  delete(id: string): boolean {
    return this.known.delete(id);
  }

  get newest(): Edit | undefined {
    let newest: Edit | undefined;
    for (const edit of this.known.values()) if (newest === undefined || isNewer(edit, newest)) newest = edit;
    return newest;
  }

  get(id: string | undefined): Edit | undefined {
    return id === undefined ? undefined : this.known.get(id);
  }

  named(name: string): Edit | undefined {
    return [...this.known.values()].find(({ id }) => formName(id) === name);
  }
}
