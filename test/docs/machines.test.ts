import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseMachineFiles } from '../../src/actors/json/machine-file.js';
import { keywordNames } from '../../src/actors/json/guard-schema.js';

const page = readFileSync(new URL('../../docs/machines.md', import.meta.url), 'utf8');

describe('docs/machines.md', () => {
  it('shows machine files that are valid, also beside each other', () => {
    const blocks = [...page.matchAll(/^```json\n(.*?)^```/gmsu)].map(([, text = '']) => text);
    const files = blocks.map((text, index) => ({
      file: `${index}.json`,
      bytes: new TextEncoder().encode(text),
    }));
    expect(parseMachineFiles(files).map(({ id, version }) => `${id} ${version}`)).toEqual([
      'door 1',
      'door 2',
    ]);
  });

  it('lists the keywords that a guard may use', () => {
    const [, list = ''] = /^Guards use these keywords[^:]*: (.*?)\. There/mu.exec(page) ?? [];
    const listed = [...list.matchAll(/`(\w+)`/gu)].map(([, name = '']) => name);
    expect(new Set(listed)).toEqual(new Set(keywordNames));
  });
});
