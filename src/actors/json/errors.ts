/**
 * What is wrong in a machine file, for callers to branch on:
 *
 * - `unreadable`: too big, not UTF-8, or not JSON.
 * - `duplicate-key`: an object names one key twice; JSON would silently take the last.
 * - `bad-shape`: a field that does not exist, is missing, or holds what it cannot.
 * - `bad-name`: a name with signs that it may not have, or one that JavaScript's objects have themselves.
 * - `reserved-name`: a name that begins with `understudy.` or `xstate.`.
 * - `unknown-target`, `unknown-initial`: a state that is not there.
 * - `unknown-event`: a transition for an event that is not declared.
 * - `unused-event`: a declared event without a transition.
 * - `unknown-field`: a field of the context or of an event that is not declared.
 * - `bad-delay`: no time to wait, or two ways to write the same one.
 * - `bad-state`: fields that this kind of state does not have, or does not have together.
 * - `bad-history`: a history state where there is nothing to remember.
 * - `bad-guard`: no JSON Schema of the supported kind, or too big.
 * - `bad-assign`: an assignment that can never work.
 * - `never-taken`: a transition behind one that is always taken.
 * - `endless`: an eventless transition that would be taken for ever.
 * - `bad-migration`: a migration to or from what is not there.
 * - `duplicate-machine`: two files with one id and version.
 * - `refused`: what XState or the registry makes of the machine as a whole.
 */
export type ProblemCode =
  | 'unreadable'
  | 'duplicate-key'
  | 'bad-shape'
  | 'bad-name'
  | 'reserved-name'
  | 'unknown-target'
  | 'unknown-initial'
  | 'unknown-event'
  | 'unused-event'
  | 'unknown-field'
  | 'bad-delay'
  | 'bad-state'
  | 'bad-history'
  | 'bad-guard'
  | 'bad-assign'
  | 'never-taken'
  | 'endless'
  | 'bad-migration'
  | 'duplicate-machine'
  | 'refused';

/** One thing to mend in a machine file. */
export interface Problem {
  readonly code: ProblemCode;
  readonly file: string;
  /** Dotted path of the state; empty for the machine itself. */
  readonly state: string;
  /** Dotted path of the field within the state; empty for the state or file as a whole. */
  readonly field: string;
  readonly what: string;
}

/** One line that names file, state and field. */
export function describeProblem({ file, state, field, what }: Problem): string {
  const places = [state && `state "${state}"`, field && `field "${field}"`].filter(Boolean);
  return [file, places.join(', '), what].filter(Boolean).join(': ');
}

/** Machine files that cannot be used. Every problem of every file stands in `problems`, one line each in the message. */
export class MachineFileError extends Error {
  readonly code = 'invalid-machine-file';

  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
    this.name = 'MachineFileError';
  }
}

/** Takes up problems of one state, or of the machine itself. */
export type Report = (code: ProblemCode, state: string, field: string, what: string) => void;
