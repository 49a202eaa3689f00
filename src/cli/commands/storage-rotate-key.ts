import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FsChunks } from '../../storage/fs-chunks.js';
import { nodeFiles } from '../../storage/file-layer.js';
import { lockFolder } from '../../storage/lock.js';
import type { ChunkStore } from '../../storage/chunk-store.js';
import { startPglite } from '../../storage/pglite.js';
import { PostgresChunks } from '../../storage/postgres-chunks.js';
import { rotateKey, type RotateOptions, type Rotated } from '../../storage/rotate-key.js';
import { silentLog } from '../../telemetry/log.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import { dataDir, relayDatabaseUrl } from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { documentsFolder } from '../inspect/folder.js';
import { assertDocumentsIn } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy storage rotate-key --data DIR`, or `--database`: while nothing runs on it. It is always named. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const { current, previous } = storageKeys(read);
  if (!current) {
    throw wrongSetting(
      'UNDERSTUDY_STORAGE_KEY is missing: the new key; `understudy storage new-key` prints one, to be kept in a file for UNDERSTUDY_STORAGE_KEY_FILE',
    );
  }
  const keys = { current, ...(previous && { previous }) };
  const json = options['json'] === true;
  if (options['database'] === true) {
    // One process to a database: a relay that works on it refuses us.
    const store = new PostgresChunks({ url: read.required(relayDatabaseUrl), log: silentLog });
    try {
      say(store.place, undefined, await change(store, keys), json);
    } finally {
      await store.close();
    }
    return 0;
  }
  const given = read.optional(dataDir);
  if (given === undefined) {
    throw wrongSetting(
      'UNDERSTUDY_DATA_DIR: name the folder whose key is to be changed, with --data DIR, or --database',
    );
  }
  const dir = resolve(given);
  if (existsSync(join(dir, 'pglite'))) return inPglite(dir, keys, json);
  assertDocumentsIn(dir);
  const documents = documentsFolder(dir);
  const lock = await lockFolder(dir);
  try {
    const common = { files: nodeFiles, durability: 'fsync' as const, log: silentLog, clock: systemClock };
    const rotated = await change(new FsChunks({ dir: documents, ...common }), keys);
    say(dir, join(documents, 'quarantine'), rotated, json);
  } finally {
    await lock.release();
  }
  return 0;
}

/** The folder of a relay with the storage pglite. */
async function inPglite(dir: string, keys: RotateOptions['keys'], json: boolean): Promise<number> {
  const lock = await lockFolder(dir);
  try {
    const engine = await startPglite(dir);
    const store = new PostgresChunks({ url: engine.url, place: engine.place, log: silentLog });
    try {
      say(store.place, undefined, await change(store, keys), json);
    } finally {
      await store.close();
      await engine.close();
    }
  } finally {
    await lock.release();
  }
  return 0;
}

const change = (store: ChunkStore, keys: RotateOptions['keys']): Promise<Rotated> =>
  rotateKey({ store, keys, now: systemClock.now(), onProgress: sayNowAndThen() });

/** A line on stderr each second; a short piece of work says nothing. */
function sayNowAndThen(): (done: number, of: number) => void {
  let said = systemClock.monotonic();
  return (done, of) => {
    if (systemClock.monotonic() - said < 1_000) return;
    said = systemClock.monotonic();
    process.stderr.write(`… looked at ${done} of ${of} chunks\n`);
  };
}

function say(
  place: string,
  aside: string | undefined,
  { changed, quarantined }: Rotated,
  json: boolean,
): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ version, place, changed, quarantined }, undefined, 2)}\n`);
    return;
  }
  const lines = [
    changed === 0
      ? 'every chunk is encrypted with this key already'
      : `${changed} chunks encrypted with this key`,
    ...quarantined.map((key) => `! damaged, moved to quarantine: ${printable(key.join('/'))}`),
    ...(aside !== undefined && existsSync(aside)
      ? [`what is in ${aside} stays as it was stored: remove it if it may not be read`]
      : []),
    'backups, the delivery journal and session logs are not encrypted by this',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
