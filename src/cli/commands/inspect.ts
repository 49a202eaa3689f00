import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ControlError, askControl, controlPath } from '../../telemetry/control.js';
import { lookedAt, type LookedAtRecord } from '../../telemetry/look.js';
import { SettingsReader } from '../config/reader.js';
import { dataDir } from '../config/settings.js';
import { lookIntoFiles } from '../inspect/files.js';
import { documentsFolder } from '../inspect/folder.js';
import { detail, overview } from '../inspect/table.js';
import type { Invocation } from '../process.js';
import { readRecord } from '../up/record.js';
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
  const given = read.optional(dataDir);
  const dir = resolve(given ?? (await defaultFolder()));
  const look = (await askHolder(dir, key)) ?? (await readFiles(dir));
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

/** Of the replicas that `up` keeps here the first; without `up` the usual folder of a replica. */
async function defaultFolder(): Promise<string> {
  const usual = 'data/replica';
  if (existsSync(usual)) return usual;
  const record = await readRecord('data');
  return record?.processes.find(({ name }) => name.startsWith('replica'))?.dataDir ?? usual;
}

/** Undefined when no process listens for the folder. */
async function askHolder(dir: string, key: string | undefined): Promise<Look | undefined> {
  const path = controlPath(dir);
  try {
    const { records } = lookedAt.parse(await askControl(path, 'inspect', key === undefined ? {} : { key }));
    const status = z.record(z.string(), z.unknown()).parse(await askControl(path, 'status'));
    return { source: 'running process', status, records, faults: [] };
  } catch (error) {
    if (error instanceof ControlError && error.code === 'nobody') return undefined;
    if (error instanceof ControlError)
      throw new UserError(3, `the process that holds ${dir} does not answer: ${error.message}`);
    throw error;
  }
}

async function readFiles(dir: string): Promise<Look> {
  if (!existsSync(documentsFolder(dir))) {
    throw new UserError(
      2,
      `there are no documents in ${dir}: name the data folder of a replica with --data or UNDERSTUDY_DATA_DIR`,
    );
  }
  const { records, faults } = await lookIntoFiles(dir);
  return { source: 'files', status: undefined, records, faults };
}

const matches = ({ kind, key }: LookedAtRecord, wanted: string | undefined): boolean =>
  wanted === undefined || kind === wanted || key.startsWith(wanted);

function lines(dir: string, look: Look, key: string | undefined): string[] {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const exact = look.records.filter((record) => record.key === key);
  const body =
    exact.length > 0 ? exact.flatMap((record) => detail(record, width)) : overview(look.records, width);
  const status = Object.entries(look.status ?? {}).map(([name, value]) => `  ${name}: ${plain(value)}`);
  return [
    `${join(dir)}, from ${look.source === 'files' ? 'its files (no process holds it)' : 'the running process'}`,
    ...(key === undefined ? status : []),
    '',
    ...body,
    ...look.faults.map((fault) => `! ${fault}`),
  ];
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
