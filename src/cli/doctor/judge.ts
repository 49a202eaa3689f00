import { recordJudge } from '../../bot/judge-question.js';
import { openHomeserver } from '../../matrix/client.js';
import { HomeserverError } from '../../matrix/homeserver.js';
import { probeJudge, type Judgement } from '../../matrix/judge.js';
import { openNode } from '../../node/open-node.js';
import { silentLog } from '../../telemetry/log.js';
import { ControlError, askControl, controlPath } from '../../telemetry/control.js';
import { homeserverUrl } from '../config/settings.js';
import { messageOf } from '../explain.js';
import { finding, type Finding } from './finding.js';
import { judgeFinding } from './judge-finding.js';
import { probeTokens } from './judge-tokens.js';
import type { Patient } from './patient.js';

/** A stopped folder is opened for the record. */
const OPEN_MS = 30_000;

/**
 * PROTOCOL D9: 20 pairs of concurrent sends, and their outcome in the cluster's document. Killed before the record
 * nothing has changed; run again it says the latest outcome.
 */
export async function probeHomeserver(patient: Patient, say: (line: string) => void): Promise<Finding[]> {
  const { settings, clock, signal, limits } = patient;
  const url = settings.get(homeserverUrl);
  if (url === undefined) return [];
  try {
    const tokens = await probeTokens(patient, url);
    if ('finding' in tokens) return [tokens.finding];
    try {
      const ways = tokens.tokens.map((accessToken) =>
        openHomeserver({ url, accessToken, log: silentLog, clock, deadlineMs: 3 * limits.answerMs }),
      );
      const [one, other = one] = ways;
      if (one === undefined || other === undefined) return [];
      const judgement = await probeJudge(one, other, {
        clock,
        log: silentLog,
        signal,
        onPair: (done, of) => say(`probe of the homeserver: ${done} of ${of} pairs`),
      });
      return [...tokens.found, ...(await recorded(patient, judgement, tokens.words))];
    } finally {
      await tokens.end();
    }
  } catch (error) {
    if (!(error instanceof HomeserverError) || signal.aborted) throw error;
    const todo = 'run it again when the homeserver answers; nothing was recorded';
    return [
      finding(
        'judge-unfinished',
        `the probe of the homeserver did not come to its end: ${error.message}`,
        todo,
      ),
    ];
  }
}

async function recorded(patient: Patient, judgement: Judgement, over: string): Promise<Finding[]> {
  const { outcome, pairs, doubled } = judgement;
  const seen = `${pairs} pairs of concurrent sends ${over}: ${doubled} doubled, so it is ${outcome === 'atomic' ? 'atomic' : 'not atomic'}`;
  try {
    await record(patient, outcome);
  } catch (error) {
    if (patient.signal.aborted) throw error;
    return [
      finding(
        'judge-not-recorded',
        `${seen}; the record was not made: ${messageOf(error)}`,
        'start the replica, and run this again',
      ),
      ...judgeFinding(outcome),
    ];
  }
  return [finding('homeserver', `${seen}; recorded for all replicas`), ...judgeFinding(outcome)];
}

/** Through the process that holds the folder; else in the folder itself, and on a relay where one is in reach. */
async function record(patient: Patient, outcome: Judgement['outcome']): Promise<void> {
  const { dir, clusterId, keys, relays, holder } = patient;
  if (holder.state === 'answers') {
    await askControl(controlPath(dir), 'judge', { outcome }, { deadlineMs: OPEN_MS });
    return;
  }
  if (holder.state !== 'nobody' && holder.state !== 'gone') {
    throw new ControlError('late', 'the process that holds the folder does not answer');
  }
  if (clusterId === undefined || patient.role !== 'replica')
    throw new Error('this is no folder of a replica');
  const limit = AbortSignal.any([patient.signal, AbortSignal.timeout(OPEN_MS)]);
  const node = await openNode({ clusterId, dataDir: dir, storageKeys: keys, relays, signal: limit });
  try {
    await recordJudge(node, outcome);
    await node.replicated(patient.limits.answerMs);
  } finally {
    await node.close();
  }
}
