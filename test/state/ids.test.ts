import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeFileName } from '../../src/storage/filename.js';
import { LosingDisk } from '../storage/losing-disk.js';
import { Reports } from '../../src/state/reports.js';
import { SessionLogs } from '../../src/tasks/session-log.js';
import { silentLog } from '../../src/index.js';
import { entry, world } from './world.js';

/** Strings that people, peers and attackers choose. */
const anyId = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('.', '/', '\\', '%', 'A', 'a', '\0', ' ', '\ud800'), maxLength: 8 }),
  fc.string({ minLength: 200, maxLength: 400 }),
  fc.constantFrom('', '.', '..', '../..', '/etc/passwd', 'CON', 'nul', 'x.log.1', 'x.md.tmp', 'state.json'),
);

it('T-encode: no id of a session or a report leaves its folder, and no two meet in one file', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(anyId, { minLength: 1, maxLength: 12 }), async (ids) => {
      const { files } = new LosingDisk();
      const logs = await SessionLogs.open('/data', files, silentLog, undefined);
      const reports = new Reports('/data', files, silentLog);
      await reports.open();
      const paths: string[] = [];
      for (const [n, id] of ids.entries()) {
        await logs.append(id, [entry(n)]);
        paths.push(await reports.save(id, `of ${n}`, 'md'));
      }
      for (const [n, path] of paths.entries()) {
        expect(dirname(path)).toBe('/data/reports');
        expect(Buffer.byteLength(basename(path))).toBeLessThan(250);
        expect(Buffer.from(await files.read(path)).toString()).toBe(`of ${n}`);
      }
      const folded = (await files.list('/data/sessions')).map(({ name }) => name.toLowerCase());
      expect(new Set(folded).size).toBe(ids.length);
      expect((await files.list('/data')).map(({ name }) => name).sort()).toEqual(['reports', 'sessions']);
      const listed = await logs.list(ids);
      expect(new Set(listed.map(({ id }) => id))).toEqual(new Set(ids));
    }),
    { numRuns: 150 },
  );
});

it('on a real disk: 300 characters, reserved names, half characters, nothing at all', async () => {
  const { state, dir } = await world();
  const ids = [
    '',
    'NUL',
    'nul',
    'x'.repeat(300),
    'X'.repeat(300),
    '\ud800',
    '../../x',
    'a\0b',
    'é',
    'e\u0301',
  ];
  for (const id of ids) {
    await state.saveSessionLog(id, [entry(1)]);
    const path = await state.saveReport(id, id);
    expect(path).toBe(join(dir, 'reports', `${encodeFileName(id)}.md`));
  }
  expect(await readdir(join(dir, 'reports'))).toHaveLength(ids.length);
  const { sessions } = await state.loadState();
  expect(sessions).toHaveLength(ids.length);
  // Of a hash nobody can tell whose it is, unless a task has the id.
  expect(sessions.filter(({ id }) => id === null)).toHaveLength(2);
});
