import { expect, it } from 'vitest';
import { Metrics, type Reading } from '../../src/telemetry/metrics.js';
import { parseExposition } from './exposition.js';

async function read(metrics: Metrics, name: string): Promise<{ type: string; values: [string, number][] }> {
  const family = parseExposition((await metrics.page()).text).get(`understudy_${name}`);
  if (!family) throw new Error(`there is no ${name}`);
  const values = family.samples.map(({ labels, value }): [string, number] => [labels['what'] ?? '', value]);
  return { type: family.type, values };
}

it('a counter shows what is counted elsewhere, from zero on, and never falls', async () => {
  const metrics = new Metrics({ role: 'test' });
  let count = 0;
  metrics.counter('saves_total', 'Saves.', () => count);
  expect(await read(metrics, 'saves_total')).toEqual({ type: 'counter', values: [['', 0]] });
  count = 5;
  expect((await read(metrics, 'saves_total')).values).toEqual([['', 5]]);
  expect((await read(metrics, 'saves_total')).values).toEqual([['', 5]]);
  // The source was opened anew.
  count = 2;
  expect((await read(metrics, 'saves_total')).values).toEqual([['', 7]]);
});

it('a counter by label keeps each by itself', async () => {
  const metrics = new Metrics({ role: 'test' });
  const counts: Record<string, number> = { good: 1, bad: 0 };
  metrics.counter('frames_total', 'Frames.', () => counts, 'what');
  await metrics.page();
  counts['bad'] = 3;
  expect((await read(metrics, 'frames_total')).values).toEqual([
    ['good', 1],
    ['bad', 3],
  ]);
});

it('a source that throws is counted and takes no other metric with it; one that has no value shows none', async () => {
  const metrics = new Metrics({ role: 'test' });
  let value: Reading = 1;
  metrics.gauge('broken', 'Broken.', () => {
    throw new Error('gone');
  });
  metrics.gauge('sometimes', 'Sometimes.', () => value);
  expect((await read(metrics, 'sometimes')).values).toEqual([['', 1]]);
  value = undefined;
  expect((await read(metrics, 'sometimes')).values).toEqual([]);
  expect((await read(metrics, 'broken')).values).toEqual([]);
  const errors = parseExposition((await metrics.page()).text).get('understudy_errors_total')?.samples;
  expect(errors?.[0]?.labels).toMatchObject({ part: 'metrics', code: 'broken' });
});

it('one name has one source', () => {
  const metrics = new Metrics({ role: 'test' });
  metrics.gauge('depth', 'Depth.', () => 1);
  expect(() => metrics.gauge('depth', 'Depth.', () => 1)).toThrow('already registered');
  expect(() => metrics.counter('depth', 'Depth.', () => 1)).toThrow('already registered');
});

it('no label of a metric hides which process it is of', () => {
  const metrics = new Metrics({ role: 'test' });
  for (const label of ['role', 'replica'])
    expect(() => metrics.gauge('connections', 'By role.', () => ({ viewer: 1 }), label)).toThrow(label);
});

it('what stands in a label or in help cannot break the page', async () => {
  const metrics = new Metrics({ role: 'test', replica: 'a"b\\c\nd' });
  metrics.gauge('odd', 'Two\nlines and a \\.', () => ({ 'x"y\\z\n{}': 1 }), 'what');
  const page = parseExposition((await metrics.page()).text);
  const sample = page.get('understudy_odd')?.samples[0];
  expect(sample?.labels).toEqual({ what: 'x"y\\z\n{}', role: 'test', replica: 'a"b\\c\nd' });
});
