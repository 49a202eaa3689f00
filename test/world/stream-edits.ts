import type { TimelineEvent } from './matrix-http.js';

/** The first pause between edits, and by how much each is longer than the one before, as documented (decision 24). */
const FIRST_MS = 500;
const FACTOR = 1.25;

/** As many edits as the ramp allows in a run that takes so long, by the sum of its pauses; below its longest pause. */
export function mostEdits(ms: number): number {
  let [edits, sum, pause] = [0, 0, FIRST_MS];
  while (sum + pause <= ms) {
    sum += pause;
    pause = Math.min(pause * FACTOR, 15_000);
    edits += 1;
  }
  return edits;
}

interface Mark {
  source?: string;
  step?: string;
  final?: boolean;
  replica?: string;
}

export const markOf = ({ content }: TimelineEvent): Mark =>
  (content['dev.understudy.delivery'] as Mark | undefined) ?? {};

/** What stands in a room of the answer to one prompt, in the order of the timeline. */
export const answerEvents = (history: TimelineEvent[], prompt: string): TimelineEvent[] =>
  history.filter((event) => markOf(event).source === prompt);

export const isEdit = (event: TimelineEvent): boolean => markOf(event).step?.startsWith('stream/') === true;
