import * as A from '@automerge/automerge';
import type { Standing } from '../../backup/restore-backup.js';
import { keysOf, readRecord, type Document } from '../../documents/document.js';
import { readCut, type Cut } from '../generations/cut.js';
import { Line } from '../generations/line.js';

/**
 * Whether a generation of an actors shard still counts, by the cut records of the cluster's document (PROTOCOL A6).
 * One that was superseded would be drained and removed again at the next start; one that no record knows was being
 * made when it was backed up, and everything in it stands in the generation before.
 */
export function standingIn(cluster: Document, generation: number, document: Document): Standing {
  const index = typeof document['index'] === 'number' ? document['index'] : -1;
  const cuts = cutsOf(cluster, index);
  const began = (cut: Cut): boolean => cut.generation === generation && A.hasHeads(document, [cut.bytesHash]);
  const cut = generation === 0 ? undefined : cuts.find(began);
  if (generation > 0 && cut === undefined) return 'unrecorded';
  return new Line(cuts).isSuperseded(cut) ? 'superseded' : 'counts';
}

function cutsOf(cluster: Document, index: number): Cut[] {
  // What is malformed is counted by the node that reads it at its next start.
  const ignore = (): void => {};
  return keysOf(cluster, 'cut', ignore).flatMap((key) => {
    const record = readRecord(cluster, 'cut', key, ignore);
    const cut = record && readCut(key, record);
    return cut?.index === index ? [cut] : [];
  });
}
