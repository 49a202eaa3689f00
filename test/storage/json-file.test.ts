import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readJson, writeJson } from '../../src/storage/json-file.js';
import { faultyFiles } from './faulty-files.js';
import type { Call } from './faulty-files.js';
import { scratchFolder } from './scratch.js';

const Replica = z.object({ replica: z.string() });

describe('a small value in a file', () => {
  it('is absent, then written with its folders, then read back', async () => {
    const path = join(await scratchFolder(), 'new', 'replica.json');
    expect(await readJson(path, Replica)).toBeUndefined();
    await writeJson(path, { replica: 'r1' });
    expect(await readJson(path, Replica)).toEqual({ replica: 'r1' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(path, '..'))).toEqual(['replica.json']);
  });

  it('is synced before it is renamed, and its folder after', async () => {
    const path = join(await scratchFolder(), 'replica.json');
    const calls: Call[] = [];
    await writeJson(
      path,
      { replica: 'r1' },
      faultyFiles(
        () => undefined,
        (call) => calls.push(call),
      ),
    );
    expect(calls.slice(calls.indexOf('create'))).toEqual([
      'create',
      'file.write',
      'file.sync',
      'rename',
      'syncFolder',
    ]);
  });

  it('stays what it was when a write fails at any step', async () => {
    const path = join(await scratchFolder(), 'replica.json');
    await writeJson(path, { replica: 'old' });
    for (const step of ['create', 'file.write', 'file.sync', 'rename'] as const) {
      const files = faultyFiles((call) => (call === step ? 'EIO' : undefined));
      await expect(writeJson(path, { replica: 'new' }, files), step).rejects.toMatchObject({ code: 'EIO' });
      expect(await readJson(path, Replica)).toEqual({ replica: 'old' });
    }
    await writeJson(path, { replica: 'new' });
    expect(await readdir(join(path, '..'))).toEqual(['replica.json']);
  });

  it('that is not what it should be is named and left alone, and its content not shown', async () => {
    const path = join(await scratchFolder(), 'replica.json');
    for (const text of ['{"replica": ', '{"replica": 5, "token": "geheim"}', '"geheim"', '']) {
      await writeFile(path, text);
      const error = await readJson(path, Replica).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'malformed' });
      expect((error as Error).message).toContain(path);
      expect((error as Error).message).not.toContain('geheim');
      expect(await readFile(path, 'utf8')).toBe(text);
    }
  });
});
