import { describeDocument } from '../documents/ids.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { OpenDocuments } from './open-documents.js';
import type { RelayWord } from './relay-word.js';
import type { NodeStatus } from './status.js';

/**
 * A document that lost chunks on this disk is not written before a relay has shown that nothing is missing any more.
 *
 * @param incomplete ids of such documents; emptied.
 */
export async function fillWhatDiskLost(
  incomplete: Set<string>,
  context: {
    documents: Pick<OpenDocuments, 'get'>;
    word: Pick<RelayWord, 'caughtUp'>;
    clock: Clock;
    log: Log;
    report: (status: NodeStatus) => void;
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { documents, word, clock, log, report, signal } = context;
  const lost = [...incomplete].map((id) => documents.get(id)).filter((one) => one !== undefined);
  if (lost.length === 0) return;
  const names = lost.map(({ name }) => describeDocument(name));
  report({ state: 'waiting-for-peers', reason: 'recovering', since: clock.now(), documents: names });
  log.warn({ documents: names }, 'documents lost changes on disk: waiting for a relay to fill them');
  await word.caughtUp(lost, { signal });
  incomplete.clear();
}
