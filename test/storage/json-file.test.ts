import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { JsonFileError, readJson, readJsonOrAside, writeJson } from '../../src/storage/json-file.js';
import { faultyFiles } from './faulty-files.js';
import type { Call } from './faulty-files.js';
import { recordingLog } from './recording-log.js';
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

  it('S-sum: is not taken for another one that a flipped bit makes of it, and may be changed by hand', async () => {
    const path = join(await scratchFolder(), 'replica.json');
    const schema = z.object({ replica: z.string(), heard: z.record(z.string(), z.number()) });
    const value = { replica: 'alpha', heard: { beta: 4, 7: 1 } };
    await writeJson(path, value);
    expect(await readJson(path, schema)).toEqual(value);
    const bytes = await readFile(path);
    let isOther = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      await writeFile(path, flipped);
      const read = await readJson(path, schema).catch((error: unknown) => error);
      if (read instanceof JsonFileError) isOther += 1;
      else expect(read, `bit ${bit}`).toEqual(value);
    }
    expect(isOther).toBeGreaterThan(bytes.length);
    await writeFile(path, JSON.stringify({ replica: 'beta', heard: {} }));
    expect(await readJson(path, schema)).toEqual({ replica: 'beta', heard: {} });
  });

  it('S-aside: that is damaged is put aside with its bytes, said without its content, and begun anew', async () => {
    const path = join(await scratchFolder(), 'matrix.json');
    const damages = ['{"replica": ', '{"replica": 5, "token": "geheim"}', '"geheim"', '', undefined];
    for (const text of damages) {
      if (text === undefined) await mkdir(path);
      else await writeFile(path, text);
      const log = recordingLog();
      expect(await readJsonOrAside(path, Replica, { lost: 'the id', log })).toBeUndefined();
      expect(log.lines).toMatchObject([{ level: 'error', file: path, lost: 'the id' }]);
      expect(JSON.stringify(log.lines)).not.toContain('geheim');
      const aside = String(log.lines[0]?.['aside']);
      if (text !== undefined) expect(await readFile(aside, 'utf8')).toBe(text);
      await writeJson(path, { replica: 'anew' });
      expect(await readJsonOrAside(path, Replica, { lost: 'the id', log })).toEqual({ replica: 'anew' });
      await rm(path);
    }
    // None of them took the place of another.
    expect(await readdir(join(path, '..'))).toHaveLength(damages.length);
  });

  it('that may not be read stays where it is', async () => {
    const path = join(await scratchFolder(), 'matrix.json');
    await writeJson(path, { replica: 'r1' });
    for (const code of ['EACCES', 'EMFILE', 'EIO']) {
      const files = faultyFiles((call) => (call === 'read' ? code : undefined));
      const reading = readJsonOrAside(path, Replica, { lost: 'the id', log: recordingLog(), files });
      await expect(reading).rejects.toMatchObject({ code });
    }
    expect(await readJson(path, Replica)).toEqual({ replica: 'r1' });
  });
});
