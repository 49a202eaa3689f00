import type { Cause, Write } from '../documents/write.js';
import type { Log } from '../telemetry/log.js';
import type { OpenDocument } from './open-documents.js';
import type { RelayWord } from './relay-word.js';
import type { ReplicaFile } from './replica-file.js';
import type { NodeStatus } from './status.js';

/** Format of transaction ids (PROTOCOL D1), fixed for a cluster when it is founded. */
const FORMAT = '1';

export interface FoundingContext {
  cluster: OpenDocument;
  replica: ReplicaFile;
  relays: RelayWord;
  /** The operator says go: no word of a relay is waited for. */
  found: boolean;
  shards: number;
  now: () => number;
  genesis: () => number | undefined;
  /** Whether the cluster's document knows any member: nobody registers before the genesis counts. */
  hasMembers: () => boolean;
  change: (writes: Write[], cause: Cause) => Promise<void>;
  report: (status: NodeStatus) => void;
  signal: AbortSignal | undefined;
  log: Log;
}

/**
 * Resolves once the cluster has a genesis that nobody can have missed (PROTOCOL C5): it is written only after a
 * relay has said that there is none, and counts only after a relay has stored it. Without a relay in reach
 * this waits until one comes, the signal is aborted, or, with `found`, not at all.
 */
export async function ensureGenesis(context: FoundingContext): Promise<void> {
  const { replica, found, log } = context;
  if (replica.isNew && context.genesis() !== undefined) await takeOver(context);
  if (context.genesis() === undefined) {
    if (!found) await hearWhetherItExists(context);
    if (context.genesis() === undefined) await writeGenesis(context);
    // It came from the others: they have acknowledged it by having it.
    else await replica.acknowledgeGenesis();
  }
  if (!found && !replica.genesisAcknowledged) await awaitAcknowledgement(context);
  await replica.acknowledgeGenesis();
  log.debug({ genesis_ts: context.genesis() }, 'the cluster is founded');
}

/** The folder's `replica.json` is gone and its documents are not: what it said of the genesis follows from them. */
async function takeOver({ replica, hasMembers, log }: FoundingContext): Promise<void> {
  log.warn(
    { replica: replica.replica },
    'this folder holds a cluster and no replica.json that can be read: going on with it as another replica',
  );
  if (hasMembers()) await replica.acknowledgeGenesis();
}

async function hearWhetherItExists({
  cluster,
  relays,
  report,
  now,
  signal,
  log,
}: FoundingContext): Promise<void> {
  report({ state: 'waiting-for-peers', reason: 'no-word', since: now() });
  log.info({}, 'this folder knows no cluster: waiting for a relay to say whether it exists');
  await relays.caughtUp([cluster], { signal });
}

async function writeGenesis({ change, now, shards, log }: FoundingContext): Promise<void> {
  const genesis_ts = now();
  const fields = { genesis_ts, shards, shards_opened: shards, format: FORMAT, judge: 'untested' };
  await change([{ kind: 'cluster', key: 'cluster', fields }], { id: 'genesis', ts: genesis_ts });
  log.info({ genesis_ts, shards }, 'cluster founded; history before this instant is not answered');
}

async function awaitAcknowledgement(context: FoundingContext): Promise<void> {
  const { cluster, relays, report, now, signal } = context;
  report({ state: 'waiting-for-peers', reason: 'not-acknowledged', since: now() });
  await relays.acknowledged(() => [cluster], { signal });
}
