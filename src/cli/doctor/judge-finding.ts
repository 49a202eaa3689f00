import { finding, type Finding } from './finding.js';

/** What the cluster's document says of the homeserver (PROTOCOL D9). */
export function judgeFinding(judge: unknown): Finding[] {
  if (judge === 'atomic') return [];
  if (judge === 'not_atomic') {
    return [
      finding(
        'judge-not-atomic',
        'this homeserver does not drop the second of two concurrent sends under one transaction id: an answer may show twice',
        'use one that does (Synapse), or run a single replica',
      ),
    ];
  }
  return [
    finding(
      'judge-untested',
      'nobody has tested yet whether this homeserver drops the second of two concurrent sends under one transaction id',
      '`understudy doctor --probe-homeserver` tests it once and records it for all replicas',
    ),
  ];
}
