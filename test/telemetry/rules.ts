import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

export const rulesFile = new URL('../../deploy/prometheus/alerts.yaml', import.meta.url);

const rule = z.strictObject({
  alert: z.string().regex(/^Understudy[A-Za-z]+$/),
  expr: z.string(),
  for: z.string().regex(/^\d+[smh]$/),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({
    summary: z.string().min(10),
    description: z.string().min(20),
    runbook_url: z.string(),
  }),
});
const file = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(rule).min(1) })).min(1),
});

export type Rule = z.output<typeof rule>;

/** Our alert rules, by name. */
export function alertRules(): Map<string, Rule> {
  const { groups } = file.parse(parse(readFileSync(rulesFile, 'utf8')));
  const rules = groups.flatMap((group) => group.rules);
  const byName = new Map(rules.map((one) => [one.alert, one]));
  if (byName.size !== rules.length) throw new Error('two rules have one name');
  return byName;
}
