import type { z } from 'zod';
import type { ProblemCode, Report } from './errors.js';
import { keywordNames } from './guard-schema.js';
import { didYouMean } from './names.js';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** All that may stand somewhere, for "did you mean". */
const KNOWN = [
  ...['id', 'version', 'context', 'events', 'migrate', 'description', 'type', 'initial', 'states'],
  ...['on', 'after', 'always', 'onDone', 'entry', 'exit', 'history', 'target'],
  ...['guard', 'assign', 'actions', 'reenter', 'params', 'set', 'add', 'subtract', 'event', 'state', 'from'],
  ...keywordNames,
];

/** Reports what the shape of a file lacks, in the words of the file. */
export function reportIssues(issues: readonly Issue[], raw: unknown, report: Report): void {
  for (const { issue, path } of issues.flatMap((one) => innermost(one, []))) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys)
        say(report, raw, [...path, key], 'bad-shape', unknownField(placeOf(path, raw).field, key));
    } else if (issue.code === 'invalid_key') {
      for (const inner of issue.issues) say(report, raw, path, codeOf(inner), inner.message);
    } else {
      const missing = issue.code === 'invalid_type' && walk(path, raw).value === undefined;
      say(report, raw, path, codeOf(issue), missing ? 'is missing' : wordsOf(issue));
    }
  }
}

/** Of an object, a list or a plain value that may each stand in one place, the one that was meant tells most. */
function innermost(issue: Issue, above: Path): { issue: Issue; path: Path }[] {
  const path = [...above, ...issue.path];
  if (issue.code !== 'invalid_union') return [{ issue, path }];
  const meant = issue.errors.filter((option) => !option.some(isOtherKind));
  const [only] = meant;
  return meant.length === 1 && only !== undefined
    ? only.flatMap((one) => innermost(one, path))
    : [{ issue, path }];
}

/** The value is of another type than this option wants, or lacks what the option is known by. */
const isOtherKind = ({ code, path }: Issue): boolean => code === 'invalid_type' && path.length === 0;

function say(report: Report, raw: unknown, path: Path, code: ProblemCode, what: string): void {
  const { state, field } = placeOf(path, raw);
  report(isOfGuard(field) && code === 'bad-shape' ? 'bad-guard' : code, state, field, what);
}

const isOfGuard = (field: string): boolean => field.split('.').includes('guard');

function unknownField(above: string, key: string): string {
  const where = isOfGuard(above) ? 'no keyword that a guard may use' : 'no field that may stand here';
  return `"${key}" is ${where}${didYouMean(key, KNOWN)}`;
}

function codeOf(issue: { code?: string; params?: unknown }): ProblemCode {
  const { code } = (issue.code === 'custom' ? (issue.params ?? {}) : {}) as { code?: ProblemCode };
  return code ?? 'bad-shape';
}

function wordsOf(issue: Issue): string {
  if (issue.message.startsWith('must')) return issue.message;
  if (issue.code === 'invalid_type') return `must be of type ${issue.expected}`;
  if (issue.code === 'invalid_value') {
    return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
  }
  if (issue.code === 'too_small') return `must ${bound(issue.origin, 'at least', issue.minimum)}`;
  if (issue.code === 'too_big') return `must ${bound(issue.origin, 'at most', issue.maximum)}`;
  return issue.message;
}

function bound(of: string, word: string, limit: number | bigint): string {
  if (of === 'array') return `have ${word} ${limit} entries`;
  return of === 'string' ? `have ${word} ${limit} characters` : `be ${word} ${limit}`;
}

/** `states.paying.states.card.on.PAID.0.target` is state `paying.card`, field `on.PAID.target`. */
export function placeOf(path: Path, raw: unknown): { state: string; field: string } {
  const states: string[] = [];
  let rest = walk(path, raw).written;
  while (rest[0] === 'states' && rest[1] !== undefined) {
    states.push(rest[1]);
    rest = rest.slice(2);
  }
  return { state: states.join('.'), field: rest.join('.') };
}

/** The path without what reading put in: the index of what stands alone, the field of what stands in short. */
function walk(path: Path, raw: unknown): { written: string[]; value: unknown } {
  const written: string[] = [];
  let value = raw;
  for (const part of path) {
    const alone = typeof part === 'number' && !Array.isArray(value);
    const named = (part === 'target' || part === 'type') && typeof value === 'string';
    const schema = part === 'context' && written.at(-1) === 'guard' && !hasOwn(value, part);
    if (alone || named || schema) continue;
    written.push(String(part));
    value = hasOwn(value, part) ? (value as Record<PropertyKey, unknown>)[part] : undefined;
  }
  return { written, value };
}

const hasOwn = (value: unknown, key: PropertyKey): boolean =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key);
