import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderError } from '../../src/storage/folder.js';
import { ensureFolder, FolderLocked, lockFolder } from '../../src/storage/lock.js';
import { systemClock } from '../../src/time/clock.js';
import type { Clock } from '../../src/time/clock.js';
import { compiledChildren, startChild } from './children/build.js';
import { faultyFiles } from './faulty-files.js';
import { scratchFolder } from './scratch.js';

const children = compiledChildren();
const lockChild = (dir: string, what = 'stay') => startChild(children.path('lock-child'), [dir, what]);
const spoken = (line: string) => /^(locked|refused)/.test(line);

/** The claim in the lock file and its copy, with some of it changed. */
async function changeClaim(dir: string, change: Record<string, unknown>): Promise<void> {
  const claim = JSON.parse(await readFile(join(dir, 'lock'), 'utf8')) as Record<string, unknown>;
  for (const name of ['lock', 'lock.copy']) {
    await writeFile(join(dir, name), JSON.stringify({ ...claim, ...change }));
  }
}

const damages: [string, (lock: string) => Promise<unknown>][] = [
  ['an empty lock', (lock) => writeFile(lock, '')],
  ['a lock cut in the middle', async (lock) => truncate(lock, Math.floor((await stat(lock)).size / 2))],
  ['a lock that is a folder', (lock) => rm(lock).then(() => mkdir(lock))],
  [
    'a lock that names another pid',
    async (lock) => {
      const claim = JSON.parse(await readFile(lock, 'utf8')) as object;
      await writeFile(lock, JSON.stringify({ ...claim, pid: 2 ** 22 + 1 }));
    },
  ],
];

describe('the lock of a data folder', () => {
  it('is refused to a second process, naming the holder and the folder, and free after release', async () => {
    const dir = await scratchFolder();
    const child = lockChild(dir);
    expect(await child.line(spoken)).toBe(`locked ${child.process.pid}`);
    const refusal = await lockFolder(dir).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(FolderLocked);
    expect(refusal).toMatchObject({ code: 'locked', pid: child.process.pid, folder: dir });
    expect((refusal as Error).message).toContain(dir);
    await child.kill();
    const lock = await lockFolder(dir);
    await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'locked', pid: process.pid });
    expect((await stat(join(dir, 'lock'))).mode & 0o777).toBe(0o600);
    await lock.release();
    await lock.release();
    expect(await readdir(dir)).toEqual([]);
    await (await lockFolder(dir)).release();
  });

  it('is taken over from a process that ended without release', async () => {
    const dir = await scratchFolder();
    const child = lockChild(dir, 'leave');
    expect(await child.ended).toBe(0);
    expect(await readdir(dir)).toEqual(['lock', 'lock.copy']);
    await (await lockFolder(dir)).release();
    expect(await readdir(dir)).toEqual([]);
  });

  it('is taken over when the holder’s pid now belongs to another process', async () => {
    for (const change of [{ started: '1' }, { boot: 'an earlier run of this machine' }]) {
      const dir = await scratchFolder();
      await lockFolder(dir);
      await changeClaim(dir, change);
      await (await lockFolder(dir)).release();
    }
  });

  it('is taken over when the same container was started again', async () => {
    const dir = await scratchFolder();
    await lockFolder(dir);
    await changeClaim(dir, { namespace: 'pid:[1]' });
    await (await lockFolder(dir)).release();
  });

  it('is refused also after the machine was renamed under the holder', async () => {
    const dir = await scratchFolder();
    await lockFolder(dir);
    await changeClaim(dir, { host: 'its-earlier-name' });
    await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'locked', pid: process.pid });
  });

  it('is refused when nobody can tell whether the holder lives, with the remedy', async () => {
    const dir = await scratchFolder();
    await lockFolder(dir);
    await changeClaim(dir, { host: 'another-machine', boot: 'its-boot', namespace: 'pid:[1]' });
    await expect(lockFolder(dir)).rejects.toThrow(/another-machine.*if it is gone, remove .*lock/);
  });

  it('goes to exactly one of many starters, also when all find a dead holder', async () => {
    const dir = await scratchFolder();
    for (let round = 0; round < 3; round += 1) {
      const dead = lockChild(dir, 'leave');
      await dead.ended;
      const starters = Array.from({ length: 6 }, () => lockChild(dir));
      const said = await Promise.all(starters.map((starter) => starter.line(spoken)));
      const winners = said.filter((line) => line.startsWith('locked'));
      expect(winners).toHaveLength(1);
      const winner = winners[0]?.split(' ')[1];
      expect(said.filter((line) => line === `refused ${winner}`)).toHaveLength(5);
      await Promise.all(starters.map((starter) => starter.kill()));
      expect(await readdir(dir)).toEqual(['lock', 'lock.copy']);
    }
  }, 60_000);

  it('goes to one starter of many in one process, over and over, from a dead holder each time', async () => {
    const dir = await scratchFolder();
    for (let round = 0; round < 30; round += 1) {
      await writeFile(join(dir, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, nonce: `dead-${round}` }));
      await changeClaim(dir, { host: (await import('node:os')).hostname() });
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(dir)));
      const held = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(held).toHaveLength(1);
      // Every other one names who holds it, not who was only trying.
      const winner = { folder: dir, pid: process.pid, code: 'locked' };
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(winner);
      }
      await held[0]?.value.release();
      expect(await readdir(dir)).toEqual([]);
    }
  });

  it('is taken over also after starters died while taking it over', async () => {
    const dir = await scratchFolder();
    const host = (await import('node:os')).hostname();
    const dead = (nonce: string) => JSON.stringify({ pid: 2 ** 22 + 1, host, nonce });
    await writeFile(join(dir, 'lock'), dead('one'));
    await writeFile(join(dir, 'lock.over-one'), dead('two'));
    await writeFile(join(dir, 'lock.over-two'), dead('three'));
    const lock = await lockFolder(dir);
    await lock.release();
    expect(await readdir(dir)).toEqual([]);
  });

  it('names the process that is frozen in the middle of taking it over, after a deadline', async () => {
    const dir = await scratchFolder();
    const child = lockChild(dir);
    await child.line(spoken);
    const frozen = await readFile(join(dir, 'lock'), 'utf8');
    const host = (await import('node:os')).hostname();
    await writeFile(join(dir, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, host, nonce: 'dead' }));
    await writeFile(join(dir, 'lock.over-dead'), frozen);
    await expect(lockFolder(dir, undefined, hurriedClock())).rejects.toMatchObject({
      code: 'locked',
      pid: child.process.pid,
    });
    await child.kill();
    await (await lockFolder(dir)).release();
  });

  it('is not removed by a release after somebody else has come to hold it', async () => {
    const dir = await scratchFolder();
    const lock = await lockFolder(dir);
    await changeClaim(dir, { nonce: 'someone-else' });
    await lock.release();
    expect(await readdir(dir)).toEqual(['lock', 'lock.copy']);
  });

  for (const [how, damage] of damages) {
    it(`S-claim: ${how} is taken over by its copy when the holder is gone, and refused while it lives`, async () => {
      const dir = await scratchFolder();
      const child = lockChild(dir);
      await child.line(spoken);
      const lock = join(dir, 'lock');
      await damage(lock);
      await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'locked', pid: child.process.pid });
      await child.kill();
      const ours = await lockFolder(dir);
      await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'locked', pid: process.pid });
      const aside = (await readdir(dir)).filter((name) => name.startsWith('lock.quarantine-'));
      expect(aside).toHaveLength(how.includes('another pid') ? 0 : 1);
      // Damaged under its holder, it is free all the same when that lets go.
      await damage(lock);
      await ours.release();
      await (await lockFolder(dir)).release();
    });
  }

  it('damaged with its copy, it stops the start and says so', async () => {
    const dir = await scratchFolder();
    await lockFolder(dir);
    for (const name of ['lock', 'lock.copy']) await writeFile(join(dir, name), '');
    await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'bad-lock' });
  });

  it('goes to one of many starters that all find a damaged lock of a dead holder', async () => {
    const dir = await scratchFolder();
    const dead = { pid: 2 ** 22 + 1, host: (await import('node:os')).hostname(), nonce: 'dead' };
    for (let round = 0; round < 10; round += 1) {
      await writeFile(join(dir, 'lock'), '');
      await writeFile(join(dir, 'lock.copy'), JSON.stringify(dead));
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(dir)));
      const held = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(held).toHaveLength(1);
      await held[0]?.value.release();
      expect((await readdir(dir)).filter((name) => !name.includes('quarantine'))).toEqual([]);
    }
  });

  it('that cannot be read stops the start and says so', async () => {
    const dir = await scratchFolder();
    await writeFile(join(dir, 'lock'), '\0\0\0');
    await expect(lockFolder(dir)).rejects.toMatchObject({ code: 'bad-lock' });
  });
});

describe('a data folder', () => {
  it('is made, with what is above it, for its owner only', async () => {
    const dir = join(await scratchFolder(), 'a', 'b');
    await ensureFolder(dir);
    for (const made of [dir, join(dir, '..')]) expect((await stat(made)).mode & 0o777).toBe(0o700);
    await ensureFolder(dir);
    expect(await readdir(dir)).toEqual([]);
  });

  it('that others may read is made private', async () => {
    const dir = join(await scratchFolder(), 'open');
    await mkdir(dir, { mode: 0o755 });
    await ensureFolder(dir);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });

  it('that cannot be written is refused with its path and what to do', async () => {
    const dir = await scratchFolder();
    for (const [code, words] of [
      ['EROFS', 'read-only'],
      ['EACCES', 'permission denied'],
      ['ENOSPC', 'full'],
    ] as const) {
      const files = faultyFiles((call) => (call === 'create' ? code : undefined));
      const refusal = await ensureFolder(dir, files).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(FolderError);
      expect(refusal).toMatchObject({ code: 'unwritable', folder: dir });
      expect((refusal as Error).message).toContain(words);
      expect((refusal as Error).message).toContain(dir);
      expect((refusal as Error).message).toContain('name another folder');
      await expect(lockFolder(dir, files)).rejects.toMatchObject({ code: 'unwritable' });
    }
  });

  it('whose place a file takes is refused', async () => {
    const file = join(await scratchFolder(), 'file');
    await writeFile(file, '');
    await expect(ensureFolder(file)).rejects.toMatchObject({ code: 'not-a-folder' });
    await expect(ensureFolder(join(file, 'below'))).rejects.toMatchObject({ code: 'not-a-folder' });
  });

  it('that belongs to another user but can be written is taken as it is', async () => {
    const dir = await scratchFolder();
    await ensureFolder(
      dir,
      faultyFiles((call) => (call === 'makePrivate' ? 'EPERM' : undefined)),
    );
  });
});

/** A clock on which every wait is over at once, and took as long as it should. */
function hurriedClock(): Clock {
  let now = 0;
  return {
    ...systemClock,
    monotonic: () => now,
    after: (ms, run) => {
      now += ms;
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    },
  };
}
