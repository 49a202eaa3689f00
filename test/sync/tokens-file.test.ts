import { chmodSync, chownSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { readTokensFile, watchFile } from '../../src/sync/tokens-file.js';
import type { Clock } from '../../src/time/clock.js';
import { systemClock } from '../../src/time/clock.js';
import { token } from './world.js';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'understudy-tokens-'));
  path = join(dir, 'tokens.yaml');
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10 }));
});

const write = (text: string, mode = 0o600): void => {
  writeFileSync(path, text);
  chmodSync(path, mode);
};
const { sha256 } = token('a');

test('JSON and YAML are read alike, hex in either case, an expiry with its time zone', () => {
  const expires = '2031-02-03T04:05:06+01:00';
  const expected = [
    { sha256, role: 'viewer', expires: Date.parse(expires), name: 'devtool' },
    { sha256: token('b').sha256, role: 'replica' },
  ];
  const other = token('b').sha256.toUpperCase();
  write(
    JSON.stringify([
      { sha256, role: 'viewer', expires, name: 'devtool' },
      { sha256: other, role: 'replica' },
    ]),
  );
  expect(readTokensFile(path)).toEqual({ tokens: expected });
  write(
    `# tokens\n- sha256: ${sha256}\n  role: viewer\n  expires: "${expires}"\n  name: devtool\n- {sha256: ${other}, role: replica, expires: null}\n`,
  );
  expect(readTokensFile(path)).toEqual({ tokens: expected });
  write('[]');
  expect(readTokensFile(path)).toEqual({ tokens: [] });
});

test.each([
  ['', /no list/],
  ['{}', /no list/],
  ['tokens: [', /neither JSON nor YAML, at line 1/],
  ['- secret-token-itself', /token 1/],
  [`- {sha256: short, role: viewer}`, /token 1: sha256 must be 64 hex digits/],
  [`- {sha256: ${sha256}, role: writer}`, /token 1: role must be replica, viewer, admin/],
  [`- {sha256: ${sha256}, role: viewer, expires: soon}`, /token 1: expires must be a time/],
  [`- {sha256: ${sha256}, role: viewer, expires: 2031-01-01}`, /token 1: expires/],
  [`- {sha256: ${sha256}, role: viewer, token: secret-token-itself}`, /token 1: has a field/],
  [
    `- {sha256: ${sha256}, role: viewer}\n- {sha256: ${sha256}, role: replica}`,
    /token 2: +stands there twice/,
  ],
])('R-file: %j is refused, and nothing of it is repeated', (text, message) => {
  write(text);
  expect(() => readTokensFile(path)).toThrow(
    expect.objectContaining({ code: 'bad-tokens-file', message: expect.stringMatching(message) as string }),
  );
  expect(() => readTokensFile(path)).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining('secret-token') as string }),
  );
});

test('R-mode: a file that others may change is refused, one that they may read warned of, each saying why', () => {
  const text = `- {sha256: ${sha256}, role: viewer}`;
  for (const mode of [0o620, 0o602, 0o666]) {
    write(text, mode);
    expect(() => readTokensFile(path)).toThrow(/may be changed by others .* could add tokens/);
  }
  for (const mode of [0o644, 0o640, 0o444]) {
    write(text, mode);
    expect(readTokensFile(path).warning).toMatch(/may be read by others .*weak token can be guessed/);
  }
  for (const mode of [0o600, 0o400]) {
    write(text, mode);
    expect(readTokensFile(path)).not.toHaveProperty('warning');
  }
});

test.runIf(process.getuid?.() === 0)('a file that belongs to another user is refused', () => {
  write(`- {sha256: ${sha256}, role: viewer}`);
  chownSync(path, 12_345, 12_345);
  expect(() => readTokensFile(path)).toThrow(/belongs to user 12345, who could add tokens/);
});

test('a file that is missing, a folder, or huge is a named error', () => {
  expect(() => readTokensFile(path)).toThrow(/cannot be read \(ENOENT\)/);
  expect(() => readTokensFile(dir)).toThrow(/cannot be read|no file of reasonable size/);
  write(' '.repeat(2 * 1024 * 1024));
  expect(() => readTokensFile(path)).toThrow(/no file of reasonable size/);
});

test('a change is told once it stands still: in place, by rename, over a link, and when the file goes', () => {
  const ticks: (() => void)[] = [];
  const clock: Clock = { ...systemClock, every: (_ms, run) => (ticks.push(run), () => {}) };
  const target = join(dir, 'first.yaml');
  writeFileSync(target, '[]');
  symlinkSync(target, path);
  let told = 0;
  const stop = watchFile(path, clock, () => (told += 1));
  const look = () => {
    for (const tick of ticks) tick();
    return told;
  };
  expect([look(), look()]).toEqual([0, 0]);
  writeFileSync(target, '[ ]');
  // Half of it may have been written so far.
  expect(look()).toBe(0);
  writeFileSync(target, '[  ]');
  expect([look(), look(), look()]).toEqual([0, 1, 1]);
  writeFileSync(join(dir, 'new.yaml'), '[   ]');
  symlinkSync(join(dir, 'new.yaml'), join(dir, 'link'));
  renameSync(join(dir, 'link'), path);
  expect([look(), look()]).toEqual([1, 2]);
  rmSync(path);
  expect([look(), look(), look()]).toEqual([2, 3, 3]);
  stop();
});
