import { parseExposition, seriesOf, type Family } from './exposition.js';
import { parseExpr, type Expr, type Matcher } from './promql.js';

/** A page as Prometheus has it after a scrape: with the labels of its target. */
export interface Scrape {
  /** Seconds. */
  at: number;
  target: { job: string; instance: string };
  /** Undefined: the target did not answer. */
  page: string | undefined;
}

interface Series {
  labels: Record<string, string>;
  value: number;
}

/** How long a value counts after its scrape, seconds. */
const STALE = 300;

/** What an expression gives at `at`, over all scrapes up to then: for a rule, the alerts that fire. */
export function evaluate(expression: string, scrapes: readonly Scrape[], at: number): Series[] {
  const points = scrapes.filter((one) => one.at <= at).map(readScrape);
  const result = valueOf(parseExpr(expression), points, at);
  return typeof result === 'number' ? [{ labels: {}, value: result }] : result;
}

type Sample = { labels: Record<string, string>; value: number };
type Points = { at: number; byName: Map<string, Sample[]> };

/** Each page is read once, though it is asked about by every rule at every look from then on. */
const read = new WeakMap<Scrape, Points>();

function readScrape(scrape: Scrape): Points {
  const known = read.get(scrape);
  if (known) return known;
  const { at, target, page } = scrape;
  const families: Family[] = page === undefined ? [] : [...parseExposition(page).values()];
  const byName = new Map<string, Sample[]>([
    ['up', [{ labels: { ...target }, value: page === undefined ? 0 : 1 }]],
  ]);
  for (const { name, labels, value } of families.flatMap((family) => family.samples)) {
    const samples = byName.get(name) ?? [];
    byName.set(name, samples);
    samples.push({ labels: { ...labels, ...target }, value });
  }
  const points = { at, byName };
  read.set(scrape, points);
  return points;
}

function valueOf(expr: Expr, points: Points[], at: number): number | Series[] {
  switch (expr.kind) {
    case 'number':
      return expr.value;
    case 'selector':
      return [...windows(expr, points, at - STALE).values()].map(({ labels, values }) => ({
        labels,
        value: values.at(-1)?.value ?? Number.NaN,
      }));
    case 'call':
      return called(expr, points, at);
    case 'binary':
      return combined(expr.op, valueOf(expr.left, points, at), valueOf(expr.right, points, at));
  }
}

/** The values of each series since `from`. */
function windows(expr: Extract<Expr, { kind: 'selector' }>, points: Points[], from: number) {
  const found = new Map<
    string,
    { labels: Record<string, string>; values: { at: number; value: number }[] }
  >();
  for (const { at, byName } of points) {
    if (at < from) continue;
    for (const { labels, value } of byName.get(expr.name) ?? []) {
      if (!expr.matchers.every((one) => isMatch(one, labels[one.label] ?? ''))) continue;
      const key = seriesOf(labels);
      const series = found.get(key) ?? { labels, values: [] };
      found.set(key, series);
      series.values.push({ at, value });
    }
  }
  return found;
}

function isMatch({ op, value }: Matcher, label: string): boolean {
  if (op === '=') return label === value;
  if (op === '!=') return label !== value;
  return new RegExp(`^(?:${value})$`).test(label) === (op === '=~');
}

function called({ name, args, by }: Extract<Expr, { kind: 'call' }>, points: Points[], at: number) {
  if (name === 'time') return at;
  const [arg] = args;
  if (!arg) throw new Error(`${name} of nothing`);
  if (name === 'increase' || name === 'rate' || name === 'max_over_time') {
    if (arg.kind !== 'selector' || arg.rangeSeconds === undefined) throw new Error(`${name} needs a range`);
    const { rangeSeconds } = arg;
    return [...windows(arg, points, at - rangeSeconds).values()].flatMap(({ labels, values }) => {
      if (name === 'max_over_time') return [{ labels, value: Math.max(...values.map(({ value }) => value)) }];
      const [first, last] = [values[0], values.at(-1)];
      if (!first || !last || first === last) return [];
      // A counter that fell began anew at zero. Prometheus extrapolates to the whole window; we do not.
      const grown = values.reduce((sum, { value }, n) => {
        const before = values[n - 1]?.value;
        return before === undefined ? sum : sum + (value < before ? value : value - before);
      }, 0);
      return [{ labels, value: name === 'rate' ? grown / (last.at - first.at) : grown }];
    });
  }
  if (name !== 'sum' && name !== 'max') throw new Error(`${name} is not evaluated here`);
  const groups = new Map<string, Series>();
  for (const { labels, value } of seriesIn(valueOf(arg, points, at))) {
    const kept = Object.fromEntries((by ?? []).map((label) => [label, labels[label] ?? '']));
    const before = groups.get(seriesOf(kept))?.value;
    const joined = before === undefined ? value : name === 'sum' ? before + value : Math.max(before, value);
    groups.set(seriesOf(kept), { labels: kept, value: joined });
  }
  return [...groups.values()];
}

const COMPARE: Record<string, (a: number, b: number) => boolean> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};
const ARITHMETIC: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
};

/** Series meet that have the same labels, the name of the metric aside. */
function combined(op: string, left: number | Series[], right: number | Series[]): number | Series[] {
  const other = (one: Series) =>
    seriesIn(right).find(({ labels }) => seriesOf(labels) === seriesOf(one.labels));
  if (op === 'and') return seriesIn(left).filter((one) => other(one));
  if (op === 'unless') return seriesIn(left).filter((one) => !other(one));
  if (op === 'or') {
    const first = seriesIn(left);
    const known = new Set(first.map(({ labels }) => seriesOf(labels)));
    return [...first, ...seriesIn(right).filter(({ labels }) => !known.has(seriesOf(labels)))];
  }
  const holds = COMPARE[op];
  const make = ARITHMETIC[op];
  if (typeof left === 'number' && typeof right === 'number') {
    if (!make) throw new Error(`two numbers cannot be compared with ${op}`);
    return make(left, right);
  }
  const over = typeof left === 'number' ? seriesIn(right) : left;
  return over.flatMap(({ labels, value }) => {
    const a = typeof left === 'number' ? left : value;
    const b = typeof right === 'number' ? right : other({ labels, value })?.value;
    if (b === undefined) return [];
    if (make) return [{ labels, value: make(a, b) }];
    return holds?.(a, b) === true ? [{ labels, value }] : [];
  });
}

const seriesIn = (value: number | Series[]): Series[] => (typeof value === 'number' ? [] : value);
