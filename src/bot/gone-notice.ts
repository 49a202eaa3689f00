import { type Answer, freeze } from '../delivery/answer.js';
import type { Source } from './source.js';

const FORGOTTEN_TEXT = 'This was not answered: what I knew of you was deleted.';
const FORBIDDEN_TEXT = 'This was not answered: I could not write here.';
const WITHDRAWN_TEXT = 'This was not answered: the message was deleted.';

/**
 * Ends the placeholder of a source of which nothing is left to answer. By what the documents say of it, so that all
 * replicas write the same text under the same step.
 */
export function goneNotice(source: Source, isForgotten: boolean): Answer {
  const [failure, text] = isForgotten
    ? ['forgotten', FORGOTTEN_TEXT]
    : source.settled === 'forbidden'
      ? ['forbidden', FORBIDDEN_TEXT]
      : ['withdrawn', WITHDRAWN_TEXT];
  source.failure = failure;
  return freeze('m.notice', [text]);
}
