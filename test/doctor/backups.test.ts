import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/time/clock.js';
import { doctor, healthyFolder, settings } from './world.js';

const backups = (dir: string, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, { only: ['backups'], ...options });

/** The machine's clock, so much later. */
const later = (ms: number) => ({ ...systemClock, now: () => Date.now() + ms });
const hour = 3_600_000;

describe('the doctor at the backups', { timeout: 60_000 }, () => {
  it('backup-none: only where one was due', async () => {
    const dir = await healthyFolder();
    await rm(join(dir, 'backups'), { recursive: true });
    expect(await backups(dir)).toMatchObject({ codes: [], exit: 0 });
    expect(await backups(dir, { clock: later(37 * hour) })).toMatchObject({
      codes: ['backup-none'],
      exit: 1,
    });
  });

  it('backup-old: by the interval that is set, and not before half as much again', async () => {
    const dir = await healthyFolder();
    expect((await backups(dir, { clock: later(35 * hour) })).codes).toEqual([]);
    expect((await backups(dir, { clock: later(37 * hour) })).codes).toEqual(['backup-old']);
    const env = { ...settings, UNDERSTUDY_BACKUP_EVERY: '10h' };
    expect((await backups(dir, { clock: later(16 * hour), env })).codes).toEqual(['backup-old']);
  });

  it('backups-off', async () => {
    const dir = await healthyFolder();
    const env = { ...settings, UNDERSTUDY_BACKUP_EVERY: '0' };
    expect(await backups(dir, { env, clock: later(999 * hour) })).toMatchObject({
      codes: ['backups-off'],
      exit: 0,
    });
  });

  it('backup-damaged', async () => {
    const dir = await healthyFolder();
    const [name = ''] = await readdir(join(dir, 'backups'));
    await truncate(join(dir, 'backups', name), 1500);
    const { codes, exit, of } = await backups(dir);
    expect({ codes, exit }).toEqual({ codes: ['backup-damaged'], exit: 1 });
    expect(of('backup-damaged').seen).toContain(name);
  });
});
