import { resolve } from 'node:path';
import type { Restored } from '../../backup/restore-backup.js';
import { restoreFolder, type RestoredFolder } from '../../node/backup/restore-folder.js';
import { silentLog } from '../../telemetry/log.js';
import { systemClock } from '../../time/clock.js';
import { progressLines } from '../backup/progress.js';
import { backupPath, backupRefused } from '../backup/refusals.js';
import { SettingsReader } from '../config/reader.js';
import { clusterId, dataDir } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { table } from '../inspect/table.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy backup restore FILE --data DIR [--dry-run]`. The folder is always named: a guess would be written to. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  file: string = '',
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const given = read.optional(dataDir);
  if (given === undefined) {
    throw wrongSetting('UNDERSTUDY_DATA_DIR: name the folder to restore into, with --data DIR');
  }
  const dir = resolve(given);
  const path = backupPath(file, dir);
  const dryRun = options['dryRun'] === true;
  let restored: RestoredFolder;
  try {
    restored = await restoreFolder({
      path,
      dataDir: dir,
      storageKeys: storageKeys(read),
      dryRun,
      clusterId: read.optional(clusterId),
      log: silentLog,
      onProgress: (what) => progressLines(what, systemClock),
    });
  } catch (error) {
    throw backupRefused(error, path);
  }
  if (options['json'] === true) {
    const { manifest, documents, faults } = restored;
    const output = { version, file: path, data_dir: dir, dry_run: dryRun, created_at: manifest.created_at };
    process.stdout.write(`${JSON.stringify({ ...output, documents, faults }, undefined, 2)}\n`);
  } else process.stdout.write(`${lines(dir, dryRun, restored).join('\n')}\n`);
  return 0;
}

function lines(dir: string, dryRun: boolean, { manifest, documents, faults }: RestoredFolder): string[] {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const changing = documents.filter(({ outcome }) => outcome === 'added' || outcome === 'merged');
  const shown = dryRun ? documents : documents.filter(({ outcome }) => outcome !== 'same');
  const count = (outcome: Restored['outcome']): number =>
    documents.filter((one) => one.outcome === outcome).length;
  const done = dryRun ? 'would be restored' : 'restored';
  return [
    `the backup of ${manifest.created_at} ${done} into ${dir}: ${count('added')} documents added, ${count('merged')} merged, ${count('same')} as they were, ${count('skipped')} skipped`,
    ...(shown.length === 0 ? [] : ['', ...table(['document', 'what', 'changes'], shown.map(rowOf), width)]),
    ...faults.map((fault) => `! ${printable(fault)}`),
    ...(dryRun || changing.length === 0
      ? []
      : ['', `start the replica on it: understudy replica --data ${dir}`]),
  ];
}

const words: Record<Restored['outcome'], string> = {
  same: 'stands there already',
  added: 'added',
  merged: 'merged with what stands there',
  skipped: 'skipped: a generation that nobody knows of',
};

const rowOf = ({ name, outcome, changes }: Restored): string[] => [
  printable(name),
  words[outcome],
  String(changes),
];
