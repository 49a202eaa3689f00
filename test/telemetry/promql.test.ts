import { describe, expect, it } from 'vitest';
import { evaluate, type Scrape } from './promql-evaluate.js';
import { asksFor, parseExpr } from './promql.js';

const page = (counter: number, gauge: number): string =>
  `# HELP c_total C.\n# TYPE c_total counter\nc_total{kind="a"} ${counter}\nc_total{kind="b"} 0\n` +
  `# HELP g G.\n# TYPE g gauge\ng ${gauge}\n`;
const scrape = (at: number, text: string | undefined, instance = 'one'): Scrape => ({
  at,
  target: { job: 'understudy', instance },
  page: text,
});
const values = (expr: string, scrapes: Scrape[], at = 100) =>
  evaluate(expr, scrapes, at).map(({ value }) => value);

describe('the evaluator of rules', () => {
  const scrapes = [scrape(10, page(3, 1)), scrape(100, page(8, 5))];
  it.each([
    ['g', [5]],
    ['g > 4', [5]],
    ['g > 5', []],
    ['g >= 5 and c_total{kind="a"} > 0', []],
    ['increase(c_total[5m]) > 0', [5]],
    ['increase(c_total[30s])', []],
    ['rate(c_total{kind=~"a|x"}[5m])', [5 / 90]],
    ['c_total{kind!="a"}', [0]],
    ['sum by (instance) (c_total)', [8]],
    ['sum(c_total)', [8]],
    ['max_over_time(g[5m])', [5]],
    ['time() - g', [95]],
    ['time() - g > 2 * g and g > 0', [95]],
    ['g * 2 + 1 - 3 / 3', [10]],
    ['g > 100 or c_total{kind="a"} > 7', [8]],
    ['g unless g > 4', []],
    ['up == 0', []],
  ])('%s', (expr, wanted) => expect(values(expr, scrapes)).toEqual(wanted));

  it('a counter that began anew counts from zero, a target that is gone is down and has no values', () => {
    expect(values('increase(c_total{kind="a"}[5m])', [scrape(1, page(9, 0)), scrape(2, page(4, 0))])).toEqual(
      [4],
    );
    const gone = [scrape(1, page(9, 7), 'two'), scrape(900, undefined, 'two')];
    expect(values('up{job="understudy"} == 0', gone, 900)).toEqual([0]);
    expect(values('g', gone, 900)).toEqual([]);
  });

  it.each(['', 'g >', 'g{kind=a}', 'unknown_function(g)', 'g > 1 2', 'increase(g', 'g[5x]', 'g @ 3'])(
    'refuses %j',
    (expr) => expect(() => evaluate(expr, scrapes, 100)).toThrow(),
  );

  it('names every metric with the labels that are asked of it', () => {
    expect(asksFor(parseExpr('sum by (le) (rate(h_bucket{step="x"}[5m])) / g or time()'))).toEqual([
      { name: 'h_bucket', labels: ['step', 'le'] },
      { name: 'g', labels: [] },
    ]);
  });
});
