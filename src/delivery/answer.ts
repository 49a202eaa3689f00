import { createHash } from 'node:crypto';

/** `m.text` for what an agent said, `m.notice` for what the bot itself says (REQUIREMENTS R2). */
export type AnswerKind = 'm.text' | 'm.notice';

/** An answer, frozen: cut into its parts and named by a hash over the list of parts (PROTOCOL D3, D4). */
export interface Answer {
  kind: AnswerKind;
  /** At least one. Part 1 is the final event (anchor or edit), every other an event of its own. */
  parts: string[];
  hash: string;
  /** The edit in whose form the prompt was answered; absent: in its first form. Not part of what the hash is over. */
  of?: string | undefined;
}

export function freeze(kind: AnswerKind, parts: string[]): Answer {
  return { kind, parts, hash: answerHash(kind, parts) };
}

/** Over the list of parts and their number, so that equal texts cut differently are different answers. */
export function answerHash(kind: AnswerKind, parts: string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, parts]))
    .digest('base64url')
    .slice(0, 22);
}
