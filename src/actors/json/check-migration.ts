import type { Report } from './errors.js';
import { didYouMean } from './names.js';
import type { MachineShape } from './shape.js';
import { allStates, stateAt, type StateNode } from './state-tree.js';

/** A file whose shape and meaning were looked at. */
export interface CheckedFile {
  readonly file: string;
  readonly shape: MachineShape;
  readonly root: StateNode;
  readonly report: Report;
}

/** Reports a migration that this file alone shows to be wrong. */
export function checkMigration(shape: MachineShape, root: StateNode, report: Report): void {
  const { migrate, version, context } = shape;
  if (migrate === undefined) return;
  if (version === 1) report('bad-migration', '', 'migrate', 'version 1 has no version before it');
  for (const [from, to] of Object.entries(migrate.state ?? {})) {
    const target = stateAt(root, to);
    const field = `migrate.state.${from}`;
    if (target === undefined) {
      report('bad-migration', '', field, `there is no state "${to}"${didYouMean(to, leaves(root))}`);
    } else if (!isLeaf(target)) {
      report('bad-migration', '', field, `"${to}" has states of its own: name the innermost one`);
    }
  }
  for (const name of Object.keys(migrate.context ?? {})) {
    if (Object.hasOwn(context, name)) continue;
    const hint = didYouMean(name, Object.keys(context));
    report('bad-migration', '', `migrate.context.${name}`, `"${name}" is no field of the context${hint}`);
  }
}

/** Reports a migration from states or fields that the version before, when it is among the files, does not have. */
export function checkMigrations(files: readonly CheckedFile[]): void {
  for (const { shape, report } of files) {
    const before = files.find((one) => one.shape.id === shape.id && one.shape.version === shape.version - 1);
    if (before === undefined) continue;
    for (const from of Object.keys(shape.migrate?.state ?? {})) {
      const state = stateAt(before.root, from);
      if (state !== undefined && isLeaf(state)) continue;
      const hint = didYouMean(from, leaves(before.root));
      const what = `version ${before.shape.version} has no innermost state "${from}"${hint}`;
      report('bad-migration', '', `migrate.state.${from}`, what);
    }
    for (const [name, rule] of Object.entries(shape.migrate?.context ?? {})) {
      if ('set' in rule || Object.hasOwn(before.shape.context, rule.from)) continue;
      const hint = didYouMean(rule.from, Object.keys(before.shape.context));
      const what = `version ${before.shape.version} has no field "${rule.from}" in its context${hint}`;
      report('bad-migration', '', `migrate.context.${name}`, what);
    }
  }
}

const isLeaf = ({ kind }: StateNode): boolean => kind === 'atomic' || kind === 'final';
const leaves = (root: StateNode): string[] =>
  allStates(root)
    .filter(isLeaf)
    .map(({ path }) => path);
