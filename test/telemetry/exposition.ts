/** One line with a value. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** A metric: what it is, and its lines. */
export interface Family {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram' | 'summary';
  samples: Sample[];
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const TYPES = ['counter', 'gauge', 'histogram', 'summary'] as const;

/**
 * Reads a page as Prometheus does (text format 0.0.4), and stricter: every family has its HELP and its TYPE before
 * its samples, stands in one piece, says no sample twice; counters are called `_total`, are finite and not below zero;
 * a histogram's buckets rise up to `+Inf`, which is its count.
 */
export function parseExposition(page: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  const helps = new Map<string, string>();
  let current: Family | undefined;
  if (!page.endsWith('\n')) throw new Error('the last line does not end');
  for (const [at, line] of page.slice(0, -1).split('\n').entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${at + 1}: ${why}: ${line}`);
    };
    if (line === '') continue;
    if (line.startsWith('#')) {
      const [, word, name = '', rest = ''] =
        /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? fail('no HELP or TYPE');
      if (word === 'HELP') {
        if (helps.has(name)) fail('a second HELP');
        helps.set(name, rest);
        continue;
      }
      const type = TYPES.find((one) => one === rest) ?? fail('an unknown type');
      if (families.has(name)) fail('a second TYPE');
      current = { name, help: helps.get(name) ?? fail('TYPE without HELP before it'), type, samples: [] };
      families.set(name, current);
      continue;
    }
    const sample = parseSample(line, fail);
    if (!current || !belongs(current, sample.name)) fail('no HELP and TYPE right before it');
    const key = `${sample.name}${seriesOf(sample.labels)}`;
    if (seen.has(key)) fail('said twice');
    seen.add(key);
    current?.samples.push(sample);
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

/** The labels in one order: equal for one series. */
export const seriesOf = (labels: Record<string, string>): string =>
  JSON.stringify(
    Object.keys(labels)
      .sort()
      .map((name) => [name, labels[name]]),
  );

function belongs({ name, type }: Family, sample: string): boolean {
  if (type === 'histogram') return ['_bucket', '_sum', '_count'].some((end) => sample === `${name}${end}`);
  if (type === 'summary') return ['', '_sum', '_count'].some((end) => sample === `${name}${end}`);
  return sample === name;
}

function parseSample(line: string, fail: (why: string) => never): Sample {
  let at = 0;
  const take = (what: RegExp): string => {
    what.lastIndex = at;
    const found = what.exec(line)?.[0] ?? fail(`something else than ${what.source} at ${at}`);
    at += found.length;
    return found;
  };
  const name = take(NAME);
  const labels: Record<string, string> = {};
  if (line[at] === '{') {
    at += 1;
    while (line[at] !== '}') {
      const label = take(LABEL);
      if (label.startsWith('__') || Object.hasOwn(labels, label)) fail(`label ${label}`);
      take(/="/y);
      labels[label] = take(/(?:[^"\\]|\\["\\n])*/y).replaceAll(/\\(.)/g, (_, c: string) =>
        c === 'n' ? '\n' : c,
      );
      take(/"/y);
      if (line[at] !== '}') take(/,/y);
    }
    at += 1;
  }
  take(/ /y);
  const text = line.slice(at);
  // As Go's ParseFloat takes it: NaN in any case, and this page says `Nan`.
  const special: Record<string, number> = {
    '+Inf': Infinity,
    '-Inf': -Infinity,
    NaN: Number.NaN,
    Nan: Number.NaN,
  };
  const value = special[text] ?? Number(/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text) ? text : fail('no number'));
  return { name, labels, value };
}

function checkFamily({ name, type, samples }: Family): void {
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  if (type === 'counter') {
    if (!name.endsWith('_total')) fail('a counter that is not called _total');
    if (samples.some(({ value }) => !(value >= 0 && Number.isFinite(value)))) fail('a counter below zero');
  } else if (name.endsWith('_total')) fail(`a ${type} that is called _total`);
  if (type !== 'histogram') return;
  const series = new Map<string, { buckets: [number, number][]; count?: number }>();
  for (const { name: part, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = seriesOf(rest);
    const one = series.get(key) ?? { buckets: [] };
    series.set(key, one);
    if (part === `${name}_bucket`) one.buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
    if (part === `${name}_count`) one.count = value;
  }
  for (const { buckets, count } of series.values()) {
    const rises = buckets.every(([le, value], n) => {
      const [before, less] = buckets[n - 1] ?? [-Infinity, 0];
      return le > before && value >= less;
    });
    if (!rises) fail('buckets that do not rise');
    if (buckets.at(-1)?.[0] !== Infinity || buckets.at(-1)?.[1] !== count) fail('+Inf is not the count');
  }
}
