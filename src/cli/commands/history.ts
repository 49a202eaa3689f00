import { leafPaths } from '../../actors/state-value.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import {
  atAnswer,
  historyAnswer,
  type ShownEntry,
  type ShownSegment,
  type ShownSnapshot,
} from '../inspect/actor-shapes.js';
import { FolderActors } from '../inspect/folder-actors.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import { knownMachines } from '../inspect/machines.js';
import { table } from '../inspect/table.js';
import { timeFrom } from '../inspect/time.js';
import { wholeHistory } from '../../node/audit/whole-history.js';
import { codeOf, messageOf } from '../explain.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** The history of one actor, from a running process or from the files of a folder. */
interface Source {
  segments(): Promise<ShownSegment[]>;
  /** Undefined when it is out of reach. */
  entries(segment: ShownSegment): Promise<readonly ShownEntry[] | undefined>;
  at(time: number): Promise<ShownSnapshot | undefined>;
  faults(): readonly string[];
  close(): void;
}

/** `understudy history KEY`: what an actor went through, or where it stood at a time. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  key: string = '',
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const { at, json } = options;
  const time = typeof at === 'string' ? timeFrom(at, systemClock.now()) : undefined;
  const dir = await folderToLookAt(read);
  const source = (await fromHolder(dir, key)) ?? (await fromFiles(dir, key, read));
  try {
    if (time === undefined) return await showHistory(source, key, json === true);
    return await showState(source, key, time, json === true);
  } finally {
    for (const fault of new Set(source.faults())) process.stderr.write(`${printable(`! ${fault}`)}\n`);
    source.close();
  }
}

async function fromHolder(dir: string, key: string): Promise<Source | undefined> {
  const ask = async (method: string, params: object): Promise<unknown> => {
    const found = await askHolder(dir, method, { key, ...params });
    if (found === undefined) throw new UserError(3, `the process that holds ${dir} has ended`);
    return found.answer;
  };
  const first = await askHolder(dir, 'history', { key });
  if (first === undefined) return undefined;
  return {
    segments: () => Promise.resolve(historyAnswer.parse(first.answer).segments),
    entries: async (segment) => historyAnswer.parse(await ask('history', { segment })).entries ?? undefined,
    at: async (time) => atAnswer.parse(await ask('at', { time })).state ?? undefined,
    faults: () => [],
    close: () => {},
  };
}

async function fromFiles(dir: string, key: string, read: SettingsReader): Promise<Source> {
  assertDocumentsIn(dir);
  const folder = await FolderActors.open(dir, storageKeys(read), await knownMachines(read));
  const { histories, faults } = folder;
  const shown = historyAnswer.shape.entries.unwrap().unwrap();
  return {
    segments: () => Promise.resolve().then(() => histories.segments(key)),
    entries: async (segment) => {
      const entries = await histories.segment(key, segment);
      return entries && shown.parse(entries);
    },
    at: async (time) => {
      const state = await histories.at(key, time);
      return atAnswer.parse({ state: state ?? null }).state ?? undefined;
    },
    faults: () => faults,
    close: () => folder.free(),
  };
}

async function showHistory(source: Source, key: string, json: boolean): Promise<number> {
  const missing: ShownSegment[] = [];
  const parts: { segment: ShownSegment; entries: readonly ShownEntry[] }[] = [];
  for (const segment of await refused(source.segments())) {
    const entries = await refused(source.entries(segment));
    if (entries === undefined) missing.push(segment);
    else parts.push({ segment, entries });
  }
  const whole = wholeHistory(parts);
  const events = whole.length;
  if (json) {
    for (const entry of whole) process.stdout.write(`${JSON.stringify({ version, key, ...entry })}\n`);
  }
  if (!json && events > 0) {
    const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
    const header = ['time', 'event', 'from → to', 'cause', 'replica', 'epoch', 'late'];
    process.stdout.write(`${table(header, whole.map(rowOf), width).join('\n')}\n`);
  }
  if (missing.length > 0) {
    const names = missing.map(({ shard, generation }) => `${generation} of shard ${shard}`).join(', ');
    throw new UserError(
      3,
      `history of generation ${names} is neither in this folder nor at a relay in reach: what is shown is not all`,
    );
  }
  if (events === 0) throw new UserError(1, `there is no actor ${key}, or it has no event`);
  return 0;
}

async function showState(source: Source, key: string, time: number, json: boolean): Promise<number> {
  const state = await refused(source.at(time));
  const at = new Date(time).toISOString();
  if (json) process.stdout.write(`${JSON.stringify({ version, key, at: time, state: state ?? null })}\n`);
  if (state === undefined) throw new UserError(1, `${key} had no event yet at ${at}`);
  if (json) return 0;
  const lines = [
    `${key} at ${at}`,
    `  state    ${stateOf(state)}`,
    `  machine  ${state.machine} version ${state.version}`,
    `  context  ${JSON.stringify(state.context)}`,
  ];
  process.stdout.write(`${printable(lines.join('\n'))}\n`);
  return 0;
}

/** What the core says of a bad key or a hole, in the words of the command line. */
async function refused<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'bad-key') throw new UserError(2, messageOf(error), { cause: error });
    if (code === 'missing-history') throw new UserError(3, messageOf(error), { cause: error });
    throw error;
  }
}

function rowOf({ event, from, to, outcome, cause, replica, epoch, late }: ShownEntry): string[] {
  return [
    new Date(event.stamp).toISOString(),
    nameOf(event),
    outcome === 'ignored' && to.status === from.status
      ? `${stateOf(to)} (ignored)`
      : `${stateOf(from)} → ${stateOf(to)}`,
    cause,
    replica ?? '-',
    epoch === undefined ? '-' : String(epoch),
    late ? 'late' : '',
  ];
}

/** Events of our own say what they are about in a field. */
function nameOf({ type, data }: ShownEntry['event']): string {
  const about = { 'understudy.timer': 'name', 'understudy.upgrade': 'to', 'understudy.release': 'state' }[
    type
  ];
  const value = about === undefined ? undefined : data?.[about];
  if (value === undefined) return type;
  return `${type.slice('understudy.'.length)} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
}

function stateOf({ status, value, version: number, reason }: ShownSnapshot): string {
  const leaves = leafPaths(value).join(' + ') || '-';
  if (status === 'newer') return `(version ${number}, not known here)`;
  if (status === 'archived') return '(archived)';
  if (status !== 'quarantined') return leaves;
  // Without its machine nothing can be said of the state; with it, this one stands still.
  return reason?.code === 'unknown-machine'
    ? '(machine not known here)'
    : `${leaves} (quarantined: ${reason?.code})`;
}
