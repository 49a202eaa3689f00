import { expect, onTestFinished, test } from 'vitest';
import { Random } from '../simulation/random.js';
import { deadline, isSoak, say } from '../soak/time.js';
import { seedOfRun } from '../sync/attack.js';
import { HostileWorld } from './hostile-world.js';

/** Worlds, and events in each: what was said long ago costs a simulated homeserver time, and finds nothing more. */
const WORLDS = 10;
const EVENTS = 1000;

/** A promise that nobody waits for fails the test, as it would end a replica. */
function unhandled(): unknown[] {
  const found: unknown[] = [];
  const note = (reason: unknown) => void found.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  return found;
}

async function run(seed: number, events: number): Promise<HostileWorld> {
  const random = new Random(seed);
  const hostile = await HostileWorld.open(random);
  for (let left = events; left > 0;) {
    // More than a /sync answer holds of one room, now and then.
    const burst = Math.min(left, random.chance(0.1) ? 600 : 1 + random.below(150));
    hostile.burst(burst);
    left -= burst;
    await hostile.world.clock.advance(random.below(600));
  }
  await hostile.world.settleAll(3_600_000);
  return hostile;
}

test('M-dropped: what no homeserver should say is dropped and counted, and what stands beside it is answered', async () => {
  const rejections = unhandled();
  const seed = seedOfRun();
  const hostile = await run(seed, 300);
  expect(hostile.dropped, `FUZZ_SEED=${seed}`).toBeGreaterThan(hostile.planted / 2);
  expect(hostile.problems(), `FUZZ_SEED=${seed}`).toEqual([]);
  // No batch had to be taken twice because of it.
  expect(
    hostile.world.lines.filter(({ level }) => level === 'error'),
    `FUZZ_SEED=${seed}`,
  ).toEqual([]);
  expect(rejections).toEqual([]);
});

test(
  'M-fuzz: 10,000 hostile events among prompts: no crash, no answer too many, none in a wrong room, every prompt answered once',
  { timeout: isSoak ? 86_400_000 : 600_000 },
  async () => {
    const rejections = unhandled();
    const first = seedOfRun();
    const until = deadline(0);
    const sums = { events: 0, refused: 0, owed: 0, genuine: 0, planted: 0, dropped: 0 };
    for (let n = 0; n < WORLDS || performance.now() < until; n += 1) {
      const hostile = await run(first + n, EVENTS);
      const { world, taken, genuine, refused, planted, dropped, owed } = hostile;
      const again = `FUZZ_SEED=${first + n}`;
      expect(hostile.problems().slice(0, 20), again).toEqual([]);
      expect(rejections, again).toEqual([]);
      expect(
        world.lines.filter(({ level }) => level === 'error'),
        again,
      ).toEqual([]);
      // Nothing is held for what is over.
      for (const { life } of world.replicas) {
        expect(life.journal.state.sources.size, again).toBe(0);
        expect(life.bot.engine.unsettled(), again).toBe(0);
      }
      expect(world.actorProblems(), again).toEqual([]);
      expect(taken.length + genuine.length + refused).toBe(EVENTS);
      sums.events += EVENTS;
      for (const [name, count] of Object.entries({
        refused,
        owed,
        planted,
        dropped,
        genuine: genuine.length,
      }))
        sums[name as keyof typeof sums] += count;
      say('hostile events', sums);
    }
    say('hostile events', sums, true);
    // It was what it says: much is owed nothing, something is, and the parser had its share.
    expect(sums.events).toBeGreaterThanOrEqual(10_000);
    expect(sums.owed).toBeGreaterThan(200);
    expect(sums.genuine).toBeGreaterThan(50);
    expect(sums.refused).toBeLessThan(sums.events / 2);
    expect(sums.dropped).toBeGreaterThan(200);
  },
);
