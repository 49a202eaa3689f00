import { randomBytes } from 'node:crypto';
import * as A from '@automerge/automerge';
import { Repo, type DocumentId } from '@automerge/automerge-repo';
import { clusterCheck } from '../../sync/credentials.js';
import type { Document } from '../../documents/document.js';
import { connectRelays, type Relays } from '../../sync/connect.js';
import type { LinkStatus } from '../../sync/link.js';
import { onRefusedMessage, onUndeliveredDocument } from '../../sync/repo-guard.js';
import { peerIdOf } from '../../sync/repo-message.js';
import { silentLog } from '../../telemetry/log.js';
import { sleep } from '../../time/clock.js';
import type { Patient } from './patient.js';

/** The protocol takes twice as many in one question. */
const idsAtOnce = 2048;

/** What one relay says to somebody who only looks on. */
export interface RelayLook {
  status: LinkStatus;
  /** Replica to incarnation: who is connected there. */
  present: ReadonlyMap<string, string>;
  /** Heads that it has stored, by document; undefined when it did not say. */
  heads: ReadonlyMap<string, string[]> | undefined;
}

type Relay = { url: string; token?: string };

/** As a viewer: no replica hears of it, and nothing that it holds goes out. */
export async function lookAtRelay(
  patient: Patient,
  relay: Relay,
  ids: readonly DocumentId[],
): Promise<RelayLook> {
  const { limits } = patient;
  const link = connectTo(patient, relay);
  try {
    const status = await opened(patient, link);
    if (status.state !== 'open') return { status, present: new Map(), heads: undefined };
    const heads = new Map<string, string[]>();
    let isWhole = true;
    for (let from = 0; from < ids.length; from += idsAtOnce) {
      const said = await link.relayHeads(ids.slice(from, from + idsAtOnce), limits.answerMs);
      isWhole &&= said.has(relay.url);
      for (const [id, list] of said.get(relay.url) ?? []) heads.set(id, list);
    }
    const present = new Map(
      [...link.channel.present().values()].map((one) => [one.replica, one.incarnation]),
    );
    return { status, present, heads: isWhole ? heads : undefined };
  } finally {
    link.close();
  }
}

/**
 * Copies of documents as that relay has them, by id, as far as they come within the time of one answer. They stay in
 * memory, and go with this process.
 */
export async function fetchFrom(
  patient: Patient,
  relay: Relay,
  wanted: ReadonlyMap<string, readonly string[]>,
): Promise<Map<string, Document>> {
  const { limits, clock, signal } = patient;
  const link = connectTo(patient, relay);
  const fetched = new Map<string, Document>();
  try {
    if ((await opened(patient, link)).state !== 'open') return fetched;
    const repo = new Repo({
      peerId: peerIdOf(link.channel.self),
      network: link.networkAdapters,
      sharePolicy: () => Promise.resolve(true),
    });
    // What cannot be applied or does not come is left out of the answer.
    onRefusedMessage(repo, () => undefined);
    onUndeliveredDocument(repo, () => undefined);
    const handles = [...wanted].map(([id, heads]) => ({
      ...repo.findWithProgress<Record<string, unknown>>(id as DocumentId),
      id,
      heads,
    }));
    const until = clock.monotonic() + limits.answerMs;
    while (fetched.size < handles.length && clock.monotonic() < until) {
      for (const { id, heads, handle } of handles) {
        if (fetched.has(id) || !handle.isReady()) continue;
        const document = handle.doc();
        if (A.hasHeads(document, [...heads])) fetched.set(id, document);
      }
      await sleep(clock, 20, signal);
    }
    return fetched;
  } finally {
    link.close();
  }
}

function connectTo({ clusterId, clock }: Patient, relay: Relay): Relays {
  const name = `doctor-${randomBytes(6).toString('hex')}`;
  return connectRelays({
    self: { replica: name, incarnation: name },
    relays: [relay],
    readOnly: true,
    ...(clusterId !== undefined && { clusterCheck: clusterCheck(clusterId) }),
    clock,
    log: silentLog,
  });
}

/** How the connection stands once it is open or was refused; `connecting` when neither came in time. */
async function opened({ limits, clock, signal }: Patient, link: Relays): Promise<LinkStatus> {
  const until = clock.monotonic() + limits.answerMs;
  const status = (): LinkStatus => link.status()[0] as LinkStatus;
  while (status().state === 'connecting' && clock.monotonic() < until) await sleep(clock, 10, signal);
  return status();
}
