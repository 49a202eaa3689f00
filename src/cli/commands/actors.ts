import { leafPaths } from '../../actors/state-value.js';
import { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import { actorsAnswer, type ShownActor } from '../inspect/actor-shapes.js';
import { FolderActors } from '../inspect/folder-actors.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import { knownMachines } from '../inspect/machines.js';
import { table } from '../inspect/table.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy actors`: where every actor stands, quarantined ones first. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const machine = typeof options['machine'] === 'string' ? options['machine'] : undefined;
  const dir = await folderToLookAt(read);
  const found = await askHolder(dir, 'actors', machine === undefined ? {} : { machine });
  const { actors, faults } =
    found === undefined
      ? await fromFiles(dir, machine, read)
      : { ...actorsAnswer.parse(found.answer), faults: [] };
  if (options['json'] === true) {
    const source = found === undefined ? 'files' : 'running process';
    process.stdout.write(
      `${JSON.stringify({ version, data_dir: dir, source, faults, actors }, undefined, 2)}\n`,
    );
    return 0;
  }
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const from = found === undefined ? 'its files (no process holds it)' : 'the running process';
  const still = actors.filter(({ status }) => status === 'quarantined').length;
  const counted = actors.length === 1 ? '1 actor' : `${actors.length || 'no'} actors`;
  const which = machine === undefined ? '' : ` of machine ${printable(machine)}`;
  const lines = [
    `${dir}, from ${from}: ${counted}${which}${still > 0 ? `, ${still} quarantined` : ''}`,
    ...(actors.length === 0
      ? []
      : ['', ...table(['actor', 'state', 'version', 'status', 'why'], actors.map(rowOf), width)]),
    ...faults.map((fault) => `! ${fault}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

async function fromFiles(
  dir: string,
  machine: string | undefined,
  read: SettingsReader,
): Promise<{ actors: ShownActor[]; faults: string[] }> {
  assertDocumentsIn(dir);
  const folder = await FolderActors.open(dir, storageKeys(read), await knownMachines(read));
  try {
    return { ...actorsAnswer.parse({ actors: folder.list(machine) }), faults: [...new Set(folder.faults)] };
  } finally {
    folder.free();
  }
}

function rowOf({ key, value, version: number, status, reason }: ShownActor): string[] {
  const why = reason === undefined ? '' : `${reason.code}: ${reason.message}`;
  return [key, leafPaths(value).join(' + ') || '-', String(number), status, why];
}
