import type { TimelineEvent } from './matrix-http.js';
import { seenMessages, type SeenMessage } from './seen.js';

/** One answer that a prompt must get. */
export interface ExpectedAnswer {
  room: string;
  /** Event id of the prompt. */
  prompt: string;
  /** Text that only this prompt's answer holds; the first message of the answer must. */
  token: string;
  /** The whole answer: its exact text, a pattern, or a condition over its parts in the order of the timeline. */
  text?: string | RegExp | ((parts: string[]) => boolean);
  /** `one` message (default), or `several` in a row that together satisfy `text`. */
  parts?: 'one' | 'several';
  /** One question, at most, that is put on the way to the answer, as a message of its own. */
  asks?: RegExp;
}

/** A message that the bot owes a room without being asked there, such as a greeting. */
export interface ExpectedMessage {
  room: string;
  text: RegExp;
  /** How many of them; default 1. A courtesy may come or not, but only once. */
  times?: number | 'at most once';
}

export interface Problem {
  kind: 'missing' | 'doubled' | 'wrong' | 'unexplained';
  room: string;
  /** What was expected: the prompt's token, or the pattern of a message. */
  about?: string;
  /** How often it was seen. */
  times: number;
  bodies: string[];
}

export interface Case {
  /** mxid of the bot. */
  bot: string;
  answers: ExpectedAnswer[];
  messages?: ExpectedMessage[];
}

/**
 * Compares what a person sees of the bot with what it owes. It knows Matrix and nothing of the product: an answer is
 * one that replies to its prompt and holds its prompt's token; every other message of the bot must be expected too.
 */
export function judge(
  histories: Map<string, TimelineEvent[]>,
  { bot, answers, messages = [] }: Case,
): Problem[] {
  const problems: Problem[] = [];
  for (const room of new Set([...histories.keys(), ...answers.map((answer) => answer.room)])) {
    const left = new Set(seenMessages(histories.get(room) ?? []).filter((message) => message.sender === bot));
    for (const expected of answers.filter((answer) => answer.room === room)) {
      const found = [...left].filter((message) => message.inReplyTo === expected.prompt);
      for (const message of found) left.delete(message);
      const problem = judgeAnswer(expected, found);
      if (problem) problems.push(problem);
    }
    for (const expected of messages.filter((message) => message.room === room)) {
      const found = [...left].filter((message) => expected.text.test(message.body));
      for (const message of found) left.delete(message);
      const problem = judgeMessage(expected, found);
      if (problem) problems.push(problem);
    }
    for (const message of left)
      problems.push({ kind: 'unexplained', room, times: 1, bodies: [message.body] });
  }
  return problems;
}

function judgeAnswer(expected: ExpectedAnswer, replies: SeenMessage[]): Problem | undefined {
  const asked = expected.asks && replies.find((message) => expected.asks?.test(message.body));
  const found = replies.filter((message) => message !== asked);
  const bodies = found.map((message) => message.body);
  const problem = (kind: Problem['kind']): Problem => ({
    kind,
    room: expected.room,
    about: expected.token,
    times: found.length,
    bodies,
  });
  if (found.length === 0) return problem('missing');
  if (found.length > 1 && expected.parts !== 'several') return problem('doubled');
  if (!bodies[0]?.includes(expected.token)) return problem('wrong');
  // The first part names the prompt; once more is the beginning of a second answer.
  if (bodies.slice(1).some((body) => body.includes(expected.token))) return problem('doubled');
  return fits(expected.text, bodies) ? undefined : problem('wrong');
}

function judgeMessage(expected: ExpectedMessage, found: SeenMessage[]): Problem | undefined {
  const { room, times = 1 } = expected;
  if (found.length === times || (times === 'at most once' && found.length <= 1)) return undefined;
  const kind = times !== 'at most once' && found.length < times ? 'missing' : 'doubled';
  return {
    kind,
    room,
    about: String(expected.text),
    times: found.length,
    bodies: found.map((one) => one.body),
  };
}

function fits(text: ExpectedAnswer['text'], parts: string[]): boolean {
  if (text === undefined) return true;
  if (typeof text === 'function') return text(parts);
  return typeof text === 'string' ? parts.join('') === text : text.test(parts.join(''));
}

/** Whether an answer stands as expected; more of the same may still come. */
export function isAnswered(history: TimelineEvent[], bot: string, expected: ExpectedAnswer): boolean {
  const found = seenMessages(history).filter(
    (one) => one.sender === bot && one.inReplyTo === expected.prompt,
  );
  const problem = judgeAnswer(expected, found)?.kind;
  return problem === undefined || problem === 'doubled';
}

/** Whether a message stands as often as expected, or more often. */
export function isSaid(history: TimelineEvent[], bot: string, { text, times = 1 }: ExpectedMessage): boolean {
  const said = seenMessages(history).filter((one) => one.sender === bot && text.test(one.body));
  return times === 'at most once' || said.length >= times;
}

/** The problems as a person would tell them, one a line, in the order of the rooms. */
export function tell(problems: Problem[]): string {
  const lines = problems.map(({ kind, room, about, times, bodies }) => {
    const shown = bodies.slice(0, 3).map((body) => JSON.stringify(body.slice(0, 160)));
    return `${kind}${about ? ` ${about}` : ''} (seen ${times} times in ${room})${shown.length ? `: ${shown.join(' | ')}` : ''}`;
  });
  const kinds = [...new Set(problems.map(({ kind }) => kind))];
  const counts = kinds.map((kind) => `${problems.filter((problem) => problem.kind === kind).length} ${kind}`);
  return [counts.join(', '), ...lines.slice(0, 40)].join('\n');
}
