import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
