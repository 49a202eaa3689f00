import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdInstall } from '../../src/dev/install-lock.js';

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'understudy-lock-'));
  file = join(dir, 'lock');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const hold = (options: { deadlineMs?: number; onWait?: () => void } = {}) =>
  holdInstall(file, { deadlineMs: 10_000, onWait: () => {}, ...options });

test('one install at a time: the second waits, says so once, and goes on when the first lets go', async () => {
  const order: string[] = [];
  const release = await hold();
  const second = hold({ onWait: () => void order.push('waits') }).then((done) => {
    order.push('holds');
    return done;
  });
  await expect.poll(() => order).toEqual(['waits']);
  order.push('released');
  await release();
  await (
    await second
  )();
  expect(order).toEqual(['waits', 'released', 'holds']);
});

test('a lock whose holder is gone is taken over at once, as is one older than any install', async () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  await writeFile(file, String(pid));
  await (
    await hold({ deadlineMs: 200 })
  )();
  await writeFile(file, String(process.pid));
  await utimes(file, 1, 1);
  await (
    await hold()
  )();
});

test('a lock that nobody lets go of ends in an error that names holder and file', async () => {
  await hold();
  await writeFile(file, String(process.ppid));
  const refused = hold({ deadlineMs: 500 });
  const later = setInterval(() => void utimes(file, new Date(), new Date()), 100);
  await expect(refused).rejects.toThrow(new RegExp(`Process ${process.ppid} has held ${file} too long`));
  clearInterval(later);
});
