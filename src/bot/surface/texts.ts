import { type Answer, type AnswerKind, freeze } from '../../delivery/answer.js';
import { wellFormed } from '../../delivery/shown-text.js';
import { splitText } from '../../delivery/split.js';
import type { Agent } from '../../platform/client.js';
import type { Outcome } from '../attendant.js';
import { agentLines } from './agents.js';

/** A text as an outcome, cut into its parts. */
export function says(kind: AnswerKind, text: string): Outcome {
  return { answer: cut(kind, text) };
}

export const notice = (text: string): Outcome => says('m.notice', text);

function cut(kind: AnswerKind, text: string): Answer {
  return freeze(kind, splitText(wellFormed(text)));
}

export const link = (room: string, server: string) =>
  `https://matrix.to/#/${encodeURIComponent(room)}?via=${encodeURIComponent(server)}`;

/** The agent a room should talk to is no longer in the registry: ask, with the list (REQUIREMENTS R1). */
export function pickAnAgent(gone: string, agents: readonly Agent[], prefix: string): Outcome {
  if (agents.length === 0) return notice('There is no agent to talk to: the platform lists none.');
  return notice(
    `The agent “${gone}” is no longer there. Pick one with ${prefix}agent ID:\n${agentLines(agents)}`,
  );
}
