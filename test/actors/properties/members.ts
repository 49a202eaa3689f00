import * as A from '@automerge/automerge';
import { putRecord } from '../../../src/documents/document.js';
import { genesisBytes } from '../../../src/documents/genesis.js';
import { kinds } from '../../../src/documents/schemas/kinds.js';

/** The change by which replicas are members of the cluster, as if they had registered long ago. */
export function membersChange(replicas: readonly string[], now: number): Uint8Array {
  const known = changes.get(replicas.join());
  if (known !== undefined) return known;
  const first = genesisBytes({ kind: 'cluster', index: 0, generation: 0 });
  const cluster = A.loadIncremental(A.init<Record<string, unknown>>({ actor: 'aa'.repeat(16) }), first);
  const changed = A.change(cluster, { time: 0 }, (draft) => {
    for (const replica of replicas) {
      const entry = { value: now, stamp: now, cause: 'start' };
      putRecord(draft, 'member', kinds.member.prefix + replica, new Map([['last_seen_at', entry]]));
    }
  });
  const change = A.getLastLocalChange(changed);
  if (change === undefined) throw new Error('no change was made');
  A.free(changed);
  changes.set(replicas.join(), change);
  return change;
}

const changes = new Map<string, Uint8Array>();
