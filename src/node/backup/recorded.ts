import * as A from '@automerge/automerge';
import { keysOf, readRecord, type Document } from '../../documents/document.js';
import { readCut } from '../generations/cut.js';

/**
 * Whether a cut record of the cluster's document began this generation of an actors shard (PROTOCOL A6); the first one
 * needs none. One that no record knows was being made when it was backed up: everything in it stands in the generation
 * before, and nobody would ever open it.
 */
export function isRecorded(cluster: Document, generation: number, document: Document): boolean {
  if (generation === 0) return true;
  // What is malformed is counted by the node that reads it at its next start.
  const ignore = (): void => {};
  return keysOf(cluster, 'cut', ignore).some((key) => {
    const record = readRecord(cluster, 'cut', key, ignore);
    const cut = record && readCut(key, record);
    return (
      cut !== undefined &&
      cut.index === document['index'] &&
      cut.generation === generation &&
      A.hasHeads(document, [cut.bytesHash])
    );
  });
}
