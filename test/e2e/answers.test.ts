import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('a prompt in each of two rooms gets one answer each, each in its own context', async () => {
  const world = await cluster({ replicas: 2 });
  const [one, two] = [await world.room(), await world.room()];
  // Both are the first of their context, so both are counted as the first.
  const first = { text: (token: string) => `echo #1: say ${token}` };
  await world.ask(one, undefined, first);
  await world.ask(two, undefined, first);
  await world.answered();
  await world.ask(one, undefined, { text: (token) => `echo #2: say ${token}` });
  await world.answered();
  expect(await world.problems()).toBe('');
  await world.watch('two rooms, two contexts');
});

everyRoomIsJudged();
