import type { Records } from './records.js';
import type { SettleReason, SourceRef } from './source.js';

/** How a settled source ended by its mark, as far as it matters to what is left of it in the room. */
export function endedAs(records: Pick<Records, 'markReason'>, ref: SourceRef): SettleReason {
  const reason = records.markReason(ref);
  return reason === 'dropped' || reason === 'forbidden' ? reason : 'answered';
}
