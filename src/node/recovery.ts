import * as A from '@automerge/automerge';
import { describeDocument } from '../documents/ids.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { NodeCounters } from './counters.js';
import type { NodeEvents } from './node-events.js';
import type { OpenDocuments } from './open-documents.js';
import type { RelayWord } from './relay-word.js';
import { sameHeads } from './saver.js';
import type { NodeStatus } from './status.js';

/**
 * A document that lost chunks on this disk is not written before a relay has shown that nothing is missing any more.
 * The last of three steps: what the disk has of it and what a backup has stand in it already.
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
    counters: NodeCounters;
    events: Pick<NodeEvents, 'emit'>;
    report: (status: NodeStatus) => void;
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { documents, word, clock, log, counters, events, report, signal } = context;
  const lost = [...incomplete].map((id) => documents.get(id)).filter((one) => one !== undefined);
  if (lost.length === 0) return;
  const names = lost.map(({ name }) => describeDocument(name));
  report({ state: 'waiting-for-peers', reason: 'recovering', since: clock.now(), documents: names });
  log.warn({ documents: names }, 'documents lost changes on disk: waiting for a relay to fill them');
  await word.caughtUp(lost, { signal });
  const filled = lost
    .filter((one) => documents.get(one.id) === one && !sameHeads(one.opened, A.getHeads(one.handle.doc())))
    .map(({ name }) => describeDocument(name));
  counters.recovery.fromPeers += filled.length;
  for (const document of filled) {
    const reason = 'a relay had more of it than this disk';
    events.emit({ type: 'state:recovered', step: 'from-peers', document, reason, quarantined: undefined });
  }
  log.info({ documents: names, filled }, 'a relay has shown what it has of the documents that lost changes');
  incomplete.clear();
}
