import { kindNames, tableOf } from '../../src/documents/schemas/kinds.js';

/** The replicated part of STATE.md, one row a field, rendered from the tables that the code itself uses. */
export function replicatedTable(): string {
  const lines: string[] = [];
  for (const kind of kindNames) {
    const { document, map, prefix, key, only, fields, open } = tableOf(kind);
    lines.push(`### ${kind}: \`${only ?? `${prefix}${key}`}\``, '');
    lines.push(`In ${document} documents, map \`${map}\`.`, '');
    lines.push(
      '| field | what | who writes it | how concurrent writes merge | why |',
      '|---|---|---|---|---|',
    );
    for (const [field, row] of [
      ...Object.entries(fields),
      ...(open === undefined ? [] : [['(any)', open] as const]),
    ]) {
      lines.push(`| \`${field}\` | ${row.what} | ${row.writer} | ${row.merge} | ${row.why} |`);
    }
    lines.push('');
  }
  return lines.join('\n').trimEnd();
}
