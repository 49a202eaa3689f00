import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Attendance, attendanceFile } from '../../src/node/attendance.js';
import { silentLog } from '../../src/telemetry/log.js';
import { SimulatedClock } from '../simulation/clock.js';
import { folder } from './world.js';

const DAY = 24 * 60 * 60_000;

it('counts how long a member has been away while this replica ran, over all its starts', async () => {
  const file = attendanceFile(await folder(), silentLog);
  let clock = new SimulatedClock();
  let attendance = await Attendance.open(file, clock);
  expect(attendance.awayMs('other', 'seen on Monday')).toBe(0);
  await clock.advance(2 * DAY);
  expect(attendance.awayMs('other', 'seen on Monday')).toBe(2 * DAY);
  await attendance.save();
  // Off for a month.
  clock = new SimulatedClock();
  clock.suspend(30 * DAY);
  attendance = await Attendance.open(file, clock);
  expect(attendance.awayMs('other', 'seen on Monday')).toBe(2 * DAY);
  await clock.advance(DAY);
  expect(attendance.awayMs('other', 'seen on Monday')).toBe(3 * DAY);
  expect(attendance.awayMs('other', 'seen on Friday')).toBe(0);
});

it('does not count what the wall clock jumps', async () => {
  const clock = new SimulatedClock();
  const attendance = await Attendance.open(attendanceFile(await folder(), silentLog), clock);
  attendance.awayMs('other', 's');
  clock.suspend(8 * DAY);
  expect(attendance.awayMs('other', 's')).toBe(0);
});

it('is written now and then: a kill makes a time away shorter, never longer', async () => {
  const dir = await folder();
  const clock = new SimulatedClock();
  const attendance = await Attendance.open(attendanceFile(dir, silentLog), clock);
  const stop = attendance.keep(silentLog);
  attendance.awayMs('other', 's');
  await clock.advance(11 * 60_000);
  await expect.poll(() => stat(join(dir, 'attendance.json')).then(({ mode }) => mode & 0o777)).toBe(0o600);
  stop();
  const again = await Attendance.open(attendanceFile(dir, silentLog), new SimulatedClock());
  expect(again.awayMs('other', 's')).toBe(10 * 60_000);
});

it('begins anew where its file cannot be read', async () => {
  const dir = await folder();
  const path = join(dir, 'attendance.json');
  for (const text of ['', '{', '{"running_ms": -1, "heard": {}}', '[]']) {
    await writeFile(path, text);
    const attendance = await Attendance.open(attendanceFile(dir, silentLog), new SimulatedClock());
    expect(attendance.awayMs('other', 's')).toBe(0);
    await attendance.save();
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ heard: { other: { sign: 's' } } });
  }
});
