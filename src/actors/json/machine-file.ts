import type { AnyStateMachine } from 'xstate';
import { Machines, type MachineOptions } from '../machines.js';
import { build } from './build.js';
import { checkEvents } from './check-events.js';
import { checkMigration, checkMigrations, type CheckedFile } from './check-migration.js';
import { checkState } from './check-states.js';
import { checkTransitions } from './check-transitions.js';
import { MachineFileError, type Problem, type Report } from './errors.js';
import { reportIssues } from './issues.js';
import { machineFile, type MachineShape } from './shape.js';
import { allStates, stateTree, type StateNode } from './state-tree.js';
import { parseText } from './text.js';

/** A machine file as it was read. */
export interface MachineFile {
  /** As people are told of it. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** A machine from a file, ready for `machines.register(machine, options)`. */
export interface LoadedMachine {
  readonly file: string;
  readonly id: string;
  readonly version: number;
  readonly machine: AnyStateMachine;
  readonly options: MachineOptions;
  /** Dotted paths of all states. */
  readonly states: readonly string[];
  /** Declared fields by event type. */
  readonly events: Readonly<Record<string, readonly string[]>>;
  /** Names of the effects that its transitions yield, sorted. */
  readonly effects: readonly string[];
}

/**
 * The machines of these files, in their order.
 *
 * @throws {MachineFileError} with every problem of every file. Of a file whose fields are not of the right shape,
 *   what the fields mean together is not looked at.
 */
export function parseMachineFiles(files: readonly MachineFile[]): LoadedMachine[] {
  const problems: Problem[] = [];
  const checked = files.flatMap(({ file, bytes }) => check(file, bytes, problems) ?? []);
  checkVersions(checked);
  checkMigrations(checked);
  const faulty = new Set(problems.map(({ file }) => file));
  const loaded = checked.filter(({ file }) => !faulty.has(file)).flatMap((one) => load(one) ?? []);
  if (problems.length > 0) {
    const order = new Map(files.map(({ file }, index) => [file, index]));
    throw new MachineFileError(problems.sort((a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0)));
  }
  return loaded;
}

function check(file: string, bytes: Uint8Array, problems: Problem[]): CheckedFile | undefined {
  const report: Report = (code, state, field, what) => problems.push({ code, file, state, field, what });
  const raw = parseText(bytes, report);
  if (raw === undefined) return undefined;
  const parsed = machineFile.safeParse(raw);
  if (!parsed.success) {
    reportIssues(parsed.error.issues, raw, report);
    return undefined;
  }
  const shape = parsed.data as MachineShape;
  const root = stateTree(shape);
  const nodes = allStates(root);
  checkEvents(shape, nodes, report);
  for (const node of nodes) {
    checkState(shape, node, report);
    checkTransitions(shape, node, report);
  }
  checkMigration(shape, root, report);
  return { file, shape, root, report };
}

/** Versions of one machine stand side by side, each in a file of its own. */
function checkVersions(checked: readonly CheckedFile[]): void {
  const first = new Map<string, string>();
  for (const { file, shape, report } of checked) {
    const name = `${shape.id} version ${shape.version}`;
    const other = first.get(name);
    if (other === undefined) first.set(name, file);
    else report('duplicate-machine', '', 'id', `machine ${name} is in ${other} already: raise the version`);
  }
}

function load({ file, shape, root, report }: CheckedFile): LoadedMachine | undefined {
  try {
    const { machine, options } = build(shape);
    const [entered] = new Machines().register(machine, options).initial;
    // XState keeps what went wrong on entry in the snapshot, as eventless transitions in a circle.
    if (entered.status === 'error') {
      report('refused', '', '', `machine ${shape.id} cannot begin: ${String(entered.error)}`);
      return undefined;
    }
    const nodes = allStates(root);
    const states = nodes.map(({ path }) => path).filter((path) => path !== '');
    return {
      file,
      id: shape.id,
      version: shape.version,
      machine,
      options,
      states,
      events: shape.events,
      effects: effectsOf(nodes),
    };
  } catch (error) {
    // XState says with plain errors what it makes of a definition.
    if (!(error instanceof Error)) throw error;
    report('refused', '', '', error.message);
    return undefined;
  }
}

function effectsOf(nodes: readonly StateNode[]): string[] {
  const names = nodes.flatMap(({ shape }) => {
    const { on = {}, after = {}, always = [], onDone = [], entry = [], exit = [] } = shape;
    const branches = [...Object.values(on), ...Object.values(after), always, onDone].flat();
    return [...entry, ...exit, ...branches.flatMap(({ actions = [] }) => actions)].map(({ type }) => type);
  });
  return [...new Set(names)].sort();
}
