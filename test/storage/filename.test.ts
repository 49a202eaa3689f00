import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from './scratch.js';
import { decodeFileName, encodeFileName } from '../../src/storage/filename.js';

/** Strings that people, peers and attackers choose: also broken Unicode, paths, and names that look encoded. */
const anyId = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.string({
    unit: fc.constantFrom('.', '/', '\\', '%', 'u', 'h', '4', '1', 'A', 'a', '\0'),
    maxLength: 12,
  }),
  fc.string({ minLength: 150, maxLength: 400 }),
  fc.constantFrom(
    '',
    '.',
    '..',
    '../..',
    '/etc/passwd',
    'con',
    'CON',
    'nul.txt',
    'lpt1',
    '.hidden',
    'a.',
    '%',
    '%41',
  ),
);

describe('a file name for any id', () => {
  it('never leaves its folder, is never hidden or reserved, and has a bounded length', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const name = encodeFileName(id);
        expect(name).toMatch(/^[a-z0-9_%-](?:[a-z0-9_%.-]*[a-z0-9_%-])?$/);
        expect(name.length).toBeLessThanOrEqual(180);
        expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/);
      }),
      { numRuns: 2000 },
    );
  });

  it('is shared by no two ids, also where case is ignored', () => {
    fc.assert(
      fc.property(anyId, anyId, (one, other) => {
        fc.pre(one !== other);
        expect(encodeFileName(one).toLowerCase()).not.toBe(encodeFileName(other).toLowerCase());
      }),
      { numRuns: 2000 },
    );
    expect(encodeFileName('@Alice:x')).not.toBe(encodeFileName('@alice:x'));
    expect(encodeFileName('\ud800')).not.toBe(encodeFileName('\ufffd'));
  });

  it('is of ASCII in lower case, so that no file system folds it: neither case nor Unicode forms', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const name = encodeFileName(id);
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) expect(name.normalize(form)).toBe(name);
        expect(name.toLowerCase()).toBe(name);
        // With every ending that we add; most file systems allow 255 bytes.
        const longest = `${name}.log.quarantine-${Date.now()}-2`;
        expect(Buffer.byteLength(longest)).toBeLessThan(255);
        expect(longest).not.toMatch(/[<>:"/\\|?*\p{Cc} ]/u);
      }),
      { numRuns: 1000 },
    );
    expect(encodeFileName('\u00e9')).not.toBe(encodeFileName('e\u0301'));
  });

  it('is made by a real disk as it is: ids that people choose, side by side in one folder', async () => {
    const dir = await scratchFolder();
    const ids = [
      ...[
        '',
        '.',
        '..',
        '../x',
        '/',
        '\\',
        '\0',
        '%',
        '%41',
        'A',
        'a',
        'a.',
        'a ',
        ' a',
        '.a',
        'a/b',
        'a\\b',
      ],
      ...['CON', 'con', 'NUL', 'nul.log', 'COM1', 'com1.txt', 'LPT9', 'aux', 'prn', 'CONIN$', 'COM¹'],
      ...['é', 'e\u0301', 'ß', 'SS', 'İ', 'i', 'ı', '\ud800', '\udc00', '\ufffd', '💥', '\u202e'],
      ...['x'.repeat(300), `${'x'.repeat(299)}y`, 'X'.repeat(300), '💥'.repeat(300), '/'.repeat(300)],
    ];
    for (const id of ids) await writeFile(join(dir, `${encodeFileName(id)}.log`), id);
    const made = await readdir(dir);
    expect(made).toHaveLength(ids.length);
    expect(new Set(made.map((name) => name.toLowerCase())).size).toBe(ids.length);
    for (const id of ids) {
      expect(await readFile(join(dir, `${encodeFileName(id)}.log`))).toEqual(Buffer.from(id));
    }
  });

  it('leads back to its id, unless it is a hash', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const name = encodeFileName(id);
        expect(decodeFileName(name)).toBe(name.startsWith('%h') ? undefined : id);
      }),
      { numRuns: 2000 },
    );
  });

  it('is given to nothing that it was not made for', () => {
    for (const name of ['ABC', '%41%', '%e4', 'con', '.x', 'x.', '%6', '%u0041', '%61', 'a/b', '%zz']) {
      expect(decodeFileName(name), name).toBeUndefined();
    }
  });

  it('stays readable for what we name files by', () => {
    expect(encodeFileName('@alice:example.org')).toBe('%40alice%3aexample.org');
  });
});
