import { documentId, describeDocument, type DocumentName } from '../../documents/ids.js';
import { documentOf } from '../../node/generations/cut.js';
import { clusterRecord, currentOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, type Finding } from './finding.js';
import { numberIn, type Patient } from './patient.js';
import type { Stored } from './stored.js';

/** Which documents there must be: the cluster's names the number of shards, and its cuts the generations of each. */
export function checkNamed(patient: Patient, stored: Stored, view: ClusterView): Finding[] {
  const record = clusterRecord(view);
  const shards = numberIn(record, 'shards_opened') ?? numberIn(record, 'shards');
  if (shards === undefined) {
    return [
      finding(
        'cluster-record-missing',
        'no document says what cluster this is: neither founded here nor taken from a relay',
        'start the replica with a relay in reach',
      ),
      ...otherCluster(patient, stored),
    ];
  }
  return [
    ...otherCluster(patient, stored),
    ...missing(stored, shards),
    ...behind(stored, view),
    ...left(stored, view),
  ];
}

/** Ids are derived from the cluster id, so that another one shows: nobody would find these documents. */
function otherCluster({ clusterId }: Patient, { documents }: Stored): Finding[] {
  if (clusterId === undefined) return [];
  const foreign = documents.filter(
    ({ id, kind, index, generation }) =>
      (kind === 'cluster' || kind === 'routing') && id !== documentId(clusterId, { kind, index, generation }),
  );
  if (foreign.length === 0) return [];
  return [
    finding(
      'cluster-id-differs',
      `${counted(foreign.length, 'document')} (${some(foreign.map(({ name }) => name))}) were made under another cluster id than UNDERSTUDY_CLUSTER_ID`,
      'set the cluster id that this folder was made with, or name the folder of this cluster',
    ),
  ];
}

function missing({ documents }: Stored, shards: number): Finding[] {
  const wanted: DocumentName[] = Array.from({ length: shards }, (_, index) => index).flatMap((index) => [
    { kind: 'routing' as const, index, generation: 0 },
    { kind: 'actors' as const, index, generation: 0 },
  ]);
  const lacks = wanted.filter(
    ({ kind, index }) => !documents.some((one) => one.kind === kind && one.index === index),
  );
  if (lacks.length === 0) return [];
  return [
    finding(
      'document-missing',
      `${counted(lacks.length, 'document')} of ${2 * shards + 1} that the cluster has are not here: ${some(lacks.map(describeDocument))}`,
      'start the replica with a relay in reach: it fills them from the newest backup and its peers',
    ),
  ];
}

/** A shard that others have cut, and whose new generation has not come here yet. */
function behind({ documents }: Stored, { chains }: ClusterView): Finding[] {
  const late = [...chains].filter(
    ([index, chain]) => (currentOf(documents, index, chains)?.generation ?? 0) < chain.length,
  );
  if (late.length === 0) return [];
  const shown = some(late.map(([index, chain]) => describeDocument(documentOf(index, chain.at(-1)))));
  return [
    finding(
      'generation-behind',
      `${counted(late.length, 'shard')} not yet at its newest generation: ${shown}`,
      'nothing while this goes on; a running replica with a relay in reach moves by itself',
    ),
  ];
}

/** Documents of generations that do not count any more. */
function left(stored: Stored, { chains }: ClusterView): Finding[] {
  const old = stored.documents.filter((one) => {
    if (one.kind !== 'actors') return false;
    const current = currentOf(stored.documents, one.index, chains);
    return current !== undefined && one !== current;
  });
  if (old.length === 0) return [];
  const bytes = old.reduce((sum, one) => sum + one.bytes, 0);
  return [
    finding(
      'generation-left',
      `${counted(old.length, 'document')} (${bytes} bytes) of generations that were cut: ${some(old.map(({ name }) => name))}`,
      'nothing: they go when every member has moved; a member that is gone for good is retired after 7 days',
    ),
  ];
}
