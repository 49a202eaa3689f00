import type { AgentDefinition } from '../agents.js';
import type { Attachment } from '../attachments.js';

/** One asking of an agent, durably counted before anything is asked. */
export interface Invocation {
  /** 1 for the first of its run. */
  number: number;
  /** Milliseconds since the epoch; survives a restart of the platform. */
  startedAt: number;
  /** Random, survives a restart. */
  seed: string;
}

export interface Turn {
  role: 'user' | 'assistant';
  /** With its attachments named. */
  text: string;
  /** Those whose bytes are given; of older turns the names are all there is. */
  attachments: Attachment[];
}

export interface BackendRequest {
  agent: AgentDefinition;
  text: string;
  /** What goes with the text. */
  attachments(): Promise<Attachment[]>;
  /** Which user turn of its context this is, from 1. */
  number: number;
  /** The finished turns before this one, oldest first; with the latest files, beside `used` bytes of this one's. */
  history(used: number): Promise<Turn[]>;
  /** Counts one more invocation of this run. What was emitted for an earlier one is void. */
  invoke(): Promise<Invocation>;
  /** Takes the latest invocation of this run up again, or counts the first. For backends that can resume. */
  resume(): Promise<Invocation>;
  delta(text: string): void;
  /**
   * Asks a person, unless one has agreed to that kind of question in this chat for good. Resolves to the first decision
   * for that id, which survives a restart.
   */
  approval(asked: { id: string; kind: string; question: string }, signal: AbortSignal): Promise<Decision>;
}

export type Decision = 'approve' | 'deny';

/** An agent's way of answering. Resolves to the whole text, or rejects with {@link BackendError}. */
export interface Backend {
  answer(request: BackendRequest, signal: AbortSignal): Promise<string>;
}

/** The agent failed for good: the run ends with this as its error event. Never carries a secret. */
export class BackendError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'BackendError';
  }
}
