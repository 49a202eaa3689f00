import type { LookedAtRecord } from '../../telemetry/look.js';
import { printable } from '../printable.js';

/** Rows under a header, each column as wide as its widest cell, the last one cut at the width of the terminal. */
export function table(header: string[], rows: string[][], width: number): string[] {
  const all = [header, ...rows].map((row) => row.map((cell) => printable(cell).replace(/[\n\t]/g, ' ')));
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((size) => '─'.repeat(size)).join('  ');
  return [lines[0] ?? '', rule, ...lines.slice(1)].map((line) =>
    line.length > width ? `${line.slice(0, width - 1)}…` : line,
  );
}

/** Records with open-ended field names (attempts) would need a column for each. */
const mostColumns = 9;

/** One table per kind of record: a row each, a column for every field that any of them has. */
export function overview(records: readonly LookedAtRecord[], width: number): string[] {
  const kinds = new Map<string, LookedAtRecord[]>();
  for (const record of records) kinds.set(record.kind, [...(kinds.get(record.kind) ?? []), record]);
  return [...kinds].flatMap(([kind, list]) => {
    const fields = [...new Set(list.flatMap((record) => Object.keys(record.fields)))];
    const isOpen = fields.length > mostColumns;
    const columns = isOpen ? ['fields'] : fields;
    const rows = list
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map((record) => [
        record.key,
        ...(isOpen ? [allFields(record)] : fields.map((field) => shown(record.fields[field]?.value))),
      ]);
    return [`${kind} (${list.length})`, ...table(['key', ...columns], rows, width), ''];
  });
}

/** One record: each field with its value, when it was set, and the event that caused it. */
export function detail(record: LookedAtRecord, width: number): string[] {
  const rows = Object.entries(record.fields)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, { value, stamp, cause }]) => [field, shown(value), new Date(stamp).toISOString(), cause]);
  const where = record.documents ? ` in ${record.documents.join(', ')}` : '';
  return [
    `${record.kind} ${printable(record.key)}${where}`,
    ...table(['field', 'value', 'set', 'cause'], rows, width),
    '',
  ];
}

const allFields = ({ fields }: LookedAtRecord): string =>
  Object.entries(fields)
    .map(([name, { value }]) => `${name}=${shown(value)}`)
    .join(' ');

function shown(value: unknown): string {
  if (value === undefined || value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
