import { existsSync } from 'node:fs';
import { MachineFileError } from '../../actors/json/errors.js';
import type { LoadedMachine } from '../../actors/json/machine-file.js';
import { loadMachines } from '../../storage/machine-files.js';
import { codeOf, messageOf } from '../explain.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError, wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;
const usual = 'data/machines';

/** `understudy machines check [DIR]`: says what is wrong in the files, or what machines they hold. */
export async function run(
  _invocation: Invocation,
  options: Record<string, unknown>,
  dir: string = usual,
): Promise<number> {
  if (!existsSync(dir) && dir !== usual) throw wrongSetting(`there is no folder ${dir}`);
  const asJson = options['json'] === true;
  try {
    const machines = await loadMachines(dir);
    if (asJson) print({ version, dir, valid: true, machines: machines.map(outputOf), problems: [] });
    else process.stdout.write(`${printable(lines(dir, machines).join('\n'))}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof MachineFileError)) throw readable(dir, error);
    if (asJson) print({ version, dir, valid: false, machines: [], problems: error.problems });
    else process.stderr.write(`${printable(error.message)}\n`);
    return 2;
  }
}

function print(output: object): void {
  process.stdout.write(`${JSON.stringify(output, undefined, 2)}\n`);
}

function outputOf({ file, id, version: number, states, events, effects }: LoadedMachine): object {
  return { file, id, version: number, states, events, effects };
}

function lines(dir: string, machines: readonly LoadedMachine[]): string[] {
  if (machines.length === 0) return [`no machine files in ${dir}`];
  return machines.flatMap(({ file, id, version: number, states, events, effects }) => [
    `${id} version ${number}  (${file})`,
    `  states   ${states.join(', ')}`,
    `  events   ${listed(Object.entries(events).map(([type, fields]) => signature(type, fields)))}`,
    `  effects  ${listed(effects)}`,
  ]);
}

const signature = (type: string, fields: readonly string[]): string =>
  fields.length === 0 ? type : `${type}(${fields.join(', ')})`;
const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

function readable(dir: string, error: unknown): unknown {
  const code = codeOf(error);
  const ofDisk = code !== undefined && /^E[A-Z]+$/u.test(code);
  return ofDisk ? new UserError(2, `${dir} cannot be read: ${messageOf(error)}`, { cause: error }) : error;
}
