import type { Log } from '../../telemetry/log.js';
import type { Outcome } from '../attendant.js';
import type { Source } from '../source.js';
import { notice } from './texts.js';

const LONGEST_DETAIL = 500;

/** What people are told of a run that failed, by the platform's code. */
const SENTENCES = new Map([
  ['unknown-agent', 'The agent of this chat is not there any more'],
  ['backend-unavailable', 'The agent is out of reach'],
  ['backend-refused', 'What the agent runs on refused this'],
  ['backend-misconfigured', 'The agent is not set up as it should be'],
  ['backend-empty', 'The agent gave no answer'],
  ['backend-endless', 'The agent’s answer had no end'],
  ['approval-expired', 'Nobody decided in time'],
]);

/**
 * The answer of a prompt whose run failed: one sentence and a reference that the log has too. The platform's own words
 * may quote an endpoint, an account or a file: they are for the log alone.
 */
export function runFailed(
  log: Log,
  source: Source,
  { code, message }: { code: string; message: string },
): Outcome {
  const reference = source.id.slice(1, 9);
  const detail = message.slice(0, LONGEST_DETAIL);
  log.warn({ source: source.id, reference, code, detail }, 'a run ended with an error');
  return notice(`${SENTENCES.get(code) ?? 'The agent failed'} (reference ${reference}).`);
}
