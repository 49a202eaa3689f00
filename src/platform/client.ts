import type { Attachment } from './attachments.js';

/**
 * The agent platform, as the bot sees it. Conversation memory lives there and never in our documents (R2).
 * Every call carries an idempotency key: the same key gives the first call's result, whatever the body (P1).
 */
export interface PlatformClient {
  agents(signal?: AbortSignal): Promise<Agent[]>;
  /**
   * With `part_of` it is deleted with that chat, as a thread's is with its room's; rejects with `refused` and the reason
   * `no-such-chat` where that one is not there.
   */
  createChat(
    key: string,
    request: { agent: string; title?: string; part_of?: string },
    signal?: AbortSignal,
  ): Promise<Chat>;
  /** A context with the same history up to now, or up to the run keyed `before`. */
  branchChat(key: string, chat: string, request: { before?: string }, signal?: AbortSignal): Promise<Chat>;
  /** Joins the run of that key, or begins it; events from its start on, then live, ending with `final` or `error`. */
  sendMessage(
    key: string,
    chat: string,
    request: Prompt,
    signal?: AbortSignal,
    /** The platform holds the run now: what went with it may be let go. */
    onBegun?: () => void,
  ): AsyncIterable<RunEvent>;
  cancel(key: string, signal?: AbortSignal): Promise<void>;
  /**
   * Decides on what the run of that key asked; the first decision holds, and resolves here. Rejects with `refused` and
   * the reason `no-such-approval` where nothing of that id was asked, `approval-over` where the run is over or the time
   * is, and nobody had decided.
   */
  decide(
    key: string,
    run: string,
    approval: string,
    request: { decision: Verdict; by?: string },
    signal?: AbortSignal,
  ): Promise<Decided>;
  saveContext(key: string, chat: string, name: string, signal?: AbortSignal): Promise<void>;
  loadContext(key: string, chat: string, name: string, signal?: AbortSignal): Promise<void>;
  /** Deletes a chat, its parts, and all that they remember; their runs are over. One that is not there is deleted already. */
  deleteChat(key: string, chat: string, signal?: AbortSignal): Promise<void>;
  /** Deletes what was saved under a name. */
  deleteContext(key: string, chat: string, name: string, signal?: AbortSignal): Promise<void>;
  listContexts(chat: string, signal?: AbortSignal): Promise<{ name: string; saved_at: number }[]>;
}

export interface Agent {
  id: string;
  name: string;
  description: string;
  isDefault: boolean;
}

/** `agent` is what the first call of the key asked for, which may differ from this call's (P1). */
export interface Chat {
  platform_chat_id: string;
  agent: string;
}

export interface Prompt {
  text: string;
  /** mxid of the person. */
  user: string;
  /** Within the bounds of `attachments.ts`. */
  attachments?: readonly Attachment[];
}

/** `always` agrees, also to all that is asked of that kind in the same chat from now on. */
export type Verdict = 'approve' | 'deny' | 'always';

/** The decision that holds. */
export interface Decided {
  decision: Verdict;
  /** mxid of who decided, where that was said. */
  by?: string | undefined;
  /** It is the one that was made under this call's key. */
  ours: boolean;
}

export type RunEvent =
  | { type: 'delta'; text: string }
  | { type: 'approval'; id: string; question: string }
  /** What was decided on a question that this stream has told of. */
  | { type: 'decided'; id: string; decision: Verdict; by?: string | undefined }
  | { type: 'final'; text: string }
  | { type: 'error'; code: string; message: string };

/**
 * - `unreachable`: no answer, 5xx, or cut in the stream: ask again under the same key (an outage, no attempt: C2).
 * - `refused`: the platform answered 4xx; asking again will not help.
 * - `aborted`: our own signal.
 */
export class PlatformError extends Error {
  constructor(
    readonly code: 'unreachable' | 'refused' | 'aborted',
    message: string,
    readonly status?: number,
    /** The platform's own word for why it refused, as in `no-such-chat`. */
    readonly reason?: string,
  ) {
    super(message);
    this.name = 'PlatformError';
  }
}
