import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FsChunks } from '../../storage/fs-chunks.js';
import { nodeFiles } from '../../storage/file-layer.js';
import { lockFolder } from '../../storage/lock.js';
import { rotateKey, type Rotated } from '../../storage/rotate-key.js';
import { silentLog } from '../../telemetry/log.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import { dataDir } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { documentsFolder } from '../inspect/folder.js';
import { assertDocumentsIn } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy storage rotate-key --data DIR`: while nothing runs on the folder. It is always named. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const { current, previous } = storageKeys(read);
  if (!current) {
    throw wrongSetting(
      'UNDERSTUDY_STORAGE_KEY is missing: the new key; `understudy storage new-key` prints one, to be kept in a file for UNDERSTUDY_STORAGE_KEY_FILE',
    );
  }
  const given = read.optional(dataDir);
  if (given === undefined) {
    throw wrongSetting('UNDERSTUDY_DATA_DIR: name the folder whose key is to be changed, with --data DIR');
  }
  const dir = resolve(given);
  assertDocumentsIn(dir);
  const lock = await lockFolder(dir);
  try {
    const store = new FsChunks({
      dir: documentsFolder(dir),
      files: nodeFiles,
      durability: 'fsync',
      log: silentLog,
      clock: systemClock,
    });
    const keys = { current, ...(previous && { previous }) };
    const rotated = await rotateKey({ store, keys, now: systemClock.now(), onProgress: sayNowAndThen() });
    say(dir, rotated, options['json'] === true);
  } finally {
    await lock.release();
  }
  return 0;
}

/** A line on stderr each second; a short piece of work says nothing. */
function sayNowAndThen(): (done: number, of: number) => void {
  let said = systemClock.monotonic();
  return (done, of) => {
    if (systemClock.monotonic() - said < 1_000) return;
    said = systemClock.monotonic();
    process.stderr.write(`… looked at ${done} of ${of} chunks\n`);
  };
}

function say(dir: string, { changed, quarantined }: Rotated, json: boolean): void {
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ version, data_dir: dir, changed, quarantined }, undefined, 2)}\n`,
    );
    return;
  }
  const aside = join(documentsFolder(dir), 'quarantine');
  const lines = [
    changed === 0
      ? 'every chunk is encrypted with this key already'
      : `${changed} chunks encrypted with this key`,
    ...quarantined.map((key) => `! damaged, moved to ${aside}: ${printable(key.join('/'))}`),
    ...(existsSync(aside)
      ? [`what is in ${aside} stays as it was stored: remove it if it may not be read`]
      : []),
    'backups, the delivery journal and session logs are not encrypted by this',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
