import { printable } from '../printable.js';
import { codes, type Severity } from './codes.js';
import type { Examined } from './examine.js';
import { exitCodeOf } from './exit-code.js';
import { isTrouble, rank, type Finding } from './finding.js';
import type { Patient } from './patient.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

const signs: Record<Severity, string> = { ok: '✓', note: '·', warning: '!', error: '✗', fatal: '✗' };

const outcomes: Record<0 | 1 | 2 | 3, string> = {
  0: 'all is well',
  1: 'something is wrong with the data, or on its way to be',
  2: 'a setting is wrong or missing',
  3: 'something needed cannot be reached',
};

const all = (examined: readonly Examined[]): Finding[] => examined.flatMap(({ findings }) => findings);

/** Findings by layer, then what to do, the worst first. */
export function textReport(patient: Patient, examined: readonly Examined[]): string[] {
  const troubles = all(examined)
    .filter((one) => one.todo !== undefined && one.severity !== 'ok')
    .sort((a, b) => rank(b) - rank(a));
  const todo = troubles.filter(isTrouble);
  const code = exitCodeOf(all(examined));
  return [
    patient.dir,
    '',
    ...examined.flatMap(layerLines),
    '',
    ...(todo.length === 0 ? [] : ['What to do, the worst first:']),
    ...todo.map((one, index) => `${index + 1}. ${one.code} (${one.severity}): ${one.todo}`),
    ...(todo.length === 0 ? [] : ['']),
    `${outcomes[code]} (exit code ${code})`,
  ].map(printable);
}

function layerLines({ layer, state, findings }: Examined): string[] {
  const name = layer.padEnd(10);
  if (state === 'skipped') return [`- ${name}  not looked at`];
  return findings.map((one) => {
    const words = one.severity === 'ok' ? one.seen : `${one.code}: ${one.seen}`;
    const todo = one.severity === 'note' && one.todo !== undefined ? ` (${one.todo})` : '';
    return `${signs[one.severity]} ${name}  ${words}${todo}`;
  });
}

export function jsonReport(patient: Patient, examined: readonly Examined[]): object {
  const { dir, role, holder, clock } = patient;
  return {
    version,
    data_dir: dir,
    role,
    holder: holder.state,
    at: new Date(clock.now()).toISOString(),
    exit_code: exitCodeOf(all(examined)),
    layers: examined.map(({ layer, state, ms }) => ({ layer, state, ms: Math.round(ms) })),
    findings: all(examined).map(({ code, layer, severity, seen, todo }) => ({
      code,
      layer,
      severity,
      exit: isTrouble({ code, layer, severity, seen }) ? codes[code].exit : 0,
      seen,
      ...(todo !== undefined && { todo }),
    })),
  };
}
