import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codes, layers, type Code } from '../../src/cli/doctor/codes.js';

const page = readFileSync('docs/doctor.md', 'utf8');
const row = /^\| `([\w-]+)`\s*\| (\w+)\s*\| (\d)\s*\| (.+?)\s*\| (.+?)\s*\|$/gm;
const rows = [...page.matchAll(row)].map(([, code = '', severity, exit]) => ({
  code,
  severity,
  exit: Number(exit),
}));

/** Each layer's own line, which asks for nothing. */
const isSummary = (code: string): boolean => codes[code as Code].severity === 'ok';

const sources = (dir: string): string =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(`${dir}/${name}`, 'utf8'))
    .join('\n');

describe('docs/doctor.md', () => {
  it('names every finding of the source with its severity and exit code, and no other', () => {
    const wanted = Object.entries(codes)
      .filter(([code]) => !isSummary(code))
      .map(([code, { severity, exit }]) => ({
        code,
        severity,
        exit: severity === 'note' ? 0 : exit,
      }));
    const byCode = (a: { code: string }, b: { code: string }): number => (a.code < b.code ? -1 : 1);
    expect([...rows].sort(byCode)).toEqual([...wanted].sort(byCode));
  });

  it('names every layer', () => {
    for (const layer of layers) expect(page).toContain(`### ${layer}`);
  });

  it('every finding is made somewhere, and produced by a test', () => {
    const made = sources('src/cli/doctor').replace(/export const codes = [\s\S]*?as const/, '');
    const tested = `${sources('test/doctor')}\n${readFileSync('test/e2e/doctor.test.ts', 'utf8')}`;
    const unmade = Object.keys(codes).filter((code) => !made.includes(`'${code}'`));
    const untested = Object.keys(codes).filter((code) => !tested.includes(code));
    expect({ unmade, untested }).toEqual({ unmade: [], untested: [] });
  });
});
