import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { misasked } from './documented.js';
import { asksFor, parseExpr } from './promql.js';

const place = z.strictObject({ h: z.number(), w: z.number().max(24), x: z.number().max(23), y: z.number() });
const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });
const row = z.strictObject({
  id: z.number(),
  type: z.literal('row'),
  title: z.string(),
  collapsed: z.literal(false),
  gridPos: place,
  panels: z.array(z.never()),
});
const panel = z.strictObject({
  id: z.number(),
  type: z.enum(['timeseries', 'stat']),
  title: z.string().min(3),
  description: z.string().min(10),
  datasource,
  gridPos: place,
  fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.string() }) }),
  options: z.record(z.string(), z.unknown()),
  targets: z
    .array(
      z.strictObject({
        refId: z.string(),
        datasource,
        expr: z.string(),
        legendFormat: z.string(),
        instant: z.boolean(),
        range: z.boolean(),
      }),
    )
    .min(1),
});
const dashboard = z.looseObject({
  title: z.literal('Understudy'),
  uid: z.literal('understudy'),
  schemaVersion: z.number().min(39),
  panels: z.array(z.union([row, panel])),
  templating: z.strictObject({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
});
const file = new URL('../../deploy/grafana/understudy.json', import.meta.url);
const { panels, templating } = dashboard.parse(JSON.parse(readFileSync(file, 'utf8')));
const charts = panels.filter((one) => one.type !== 'row');
/** Units by the ids of Grafana. */
const UNITS = ['short', 's', 'ops', 'bytes', 'Bps', 'reqps'];

describe('deploy/grafana/understudy.json', () => {
  it.each(charts)('$title asks for what is exported, by labels that it has', ({ targets, fieldConfig }) => {
    expect(UNITS).toContain(fieldConfig.defaults.unit);
    for (const { expr, legendFormat } of targets) {
      const asked = asksFor(parseExpr(expr.replaceAll('$__rate_interval', '1m')));
      const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      expect(asked.length).toBeGreaterThan(0);
      for (const { name, labels } of asked) expect(misasked(name, [...labels, ...legend])).toBeUndefined();
      expect(
        asked.every(({ labels }) => labels.includes('instance')),
        expr,
      ).toBe(true);
    }
  });

  it('chooses its data source and processes, and uses what it lets choose', () => {
    expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ]);
  });

  it('has rows for the cluster, delivery, storage, backups, the relay and the platform', () => {
    const rows = panels.filter((one) => one.type === 'row').map(({ title }) => title);
    const wanted = [
      'Cluster at a glance',
      'Delivery',
      'Storage',
      'Backups',
      'Relay',
      'Platform and processes',
    ];
    expect(rows).toEqual(wanted);
  });

  it('every panel has an id and a place of its own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { gridPos: a, title } of panels) {
      expect(a.x + a.w, title).toBeLessThanOrEqual(24);
      for (const { gridPos: b, title: other } of panels) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        expect(apart || a === b, `${title} and ${other}`).toBe(true);
      }
    }
  });
});
