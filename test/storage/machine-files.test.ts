import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MachineFileError } from '../../src/actors/json/errors.js';
import { loadMachines } from '../../src/storage/machine-files.js';

const light = (id: string): string => JSON.stringify({ id, version: 1, initial: 'on', states: { on: {} } });

describe('the machine files of a folder', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'machines-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

  it('are those that end in .json, in the order of their names', async () => {
    await writeFile(join(dir, 'b.json'), light('b'));
    await writeFile(join(dir, 'a.json'), light('a'));
    await writeFile(join(dir, 'notes.txt'), 'no machine');
    await mkdir(join(dir, 'more.json'));
    const machines = await loadMachines(dir);
    expect(machines.map(({ id, file }) => [id, file])).toEqual([
      ['a', join(dir, 'a.json')],
      ['b', join(dir, 'b.json')],
    ]);
  });

  it('are none when there is no folder', async () => {
    expect(await loadMachines(join(dir, 'none'))).toEqual([]);
  });

  it('may be symbolic links, as mounted configuration is', async () => {
    await mkdir(join(dir, 'store'));
    await writeFile(join(dir, 'store', 'a'), light('a'));
    await symlink(join('store', 'a'), join(dir, 'a.json'));
    expect(await loadMachines(dir)).toHaveLength(1);
  });

  it('are read to the limit and no further', async () => {
    await writeFile(join(dir, 'big.json'), Buffer.alloc(5_000_000, ' '));
    const error: unknown = await loadMachines(dir).then(undefined, (reason: unknown) => reason);
    expect(error).toBeInstanceOf(MachineFileError);
    expect((error as Error).message).toBe(`${join(dir, 'big.json')}: is bigger than 256 KB`);
  });

  it('tell every problem of every file', async () => {
    await writeFile(join(dir, 'a.json'), '{');
    await writeFile(join(dir, 'b.json'), light('b').replace('"on"', '"off"'));
    const error: unknown = await loadMachines(dir).then(undefined, (reason: unknown) => reason);
    expect((error as MachineFileError).problems.map(({ code }) => code)).toEqual([
      'unreadable',
      'unknown-initial',
    ]);
  });

  it('that cannot be read reject as the file system says', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(loadMachines(join(dir, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
