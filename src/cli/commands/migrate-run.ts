import { setTimeout as sleep } from 'node:timers/promises';
import { productSchemas, type Schemas } from '../../documents/migrations/schemas.js';
import { lookAtFolder, migrateFolder } from '../../node/migrations/folder.js';
import { migrateAnswer, type AskedOutcome } from '../../node/migrations/questions.js';
import { silentLog } from '../../telemetry/log.js';
import { systemClock } from '../../time/clock.js';
import { progressLines } from '../backup/progress.js';
import { creationRefused } from '../backup/refusals.js';
import { SettingsReader } from '../config/reader.js';
import { backupKeep } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;
const LOOK_MS = 100;

/** `understudy migrate run`: by the process that holds the folder; of its files when there is none. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  _argument?: string,
  _list?: readonly string[],
  schemas: Schemas = productSchemas,
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const dryRun = options['dryRun'] === true;
  const found = dryRun ? undefined : await askHolder(dir, 'migrate');
  let outcome: AskedOutcome;
  if (found === undefined) {
    assertDocumentsIn(dir);
    const folder = {
      dataDir: dir,
      storageKeys: storageKeys(read),
      schemas,
      clock: systemClock,
      log: silentLog,
    };
    const { documents, members } = await lookAtFolder(folder);
    const due = documents.filter(({ schema, to, records }) => schema !== to || records > 0);
    const behind = members.filter(({ schema }) => schema < schemas.known);
    if (due.length === 0) outcome = { state: 'nothing' };
    else if (behind.length > 0 && options['force'] !== true) outcome = { state: 'waiting', members: behind };
    else if (dryRun) outcome = doneOf(due, undefined);
    else {
      const onProgress = progressLines('migrated', systemClock);
      const migrated = migrateFolder({ ...folder, keep: read.required(backupKeep), onProgress });
      const { backup, documents: all } = await migrated.catch((error: unknown) => {
        throw creationRefused(error);
      });
      outcome = doneOf(all, backup);
    }
  } else outcome = await followed(dir, found.answer);
  if (options['json'] === true) {
    process.stdout.write(
      `${JSON.stringify({ version, data_dir: dir, dry_run: dryRun, ...outcome }, undefined, 2)}\n`,
    );
  } else process.stdout.write(`${words(outcome, dryRun)}\n`);
  return outcome.state === 'waiting' ? 1 : 0;
}

const doneOf = (documents: readonly { records: number }[], backup: string | undefined): AskedOutcome => ({
  state: 'done',
  documents: documents.length,
  records: documents.reduce((sum, { records }) => sum + records, 0),
  ...(backup !== undefined && { backup }),
});

/** Asks until it has ended. */
async function followed(dir: string, answer: unknown): Promise<AskedOutcome> {
  const progress = progressLines('migrated', systemClock);
  let stand = migrateAnswer.parse(answer);
  while (stand.state === 'running') {
    if (stand.progress !== undefined) progress({ ...stand.progress, bytes: 0 });
    await sleep(LOOK_MS);
    const found = await askHolder(dir, 'migrate', { ticket: stand.ticket });
    if (found === undefined) {
      throw new UserError(
        3,
        `the process that holds ${dir} has ended: start it, and run this again to do the rest`,
      );
    }
    stand = migrateAnswer.parse(found.answer);
  }
  if (stand.state === 'failed') throw new UserError(1, `not migrated: ${stand.fault}`);
  return stand.outcome;
}

function words(outcome: AskedOutcome, dryRun: boolean): string {
  switch (outcome.state) {
    case 'nothing':
      return 'nothing is to be migrated';
    case 'held':
      return `schema ${outcome.schema} is held since a rollback`;
    case 'waiting': {
      const names = outcome.members.map(({ replica, schema }) => `${printable(replica)} (schema ${schema})`);
      return `not migrated: update ${names.join(', ')} first, or retire what is gone`;
    }
    case 'done': {
      const what = `${outcome.documents} documents, ${outcome.records} records in another form`;
      const backup = outcome.backup === undefined ? '' : `; what stood before is in ${outcome.backup}`;
      return dryRun ? `would migrate ${what}` : `migrated ${what}${backup}`;
    }
  }
}
