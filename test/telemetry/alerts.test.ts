import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { documentedMetrics, metricsFile, misasked } from './documented.js';
import { asksFor, parseExpr } from './promql.js';
import { alertRules } from './rules.js';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const rules = [...alertRules().values()];

describe('deploy/prometheus/alerts.yaml', () => {
  it.each(rules)('$alert asks for what is exported, and docs/operations.md says what to do', (rule) => {
    const asked = asksFor(parseExpr(rule.expr));
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.map(({ name, labels }) => misasked(name, labels)).filter(Boolean)).toEqual([]);
    expect(rule.annotations.runbook_url).toBe(`docs/operations.md#${rule.alert.toLowerCase()}`);
    expect(read('docs/operations.md')).toContain(`\n### ${rule.alert}\n`);
    // What a text asks of its alert, the alert has: the labels of the metric, or those that it is summed by.
    const known = new Set(asked.flatMap(({ name }) => documentedMetrics().get(name)?.labels ?? []));
    for (const label of ['role', 'replica', 'instance']) known.add(label);
    for (const [, label = ''] of rule.annotations.summary.matchAll(/\$labels\.(\w+)/g))
      expect([...known]).toContain(label);
  });

  it('docs/operations.md tells of no alert that is not there', () => {
    const told = [...read('docs/operations.md').matchAll(/^### (\w+)$/gm)].map(([, name = '']) => name);
    expect(told.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
  });

  it('covers save failures, low disk, corruption, backup failure, a replica alone and lag', () => {
    const asked = new Set(rules.flatMap(({ expr }) => asksFor(parseExpr(expr)).map(({ name }) => name)));
    for (const name of [
      'storage_failing',
      'storage_save_failures_total',
      'disk_low',
      'storage_corrupt_chunks_total',
      'backup_failing',
      'peers_alive',
      'replication_lag_seconds',
      'relay_refusals_total',
    ])
      expect([...asked]).toContain(`understudy_${name}`);
  });

  it('prometheus.yml loads it and scrapes the job that the rules name', () => {
    const config = parse(read('deploy/prometheus/prometheus.yml')) as {
      rule_files: string[];
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    expect(config.rule_files).toEqual(['alerts.yaml']);
    expect(config.scrape_configs.map(({ job_name }) => job_name)).toEqual(['understudy']);
    const compose = parse(read('docker-compose.yml'), { merge: true }) as {
      services: Record<string, { environment?: Record<string, unknown> }>;
    };
    const pages = Object.entries(compose.services)
      .filter(([, { environment }]) => environment?.['UNDERSTUDY_HTTP_PORT'] !== undefined)
      .map(([name, { environment }]) => `${name}:${String(environment?.['UNDERSTUDY_HTTP_PORT'])}`);
    expect(config.scrape_configs[0]?.static_configs[0]?.targets.toSorted()).toEqual(pages.toSorted());
  });
});

describe('docs/metrics.md', () => {
  it('names a unit, a meaning and what is normal for each of ours, and says it as the name does', () => {
    const ours = [...documentedMetrics().values()].filter(
      ({ name }) => !/^understudy_(process|nodejs)_/.test(name),
    );
    expect(ours.length).toBeGreaterThan(50);
    for (const { name, type, unit, meaning, normal } of ours) {
      expect(meaning, name).toMatch(/^[A-Z].*\.$|normal/);
      expect(normal, name).not.toMatch(/^—?$/);
      expect(unit.startsWith('seconds'), name).toBe(/_seconds(_total)?$/.test(name));
      expect(unit === 'bytes', name).toBe(/_bytes(_total)?$/.test(name));
      expect(type === 'counter', name).toBe(name.endsWith('_total'));
    }
  });

  it('every metric that another document names is there', () => {
    const known = documentedMetrics();
    for (const path of [
      'README.md',
      'docs/operations.md',
      'docs/health.md',
      'docs/keyed-stores.md',
      'ARCHITECTURE.md',
    ])
      for (const [name] of read(path).matchAll(/\bunderstudy_(?!chunks|storage\b|quarantine\b)[a-z_]+/g))
        expect(known.has(name), `${path}: ${name}`).toBe(true);
    expect(readFileSync(metricsFile, 'utf8')).toContain('<!-- end of metrics -->');
  });
});
