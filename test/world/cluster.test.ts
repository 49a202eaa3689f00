import { expect, test } from 'vitest';
import { cluster } from './cluster.js';

test('a process that ends by itself is a problem of the test, and ends its waiting at once', async () => {
  const world = await cluster({ replicas: 0 });
  expect(world.crashes).toEqual([]);
  const room = await world.alice.createRoom();
  world.answers.push({ room, prompt: '$none', token: 'never' });
  const waiting = world.answered();
  // From outside, as an out-of-memory killer would: the harness did not ask for it.
  process.kill(world.platforms[0]!.pid, 'SIGKILL');
  await expect(waiting).rejects.toThrow('platform-0 ended by itself (SIGKILL)');
  expect(await world.problems()).toContain('platform-0 ended by itself');
});
