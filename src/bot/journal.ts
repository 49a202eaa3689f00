import { z } from 'zod';
import type { Answer } from '../delivery/answer.js';
import type { SourceRef } from './source.js';

const sourceRef = z.object({
  id: z.string(),
  room: z.string(),
  sender: z.string(),
  ts: z.number(),
  kind: z.enum(['message', 'invite', 'encrypted', 'greeting', 'stranger', 'reaction']),
});

const answer = z.object({
  kind: z.enum(['m.text', 'm.notice']),
  parts: z.array(z.string()).min(1),
  hash: z.string(),
  of: z.string().optional(),
});

/**
 * The replica's own journal: its sync position, the sources it knows and has not seen settled, the texts it froze
 * for them, the invites it has not taken up, the rooms that it could not read, and the chats whose name or place is to be
 * written again. A position may stand only behind sources and rooms that stand in the journal (PROTOCOL C3), so all go in
 * one append.
 */
export const journalEntry = z.discriminatedUnion('t', [
  z.object({ t: z.literal('position'), token: z.string() }),
  z.object({ t: z.literal('source'), ref: sourceRef }),
  z.object({ t: z.literal('frozen'), source: z.string(), answer }),
  z.object({ t: z.literal('settled'), source: z.string() }),
  z.object({
    t: z.literal('invite'),
    room: z.string(),
    inviter: z.string(),
    direct: z.boolean().optional(),
    via: z.array(z.string()).optional(),
  }),
  z.object({ t: z.literal('joined'), room: z.string() }),
  z.object({ t: z.literal('owed'), room: z.string(), from: z.string() }),
  z.object({ t: z.literal('paid'), room: z.string() }),
  z.object({ t: z.literal('derived'), room: z.string() }),
  z.object({ t: z.literal('derived-written'), room: z.string() }),
]);

export type JournalEntry = z.infer<typeof journalEntry>;

export interface JournalState {
  position: string | undefined;
  sources: Map<string, { ref: SourceRef; frozen: Answer[] }>;
  /** By room: who invited, whether as to a direct chat, and servers to join through. */
  invites: Map<string, { inviter: string; direct: boolean; via?: string[] }>;
  /** By room: the position from which it is unread, and which the stored one passes. */
  owed: Map<string, string>;
  /** Chats whose state in the room or the space was seen behind their record. */
  derived: Set<string>;
}

export const emptyJournal = (): JournalState => ({
  position: undefined,
  sources: new Map(),
  invites: new Map(),
  owed: new Map(),
  derived: new Set(),
});

export function applyJournal(state: JournalState, entry: JournalEntry): void {
  switch (entry.t) {
    case 'position':
      state.position = entry.token;
      return;
    case 'source':
      if (!state.sources.has(entry.ref.id)) state.sources.set(entry.ref.id, { ref: entry.ref, frozen: [] });
      return;
    case 'frozen':
      state.sources.get(entry.source)?.frozen.push(entry.answer);
      return;
    case 'settled':
      state.sources.delete(entry.source);
      return;
    case 'invite':
      state.invites.set(entry.room, {
        inviter: entry.inviter,
        direct: entry.direct === true,
        ...(entry.via !== undefined && { via: entry.via }),
      });
      return;
    case 'joined':
      state.invites.delete(entry.room);
      return;
    case 'owed':
      state.owed.set(entry.room, entry.from);
      return;
    case 'paid':
      state.owed.delete(entry.room);
      return;
    case 'derived':
      state.derived.add(entry.room);
      return;
    case 'derived-written':
      state.derived.delete(entry.room);
      return;
  }
}

/**
 * Sources are lost, and the position stands behind them (C3): the rooms are read again from what is settled there, as
 * by a replica that lost its folder.
 */
export function forgetPosition(state: JournalState): void {
  state.position = undefined;
  state.owed.clear();
}

export function journalSnapshot(state: JournalState): JournalEntry[] {
  const entries: JournalEntry[] = [];
  for (const { ref, frozen } of state.sources.values()) {
    entries.push({ t: 'source', ref });
    for (const text of frozen) entries.push({ t: 'frozen', source: ref.id, answer: text });
  }
  for (const [room, invite] of state.invites) entries.push({ t: 'invite', room, ...invite });
  for (const [room, from] of state.owed) entries.push({ t: 'owed', room, from });
  for (const room of state.derived) entries.push({ t: 'derived', room });
  if (state.position !== undefined) entries.push({ t: 'position', token: state.position });
  return entries;
}
