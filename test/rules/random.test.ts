import { afterEach, expect, test, vi } from 'vitest';
import { Random } from '../simulation/random.js';
import { Schedule } from '../simulation/schedule.js';

/** One seed replays one schedule: SCHEDULE_SEED=123 npx vitest run test/rules/random.test.ts */
const replayed = process.env['SCHEDULE_SEED'];
const schedules = Number(process.env['SCHEDULES'] ?? 200);
const first = replayed === undefined ? Date.now() % 1_000_000_000 : Number(replayed);

afterEach(() => vi.restoreAllMocks());

test(`random schedules from seed ${first} on: every prompt is answered exactly once, whole`, async () => {
  for (let i = 0; i < (replayed === undefined ? schedules : 1); i++) {
    const random = new Random(first + i);
    // Back-offs draw from it; so a seed is the whole schedule.
    vi.spyOn(Math, 'random').mockImplementation(() => random.next());
    await new Schedule(random).run(15);
  }
  expect.assertions(0);
}, 600_000);
