import { createHash } from 'node:crypto';

/** Version of the transaction ids and of the delivery mark; recorded in the cluster document (PROTOCOL D1). */
export const DELIVERY_FORMAT = 1;

/**
 * The transaction id of one step for one source: a function of (format, source, step) and of nothing else, so
 * that every replica, of any version, epoch or incarnation, writes the same write-once register (PROTOCOL D1).
 */
export function transactionId(source: string, step: string, format: number = DELIVERY_FORMAT): string {
  return createHash('sha256')
    .update(JSON.stringify([format, source, step]))
    .digest('base64url');
}

/** The steps of an answer (PROTOCOL D3, D7). */
export const steps = {
  /** A placeholder, or the final text: always the first event of an answer. */
  anchor: 'anchor',
  /** The final text as an edit of a placeholder. */
  final: 'final',
  /** A next round: an edit after a final whose parts nobody holds any more. */
  nextRound: (finalBefore: string) => `final/${finalBefore}`,
  /** Part `k` (from 2) of the text with this hash. */
  part: (hash: string, k: number) => `${hash}/${k}`,
  stream: (incarnation: string, n: number) => `stream/${incarnation}/${n}`,
  repair: (staleEvent: string) => `repair/${staleEvent}`,
  orphan: (event: string) => `orphan/${event}`,
} as const;

/** The step shows a text for the moment, and ends nothing. */
export const isStreamStep = (step: string): boolean => step.startsWith('stream/');
