import { readFileSync } from 'node:fs';

/**
 * The blocks of a page in one language, as one module whose promises are checked where they stand: `x; // → y` means
 * that x deeply equals y, `x; // ✗ code` that it throws, or rejects, with that code.
 */
export function programOf(page: URL, language = 'js'): string {
  const text = readFileSync(page, 'utf8');
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gmsu'))];
  return ["import assert from 'node:assert/strict';", ...blocks.map(([, block = '']) => checked(block))].join(
    '\n',
  );
}

function checked(block: string): string {
  return block
    .replaceAll(/^(.+); \/\/ → (.+)$/gmu, 'assert.deepEqual($1, $2);')
    .replaceAll(/^(.+); \/\/ ✗ (.+)$/gmu, "await assert.rejects(async () => { $1; }, { code: '$2' });");
}
