import type { Documented } from './documented.js';

/** A metric as real processes export it. */
export interface Exported {
  name: string;
  type: string;
  help: string;
  labels: Set<string>;
  processes: Set<string>;
  /** It had a value; else its labels are not known. */
  seen: boolean;
}

/** The table of docs/metrics.md: what is exported, and of each what was said of the normal. */
export function tableOf(exported: readonly Exported[], documented: ReadonlyMap<string, Documented>): string {
  const ours = (name: string): boolean => !/^understudy_(process|nodejs)_/.test(name);
  const order = exported.toSorted(
    (a, b) => Number(ours(b.name)) - Number(ours(a.name)) || (a.name < b.name ? -1 : 1),
  );
  const rows = order.map(({ name, type, help, labels, processes, seen }) => {
    const known = documented.get(name);
    const own = seen ? [...labels].sort() : (known?.labels ?? []);
    const cells = [
      `\`${name}\``,
      type,
      unitOf(name),
      own.length === 0 ? '—' : own.map((label) => `\`${label}\``).join(', '),
      [...processes].sort().join(', '),
      help.replaceAll('|', '\\|'),
      known?.normal || '—',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = ['metric', 'type', 'unit', 'labels', 'process', 'meaning', 'normal'];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows].join('\n');
}

/** As the name says it. */
function unitOf(name: string): string {
  if (/_timestamp_seconds|_start_time_seconds/.test(name)) return 'seconds since 1970';
  if (/_seconds(_total)?$/.test(name)) return 'seconds';
  return /_bytes(_total)?$/.test(name) ? 'bytes' : 'count';
}
