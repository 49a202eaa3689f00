import type { DocumentId } from '@automerge/automerge-repo';
import { SealError } from '../../storage/seal-error.js';
import { upgradeStatus } from '../preflight.js';
import { answerOf } from './answer.js';
import { counted, finding, some, type Finding } from './finding.js';
import { compareHeads } from './heads.js';
import type { Patient } from './patient.js';
import { lookAtRelay, type RelayLook } from './relay-probe.js';
import { clockAndCertificate, unanswered } from './server-findings.js';

/** Is each relay there, does it take the token, and has it what this folder has? */
export async function checkRelays(patient: Patient): Promise<Finding[]> {
  const { relays } = patient;
  const ids = (await documentIds(patient)) ?? [];
  const looks = await Promise.all(relays.map((relay) => checkRelay(patient, relay, ids)));
  const open = looks.flatMap(({ look }) => (look?.status.state === 'open' ? [look] : []));
  const present = new Set(open.flatMap((look) => [...look.present.keys()]));
  const who = present.size === 0 ? 'no replica' : some([...present].sort(), 5);
  return [
    finding('relay', `${open.length} of ${counted(relays.length, 'relay')} in reach; connected: ${who}`),
    ...looks.flatMap(({ found }) => found),
    ...(await compareHeads(patient, open)),
  ];
}

/** Those that stand here; none where they cannot be read, which the layer of the documents says. */
async function documentIds(patient: Patient): Promise<DocumentId[] | undefined> {
  try {
    return (await patient.stored()).documents.map(({ id }) => id as DocumentId);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return undefined;
  }
}

async function checkRelay(
  patient: Patient,
  relay: { url: string; token?: string },
  ids: readonly DocumentId[],
): Promise<{ found: Finding[]; look?: RelayLook }> {
  const { url, token } = relay;
  const { limits, signal, clock } = patient;
  const answer = await answerOf(url, { deadlineMs: limits.answerMs, signal, now: () => clock.now() });
  if ('failure' in answer)
    return { found: [unanswered('relay-unreachable', 'relay', 'the relay', url, answer)] };
  const found = clockAndCertificate('relay-clock', 'relay', `the relay at ${url}`, answer, patient);
  const refusal = refused(await upgradeStatus(url, token, limits.answerMs), relay);
  if (refusal !== undefined) return { found: [...found, refusal] };
  const look = await lookAtRelay(patient, relay, ids);
  return { found: [...found, ...ended(look, url)], look };
}

/** What the answer to the upgrade of a replica says; undefined when it is let in. */
function refused(
  status: number | string,
  { url, token }: { url: string; token?: string },
): Finding | undefined {
  switch (status) {
    case 101:
      return undefined;
    case 401: {
      const seen =
        token === undefined
          ? 'asks for a token, and none is set'
          : 'refuses the token: it is wrong or has expired';
      return finding(
        'relay-token',
        `the relay at ${url} ${seen}`,
        'set UNDERSTUDY_RELAY_TOKEN to one that the relay knows',
      );
    }
    case 403:
      return finding(
        'relay-role',
        `the relay at ${url} takes the token, but not as a replica's`,
        'set a token of the role replica: `understudy relay token create --role replica`',
      );
    case 400:
    case 404:
    case 426:
      return finding(
        'relay-protocol',
        `what answers at ${url} does not speak this version's protocol (HTTP ${status})`,
        'look whether that is the address of the relay; else update the older of the two',
      );
    case 429:
    case 503:
      return finding(
        'relay-busy',
        `the relay at ${url} takes no more connections (HTTP ${status})`,
        'raise UNDERSTUDY_RELAY_CONNECTIONS, or look who is connected there',
      );
    default:
      return finding(
        'relay-unreachable',
        `the relay at ${url} does not let a replica in (${status})`,
        'look at its log',
      );
  }
}

/** How a connection that was let in ended, or that it stands. */
function ended({ status, heads }: RelayLook, url: string): Finding[] {
  if (status.state === 'open') {
    if (heads !== undefined) return [];
    const seen = `the relay at ${url} does not say in time what it has`;
    return [finding('heads-unanswered', seen, 'look at its load and its disk')];
  }
  if (status.reason === 'wrong-cluster') {
    const todo = 'set UNDERSTUDY_CLUSTER_ID or UNDERSTUDY_RELAY_URLS right: one relay serves one cluster';
    return [finding('relay-other-cluster', `the relay at ${url} serves another cluster`, todo)];
  }
  const reason = status.reason ?? 'no welcome in time';
  return [
    finding('relay-unreachable', `the relay at ${url} ends the connection (${reason})`, 'look at its log'),
  ];
}
