import type { StateNode } from '../node/state-node.js';

/** Why a replica with these documents may own nothing (PROTOCOL O1); undefined for nothing. */
export function documentsObstacle(
  node: Pick<StateNode, 'status' | 'storage' | 'migrations'>,
): string | undefined {
  const status = node.status();
  if (status.state !== 'ready') return `documents: ${status.state}`;
  const newer = node.migrations.readOnly();
  const [first] = newer;
  if (first !== undefined) {
    const all = newer.length === 1 ? first.document : `${first.document} and ${newer.length - 1} more`;
    return `${all} were migrated by a newer release to schema ${first.schema}: read only; update this replica`;
  }
  return node.storage().state === 'failing' ? 'the data folder cannot be written' : undefined;
}
