import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Each file of the last column with the titles that are quoted after it. */
function* named(row: string): Generator<{ file: string; title: string }> {
  for (const part of (row.split('|').at(-2) ?? '').split(/;(?= `)/)) {
    const file = /`(test\/[^`]+)`/.exec(part)?.[1] ?? '';
    const titles = [...part.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title);
    if (titles.length === 0) yield { file, title: '' };
    for (const title of titles) yield { file, title };
  }
}

const rows = read('docs/automerge-faults.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (what|---)/.test(line));

describe('docs/automerge-faults.md', () => {
  it.each(rows)('%s', (row) => {
    for (const { file, title } of named(row)) {
      expect(existsSync(fileURLToPath(new URL(file, root))), file).toBe(true);
      expect(title).not.toBe('');
      expect(read(file), file).toContain(title);
    }
  });

  it('has every table of the measurements', () => {
    expect(rows.length).toBeGreaterThan(20);
  });
});
