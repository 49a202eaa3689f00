import { join } from 'node:path';
import { z } from 'zod';
import { lookedAt, type LookedAtRecord } from '../../telemetry/look.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import { lookIntoFiles } from '../inspect/files.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import { detail, overview } from '../inspect/table.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

interface Look {
  source: 'running process' | 'files';
  status: Record<string, unknown> | undefined;
  records: LookedAtRecord[];
  faults: string[];
}

/** `understudy inspect [KEY]`: asks the process that holds the data folder; reads its files when there is none. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  key?: string,
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const look = (await askRunning(dir, key)) ?? (await readFiles(dir, storageKeys(read)));
  const records = look.records.filter((record) => matches(record, key));
  if (options['json'] === true) {
    const output = {
      version,
      data_dir: dir,
      source: look.source,
      status: look.status,
      faults: look.faults,
      records,
    };
    process.stdout.write(`${JSON.stringify(output, undefined, 2)}\n`);
  } else {
    process.stdout.write(`${lines(dir, { ...look, records }, key).join('\n')}\n`);
  }
  if (key !== undefined && records.length === 0)
    throw new UserError(1, `there is no record whose key is or begins with ${key}`);
  return 0;
}

/** Undefined when no process listens for the folder. */
async function askRunning(dir: string, key: string | undefined): Promise<Look | undefined> {
  const found = await askHolder(dir, 'inspect', key === undefined ? {} : { key });
  const said = found && (await askHolder(dir, 'status'));
  if (found === undefined || said === undefined) return undefined;
  const { records } = lookedAt.parse(found.answer);
  const status = z.record(z.string(), z.unknown()).parse(said.answer);
  return { source: 'running process', status, records, faults: [] };
}

async function readFiles(dir: string, keys: Keyring): Promise<Look> {
  assertDocumentsIn(dir);
  const { records, faults } = await lookIntoFiles(dir, keys);
  return { source: 'files', status: undefined, records, faults };
}

const matches = ({ kind, key }: LookedAtRecord, wanted: string | undefined): boolean =>
  wanted === undefined || kind === wanted || key.startsWith(wanted);

function lines(dir: string, look: Look, key: string | undefined): string[] {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const exact = look.records.filter((record) => record.key === key);
  const body =
    exact.length > 0 ? exact.flatMap((record) => detail(record, width)) : overview(look.records, width);
  const status = Object.entries(look.status ?? {}).map(
    ([name, value]) => `  ${name}: ${name === 'tasks' ? tasksOf(value) : plain(value)}`,
  );
  return [
    `${join(dir)}, from ${look.source === 'files' ? 'its files (no process holds it)' : 'the running process'}`,
    ...(key === undefined ? status : []),
    '',
    ...body,
    ...look.faults.map((fault) => `! ${fault}`),
  ];
}

const tasks = z.object({
  counts: z.record(z.string(), z.number()),
  underWay: z.array(z.object({ id: z.string(), status: z.string() })),
});

/** Counts by status, and what is under way by name. */
function tasksOf(value: unknown): string {
  const { data } = tasks.safeParse(value);
  if (data === undefined) return plain(value);
  const counts = Object.entries(data.counts).map(([name, count]) => `${count} ${name}`);
  const underWay = data.underWay.map(({ id, status }) => `\n    ${status} ${id}`);
  return printable((counts.join(', ') || 'none') + underWay.join(''));
}

function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(Math.round(value)) : JSON.stringify(value);
}
