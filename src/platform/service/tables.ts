import type { Kysely, Transaction } from 'kysely';

/** All times are milliseconds since the epoch. */
export interface Tables {
  chats: ChatRow;
  turns: TurnRow;
  saved_contexts: SavedContextRow;
  keys: KeyRow;
  runs: RunRow;
  run_events: RunEventRow;
  invocations: InvocationRow;
  approvals: ApprovalRow;
  standing_approvals: StandingApprovalRow;
  processes: ProcessRow;
  attachments: AttachmentRow;
}

export type Database = Kysely<Tables>;
export type Trx = Transaction<Tables>;

interface ChatRow {
  id: string;
  agent: string;
  title: string | null;
  /** The chat that this one was branched from. */
  parent: string | null;
  /** The chat with which this one is deleted. */
  part_of: string | null;
  /** Whose turns are this chat's history now; loading a saved context gives the chat another one. */
  context: string;
  /** Position of the latest run; rises by one with each. */
  runs: number;
  created_at: number;
}

/** Turns of one context, ordered by position, the user's before the assistant's. */
interface TurnRow {
  context: string;
  position: number;
  role: 'user' | 'assistant';
  text: string;
  /** mxid; null for the assistant. */
  author: string | null;
  run_key: string;
}

interface SavedContextRow {
  chat: string;
  name: string;
  context: string;
  saved_at: number;
}

/** First calls of every kind but runs, with what they gave. */
interface KeyRow {
  operation: 'create' | 'branch' | 'save' | 'load' | 'delete';
  key: string;
  /** JSON. */
  result: string;
  created_at: number;
}

export interface RunRow {
  key: string;
  /** Null when it was cancelled before it began. */
  chat: string | null;
  context: string | null;
  position: number;
  /** Which user turn of its context, from 1. */
  number: number;
  agent: string | null;
  prompt: string;
  status: 'queued' | 'running' | 'done' | 'failed';
  /** The platform process that carries it out. */
  executor: string | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  text: string | null;
  error_code: string | null;
  error_message: string | null;
}

/** What a run in progress has said, for other platform processes; gone when the run is finished. */
interface RunEventRow {
  run_key: string;
  invocation: number;
  seq: number;
  /** JSON of a RunEvent. */
  event: string;
}

interface InvocationRow {
  run_key: string;
  number: number;
  started_at: number;
  seed: string;
}

/** A question to a person; `decision` is null until the first one comes. */
export interface ApprovalRow {
  run_key: string;
  id: string;
  /** Null: of before there were kinds. */
  kind: string | null;
  asked_at: number;
  decision: 'approve' | 'deny' | 'always' | null;
  decided_at: number | null;
  /** mxid. */
  decided_by: string | null;
  /** Of the call that decided; null also where it was decided by what stands in the chat, and nobody was asked. */
  decided_key: string | null;
}

/** A kind of question that is answered with yes in a chat from now on. */
interface StandingApprovalRow {
  chat: string;
  kind: string;
  granted_at: number;
}

/** What went with a prompt; there as long as any history has the prompt's turn. */
interface AttachmentRow {
  run_key: string;
  /** From 0, in the order of the prompt. */
  number: number;
  name: string;
  mime_type: string;
  size: number;
  bytes: Buffer;
}

/** Platform processes on this database; one whose beat stands still has died. */
interface ProcessRow {
  id: string;
  beat: number;
}
