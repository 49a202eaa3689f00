import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { documentMaps } from '../../src/documents/genesis.js';
import { mergeRules } from '../../src/documents/merge/rules.js';
import { kindNames, tableOf } from '../../src/documents/schemas/kinds.js';
import { emptyJournal } from '../../src/bot/journal.js';
import { replicatedTable } from './state-table.js';

const file = new URL('../../STATE.md', import.meta.url);
const begin = '<!-- replicated: made from src/documents/schemas, see test/docs/state.test.ts -->';
const end = '<!-- end of replicated -->';

describe('STATE.md', () => {
  const text = readFileSync(file, 'utf8');

  it('has every replicated field with writer, merge rule and reason, as the schemas say it', () => {
    const from = text.indexOf(begin) + begin.length;
    const to = text.indexOf(end);
    if (process.env['UPDATE_STATE'] === '1') {
      writeFileSync(file, `${text.slice(0, from)}\n\n${replicatedTable()}\n\n${text.slice(to)}`);
      return;
    }
    expect(normal(text.slice(from, to))).toBe(normal(replicatedTable()));
  });

  it('names every merge rule', () => {
    for (const rule of Object.keys(mergeRules)) expect(text).toContain(`\`${rule}\``);
  });

  it('names every map of the documents, used or kept for later', () => {
    for (const maps of Object.values(documentMaps))
      for (const map of maps) expect(text).toContain(`\`${map}\``);
  });

  it('names every part of the local journal', () => {
    for (const part of Object.keys(emptyJournal())) expect(text).toContain(`\`${part}\``);
  });

  it('names everything that a replica keeps in its data folder', () => {
    const names = ['bot', 'node', 'tasks', 'state'].flatMap((folder) => {
      const root = new URL(`../../src/${folder}/`, import.meta.url);
      const files = readdirSync(fileURLToPath(root), { recursive: true, encoding: 'utf8' });
      return files
        .filter((name) => name.endsWith('.ts'))
        .flatMap((name) => [
          ...readFileSync(new URL(name, root), 'utf8').matchAll(
            /join\((?:\w+\.)?(?:dataDir|dir), '([^']+)'/g,
          ),
        ])
        .map(([, name]) => name);
    });
    expect(names).toEqual(
      expect.arrayContaining(['delivery.journal', 'generations.json', 'sessions', 'state.json']),
    );
    for (const name of names) expect(text).toMatch(new RegExp(`\`${name}[/\`]`));
    const lock = readFileSync(new URL('../../src/storage/lock.ts', import.meta.url), 'utf8');
    const ofLock = [...lock.matchAll(/^const \w+ = '([^']+)';$/gm)].map(([, name]) => name);
    expect(ofLock).toEqual(['lock', 'lock.copy']);
    for (const name of [...ofLock, '<name>.quarantine-<ms>']) expect(text).toContain(`\`${name}\``);
  });

  it('says of what is only remembered how much of it, as the code does', () => {
    for (const [path, constant, what] of [
      ['bot/approvals/open-requests.ts', 'MOST_OTHERS', 'which events are no question of ours'],
      ['bot/attachments/staging.ts', 'MOST_PEOPLE', 'files that wait for their sender'],
      ['bot/addressing/own-messages.ts', 'MOST_FOREIGN', 'threads in which nothing of ours stands'],
      ['bot/surface/succession.ts', 'MOST_ROOMS', 'rooms that took no other'],
      ['sync/opened-again.ts', 'MOST_UNTOLD', 'whom to tell of closed documents'],
    ] as const) {
      const code = readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8');
      const most = new RegExp(`^const ${constant} = ([\\d_]+);$`, 'm').exec(code)?.[1]?.replaceAll('_', '');
      const [row = ''] = text.split('\n').filter((line) => line.startsWith(`| ${what}`));
      expect(row.split('|')[1]).toContain(Number(most).toLocaleString('en-US'));
    }
  });

  it('has the field names of the data format', () => {
    const names = new Set(kindNames.flatMap((kind) => Object.keys(tableOf(kind).fields)));
    for (const name of [
      'space_id',
      'next_chat_index',
      'selected_agent_id',
      'room_type',
      'chat_id',
      'display_name',
      'matrix_user_id',
      'platform_chat_id',
      'agent_id',
    ]) {
      expect(names).toContain(name);
    }
  });
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
