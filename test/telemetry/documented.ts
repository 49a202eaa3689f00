import { readFileSync } from 'node:fs';

/** A row of docs/metrics.md. */
export interface Documented {
  name: string;
  type: string;
  unit: string;
  labels: string[];
  /** Processes that export it. */
  processes: string[];
  meaning: string;
  normal: string;
}

export const metricsFile = new URL('../../docs/metrics.md', import.meta.url);

/** Every metric of docs/metrics.md, by name. */
export function documentedMetrics(): Map<string, Documented> {
  const rows = new Map<string, Documented>();
  for (const line of readFileSync(metricsFile, 'utf8').split('\n')) {
    if (!line.startsWith('| `understudy_')) continue;
    const cells = line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll('\\|', '|'));
    const [name = '', type = '', unit = '', labels = '', processes = '', meaning = '', normal = ''] = cells;
    if (cells.length !== 7) throw new Error(`docs/metrics.md: a row with ${cells.length} cells: ${line}`);
    const row = { type, unit, meaning, normal, labels: words(labels), processes: words(processes) };
    const plain = name.replaceAll('`', '');
    if (rows.has(plain)) throw new Error(`docs/metrics.md has ${plain} twice`);
    rows.set(plain, { name: plain, ...row });
  }
  return rows;
}

const words = (cell: string): string[] =>
  cell
    .split(/[\s,`]+/)
    .filter((word) => word !== '' && word !== '—')
    .sort();

/** Labels that every metric has beside its own: ours, and those that Prometheus gives each target. */
export const COMMON_LABELS = ['role', 'replica', 'job', 'instance'];

/** What is wrong with asking for that metric by these labels; undefined: nothing. */
export function misasked(name: string, labels: readonly string[]): string | undefined {
  if (name === 'up') return undefined;
  const all = documentedMetrics();
  const base = name.replace(/_(bucket|sum|count)$/, '');
  const row = all.get(name) ?? (all.get(base)?.type === 'histogram' ? all.get(base) : undefined);
  if (!row) return `${name} is not exported`;
  const known = [...row.labels, ...COMMON_LABELS, ...(row.type === 'histogram' ? ['le'] : [])];
  const unknown = labels.filter((label) => !known.includes(label));
  return unknown.length === 0 ? undefined : `${name} has no label ${unknown.join(', ')}`;
}
