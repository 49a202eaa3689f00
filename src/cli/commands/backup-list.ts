import { join } from 'node:path';
import { BackupFolder, type FoundBackup } from '../../backup/backup-folder.js';
import { sizeText } from '../backup/progress.js';
import { SettingsReader } from '../config/reader.js';
import { folderToLookAt } from '../inspect/holder.js';
import { table } from '../inspect/table.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

/** `understudy backup list`: newest first, every checksum looked at. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const all = await new BackupFolder(join(dir, 'backups')).list();
  if (options['json'] === true) {
    const output = { version, data_dir: dir, backups: all.map(shown) };
    process.stdout.write(`${JSON.stringify(output, undefined, 2)}\n`);
    return 0;
  }
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const columns = ['backup', 'made', 'by', 'documents', 'size', 'state'];
  const lines = [
    `${dir}: ${all.length === 1 ? '1 backup' : `${all.length || 'no'} backups`}`,
    ...(all.length === 0 ? [] : ['', ...table(columns, all.map(rowOf), width)]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

function rowOf(one: FoundBackup): string[] {
  if (one.state === 'damaged')
    return [one.name, '-', '-', '-', sizeText(one.size), `damaged: ${printable(one.reason)}`];
  const { created_at, reason, replica, documents } = one.manifest;
  const by = `${printable(replica ?? 'relay')} (${reason})`;
  return [one.name, created_at, by, String(documents.length), sizeText(one.size), 'good'];
}

function shown(one: FoundBackup): object {
  const { name, path, size: bytes, state } = one;
  if (one.state === 'damaged') return { name, path, bytes, state, fault: one.reason };
  const { cluster, replica, created_at, reason, schemas, documents } = one.manifest;
  return {
    name,
    path,
    bytes,
    state,
    cluster,
    replica,
    created_at,
    reason,
    schemas,
    documents: documents.length,
  };
}
