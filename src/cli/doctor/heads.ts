import * as A from '@automerge/automerge';
import type { Document } from '../../documents/document.js';
import { sleep } from '../../time/clock.js';
import type { Code } from './codes.js';
import { counted, finding, some, type Finding } from './finding.js';
import { headsOfHolder } from './holder.js';
import type { Patient } from './patient.js';
import { fetchFrom, lookAtRelay, type RelayLook } from './relay-probe.js';
import type { StoredDocument } from './stored.js';

/** How one document here stands to what a relay has stored of it. */
interface Standing {
  name: string;
  /** `unanswered`: the relay could not say. `unknown`: it does not have the document. */
  state: 'known' | 'unknown' | 'unanswered';
  /** Changes that the relay has not stored. */
  ahead: number;
  /** Changes that are not here; undefined where there are some and the relay did not send them in time. */
  behind: number | undefined;
}

/** Compares every document with every relay in reach; while a replica works here a difference is looked at again. */
export async function compareHeads(patient: Patient, relays: readonly RelayLook[]): Promise<Finding[]> {
  const answered = relays.filter((one) => one.heads !== undefined);
  if (answered.length === 0) return [];
  const { documents } = await patient.stored();
  const found: Finding[] = [];
  for (const look of answered) found.push(...(await compareWith(patient, documents, look)));
  return found;
}

async function compareWith(
  patient: Patient,
  documents: readonly StoredDocument[],
  first: RelayLook,
): Promise<Finding[]> {
  const { holder, clock, limits, dir, signal } = patient;
  const isLive = holder.state === 'answers';
  const until = clock.monotonic() + (isLive ? limits.settleMs : 0);
  const relay = patient.relays.find(({ url }) => url === first.status.url);
  if (relay === undefined) return [];
  let heads = first.heads;
  for (;;) {
    // The files were read a while ago: what the holder has now counts where it is what the relay has.
    const live = isLive ? await headsOfHolder(dir, limits.answerMs) : undefined;
    const differing = documents.filter(
      ({ id, document }) => !sameHeads(live?.get(id) ?? A.getHeads(document), heads?.get(id)),
    );
    if (differing.length === 0) return [];
    if (clock.monotonic() >= until)
      return wordsOf(relay.url, await standings(patient, relay, differing, heads));
    await sleep(clock, Math.min(500, limits.settleMs), signal);
    const ids = documents.map(({ id }) => id as Parameters<typeof lookAtRelay>[2][number]);
    heads = (await lookAtRelay(patient, relay, ids)).heads ?? heads;
  }
}

/** What is not here is fetched, so that changes can be counted on both sides. */
async function standings(
  patient: Patient,
  relay: Parameters<typeof fetchFrom>[1],
  differing: readonly StoredDocument[],
  heads: RelayLook['heads'],
): Promise<Standing[]> {
  const lacking = new Map<string, readonly string[]>();
  for (const { id, document } of differing) {
    const theirs = heads?.get(id) ?? [];
    if (theirs.length > 0 && !A.hasHeads(document, theirs)) lacking.set(id, theirs);
  }
  const fetched = lacking.size === 0 ? new Map<string, Document>() : await fetchFrom(patient, relay, lacking);
  return differing.map(({ id, name, document }) => {
    const theirs = heads?.get(id);
    if (theirs === undefined) return { name, state: 'unanswered', ahead: 0, behind: 0 };
    if (theirs.length === 0) return { name, state: 'unknown', ahead: 0, behind: 0 };
    return { name, state: 'known', ...counts(document, theirs, fetched.get(id), lacking.has(id)) };
  });
}

function counts(
  ours: Document,
  heads: readonly string[],
  theirs: Document | undefined,
  lacks: boolean,
): Pick<Standing, 'ahead' | 'behind'> {
  if (!lacks) return { ahead: A.getChangesMetaSince(ours, [...heads]).length, behind: 0 };
  if (theirs === undefined) return { ahead: 0, behind: undefined };
  const all = A.merge(A.clone(ours), A.clone(theirs));
  const missingIn = (one: Document): number => A.getChangesMetaSince(all, A.getHeads(one)).length;
  const found = { ahead: missingIn(theirs), behind: missingIn(ours) };
  A.free(all);
  return found;
}

const sameHeads = (one: readonly string[], other: readonly string[] | undefined): boolean =>
  other !== undefined && [...one].sort().join(' ') === [...other].sort().join(' ');

const words: Record<'ahead' | 'unknown' | 'behind' | 'unanswered', [code: Code, seen: string, todo: string]> =
  {
    ahead: [
      'heads-ahead',
      'with changes that are not yet stored by the relay at',
      'start the replica, or leave it running until they are there, before this disk is given up',
    ],
    unknown: [
      'heads-unknown',
      'not known to the relay at',
      'start the replica: it brings them; a relay that lost its disk is filled again by whoever connects',
    ],
    behind: [
      'heads-behind',
      'behind what is stored by the relay at',
      'nothing: a running replica takes them from there',
    ],
    unanswered: [
      'heads-unanswered',
      'of which nothing was said by the relay at',
      'look at its log and its disk',
    ],
  };

function wordsOf(url: string, all: readonly Standing[]): Finding[] {
  const say = (which: keyof typeof words, list: string[]): Finding[] => {
    const [code, seen, todo] = words[which];
    return list.length === 0
      ? []
      : [finding(code, `${counted(list.length, 'document')} ${seen} ${url}: ${some(list)}`, todo)];
  };
  const named = (list: Standing[]): string[] => list.map(({ name }) => name);
  const ahead = all.filter((one) => one.ahead > 0);
  const behind = all.filter((one) => one.behind !== 0);
  return [
    ...say(
      'ahead',
      ahead.map((one) => `${one.name} by ${one.ahead}`),
    ),
    ...say('unknown', named(all.filter(({ state }) => state === 'unknown'))),
    ...say(
      'behind',
      behind.map((one) => `${one.name} by ${one.behind ?? 'some'}`),
    ),
    ...say('unanswered', named(all.filter(({ state }) => state === 'unanswered'))),
  ];
}
