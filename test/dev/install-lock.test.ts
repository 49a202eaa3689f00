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
afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

const hold = (options: { deadlineMs?: number; onWait?: () => void } = {}) =>
  holdInstall(file, { deadlineMs: 60_000, onWait: () => {}, ...options });

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
  let waits = 0;
  const onWait = () => void (waits += 1);
  await writeFile(file, String(pid));
  await (
    await hold({ onWait })
  )();
  await writeFile(file, String(process.pid));
  await utimes(file, 1, 1);
  await (
    await hold({ onWait })
  )();
  expect(waits).toBe(0);
});

test('a lock that nobody lets go of ends in an error that names holder and file', async () => {
  await hold();
  await writeFile(file, String(process.ppid));
  // Never older than any holder may be, however long this test stands still.
  const later = Date.now() / 1000 + 3600;
  await utimes(file, later, later);
  const refused = hold({ deadlineMs: 500 });
  await expect(refused).rejects.toThrow(new RegExp(`Process ${process.ppid} has held ${file} too long`));
});
