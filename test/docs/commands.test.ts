import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type CommandEntry, commands, usageOf } from '../../src/bot/surface/commands/list.js';

const file = new URL('../../README.md', import.meta.url);
const begin = '<!-- commands: made from src/bot/surface/commands/list.ts, see test/docs/commands.test.ts -->';
const end = '<!-- end of commands -->';

const who = { anyone: '', owner: 'whose room it is', admin: 'admins' };

function table(): string {
  const rows = (commands as readonly CommandEntry[]).map(
    (entry) => `| \`!${usageOf(entry)}\` | ${entry.summary} | ${who[entry.who]} |`,
  );
  return ['| command | does | only for |', '|---|---|---|', ...rows].join('\n');
}

test('README has every command with its usage, as the command table says it', () => {
  const text = readFileSync(file, 'utf8');
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  expect(from).toBeGreaterThan(begin.length);
  if (process.env['UPDATE_COMMANDS'] === '1') {
    writeFileSync(file, `${text.slice(0, from)}\n\n${table()}\n\n${text.slice(to)}`);
    return;
  }
  expect(normal(text.slice(from, to))).toBe(normal(table()));
});

/** Prettier aligns tables; what they say is compared. */
const normal = (markdown: string) =>
  markdown
    .split('\n')
    .map((line) =>
      line
        .replace(/\s*\|\s*/g, '|')
        .replace(/-{3,}/g, '---')
        .trim(),
    )
    .filter((line) => line !== '')
    .join('\n');
