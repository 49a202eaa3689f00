import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../../storage/file-layer.js';
import { JsonFileError, readJson } from '../../storage/json-file.js';
import { recordsOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, timeText, type Finding } from './finding.js';
import { numberIn, textIn, type Patient } from './patient.js';
import { lookAtRelay } from './relay-probe.js';

const replicaFile = z.looseObject({ replica: z.string() });

interface Member {
  id: string;
  incarnation: string | undefined;
  seenAgoMs: number;
}

/** Who belongs to the cluster, who is there, and is anybody there twice? */
export async function checkCluster(patient: Patient, offline: boolean): Promise<Finding[]> {
  const view = await patient.view();
  const self = await replicaOf(patient.dir);
  const members = view === undefined ? [] : membersOf(patient, view);
  const present = offline ? undefined : await presentReplicas(patient);
  const here = patient.holder.state === 'answers';
  const others = members.filter(({ id }) => id !== self);
  const connected = others.filter(({ id }) => present?.has(id));
  const said =
    present === undefined
      ? `seen ${
          some(
            others.map(({ id, seenAgoMs }) => `${id} ${timeText(seenAgoMs)} ago`),
            5,
          ) || 'nobody else'
        }`
      : `${counted(connected.length, 'other')} connected`;
  return [
    finding('cluster', `${self ?? 'no replica yet'} of ${counted(members.length, 'member')}; ${said}`),
    ...absent(patient, others, present),
    ...(here && present !== undefined && others.length > 0 && connected.length === 0 ? [alone(others)] : []),
    ...twice(patient, self, present),
    ...(await copied(patient, self)),
    ...readiness(patient),
  ];
}

function membersOf({ clock }: Patient, view: ClusterView): Member[] {
  return [...recordsOf(view, 'member')].flatMap(([key, record]) => {
    if (record.get('retired')?.value === true) return [];
    const seenAgoMs = clock.now() - (numberIn(record, 'last_seen_at') ?? 0);
    return [{ id: key.slice('member:'.length), incarnation: textIn(record, 'incarnation'), seenAgoMs }];
  });
}

/** Replica to incarnation, over all relays in reach; undefined when none is. */
async function presentReplicas(patient: Patient): Promise<ReadonlyMap<string, string> | undefined> {
  const looks = await Promise.all(patient.relays.map((relay) => lookAtRelay(patient, relay, [])));
  const open = looks.filter(({ status }) => status.state === 'open');
  return open.length === 0 ? undefined : new Map(open.flatMap(({ present }) => [...present]));
}

function absent(
  { limits }: Patient,
  others: readonly Member[],
  present: ReadonlyMap<string, string> | undefined,
): Finding[] {
  const gone = others.filter(({ id, seenAgoMs }) => present?.has(id) !== true && seenAgoMs > limits.absentMs);
  if (gone.length === 0) return [];
  const shown = some(gone.map(({ id, seenAgoMs }) => `${id} for ${timeText(seenAgoMs)}`));
  return [
    finding(
      'member-absent',
      `${counted(gone.length, 'member')} of the cluster not seen: ${shown}`,
      'start it again; after 7 days away it is a member no more, and nothing waits for it',
    ),
  ];
}

const alone = (others: readonly Member[]): Finding =>
  finding(
    'replica-alone',
    `this replica is alone: of ${counted(others.length, 'other member')} (${some(others.map(({ id }) => id))}) none is connected`,
    'start another one: if this one ends now, nobody answers',
  );

/** The relay knows this id as connected, and it is not the process that holds this folder. */
function twice(
  { holder, dir }: Patient,
  self: string | undefined,
  present: ReadonlyMap<string, string> | undefined,
): Finding[] {
  const connected = self === undefined ? undefined : present?.get(self);
  if (connected === undefined || self === undefined) return [];
  const own = holder.state === 'answers' ? holder.status.incarnation : undefined;
  const isOurs = holder.state === 'answers' && (own === undefined || own === connected);
  if (isOurs || holder.state === 'elsewhere' || holder.state === 'silent') return [];
  const seen = `a replica ${self} is connected to a relay, and it is not the one of ${dir}: two folders have one identity`;
  return [
    finding(
      'identity-twice',
      seen,
      'stop one of the two, and begin the copy anew with an empty folder and an id of its own',
    ),
  ];
}

/** Other folders beside this one that were copied from it, or it from them. */
async function copied({ dir }: Patient, self: string | undefined): Promise<Finding[]> {
  if (self === undefined) return [];
  const parent = dirname(resolve(dir));
  const same: string[] = [];
  for (const name of await namesIn(parent)) {
    const path = join(parent, name);
    if (path !== resolve(dir) && (await replicaOf(path)) === self) same.push(path);
  }
  if (same.length === 0) return [];
  const seen = `${some(same)} ${same.length === 1 ? 'has' : 'have'} the identity of ${dir} (${self})`;
  return [
    finding(
      'identity-copied',
      seen,
      'remove replica.json and matrix.json from the copy before a replica starts in it',
    ),
  ];
}

async function replicaOf(dir: string): Promise<string | undefined> {
  try {
    return (await readJson(join(dir, 'replica.json'), replicaFile))?.replica;
  } catch (error) {
    // Of this folder the layer of the disk says so; another's is not ours to judge.
    if (error instanceof JsonFileError || ['ENOTDIR', 'EACCES', 'EISDIR'].includes(errnoOf(error) ?? ''))
      return undefined;
    throw error;
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir, { withFileTypes: true }))
      .filter((one) => one.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

function readiness({ holder }: Patient): Finding[] {
  if (holder.state !== 'answers') return [];
  const { ready, documents, storage } = holder.status;
  const why = [
    ...(documents === undefined || documents === 'ready' ? [] : [`documents: ${documents}`]),
    ...(storage === 'failing' ? ['its data folder cannot be written'] : []),
    ...(ready === false ? ['it does not take part'] : []),
  ];
  if (why.length === 0) return [];
  return [
    finding(
      'holder-not-ready',
      `process ${holder.pid} is not well: ${why.join('; ')}`,
      'look at its /readyz page and its log',
    ),
  ];
}
