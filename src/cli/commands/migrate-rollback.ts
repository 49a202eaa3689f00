import { resolve } from 'node:path';
import { MigrationError } from '../../documents/migrations/errors.js';
import { productSchemas, type Schemas } from '../../documents/migrations/schemas.js';
import { lookAtFolder } from '../../node/migrations/folder.js';
import { rollBackFolder, type RolledBackFolder } from '../../node/migrations/roll-back-folder.js';
import { silentLog } from '../../telemetry/log.js';
import { systemClock } from '../../time/clock.js';
import { progressLines } from '../backup/progress.js';
import { backupPath, backupRefused } from '../backup/refusals.js';
import { SettingsReader } from '../config/reader.js';
import { dataDir } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { assertDocumentsIn } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError, wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy migrate rollback --data DIR`: while nothing runs on it. The folder is always named. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  _argument?: string,
  _list?: readonly string[],
  schemas: Schemas = productSchemas,
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const given = read.optional(dataDir);
  if (given === undefined) {
    throw wrongSetting('UNDERSTUDY_DATA_DIR: name the folder to roll back, with --data DIR');
  }
  const dir = resolve(given);
  assertDocumentsIn(dir);
  const dryRun = options['dryRun'] === true;
  const folder = {
    dataDir: dir,
    storageKeys: storageKeys(read),
    schemas,
    clock: systemClock,
    log: silentLog,
  };
  const highest = Math.max(1, ...(await lookAtFolder(folder)).documents.map(({ schema }) => schema));
  const to = schemaOf(options['to'], highest);
  const named = typeof options['backup'] === 'string' ? backupPath(options['backup'], dir) : undefined;
  let rolled: RolledBackFolder | undefined;
  // Named, it is also run where the number is there already: another replica may have brought what it wrote since.
  if (highest > to || options['to'] !== undefined) {
    const onProgress = progressLines('rolled back', systemClock);
    rolled = await rollBackFolder({ ...folder, to, backup: named, dryRun, onProgress }).catch(
      (error: unknown) => {
        if (error instanceof MigrationError) throw new UserError(1, error.message, { cause: error });
        throw backupRefused(error, named ?? dir);
      },
    );
  }
  if (options['json'] === true) {
    const done = rolled ?? { to, documents: [], kept: 0, inexpressible: [] };
    process.stdout.write(
      `${JSON.stringify({ version, data_dir: dir, dry_run: dryRun, ...done }, undefined, 2)}\n`,
    );
  } else process.stdout.write(`${linesOf(rolled, to, dryRun).join('\n')}\n`);
  return 0;
}

function schemaOf(given: unknown, highest: number): number {
  if (given === undefined) return Math.max(1, highest - 1);
  const to = Number(given);
  if (Number.isInteger(to) && to >= 1) return to;
  throw wrongSetting(`--to: a schema is a whole number from 1, and not ${printable(JSON.stringify(given))}`);
}

function linesOf(rolled: RolledBackFolder | undefined, to: number, dryRun: boolean): string[] {
  if (rolled === undefined) return [`nothing is to be rolled back: no document is above schema ${to}`];
  const { documents, kept, inexpressible, backup } = rolled;
  const records = documents.reduce((sum, one) => sum + one.records, 0);
  const done = dryRun ? 'would be' : 'are';
  return [
    `${documents.length} documents ${done} at schema ${to} again: ${records} records, by the backup of ${backup.createdAt}`,
    `${kept} fields changed since the migration go along`,
    ...inexpressible.map(
      ({ key, field, instead }) =>
        `! ${printable(key)}: ${field} cannot be said in schema ${to}; it stays, and older software reads ${instead === undefined ? 'nothing' : printable(JSON.stringify(instead))}`,
    ),
    ...(dryRun
      ? []
      : [
          '',
          'start the earlier software on it; the other replicas take this over when they start, with the same software',
        ]),
  ];
}
