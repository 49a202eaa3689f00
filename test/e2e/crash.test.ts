import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { fieldSoon } from '../world/inside.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('C2: a prompt that crashes every process that touches it ends as one error notice', async () => {
  const world = await cluster({ replicas: 2, platformProxies: true });
  const [deadly, beside] = [await world.room(), await world.room()];
  await world.ask(deadly);
  await world.answered();
  const chat = await fieldSoon(world, world.replica(0), `matrix_room:${deadly}`, 'platform_chat_id');
  expect(chat).toEqual(expect.any(String));

  // Whoever asks the agent for it dies on the spot, and is started again as a supervisor would.
  const restarts: Promise<void>[] = [];
  const mend = world.replicas.map((replica) =>
    replica.platformProxy.rule(({ method, path }) => {
      if (method !== 'POST' || !path.includes(`/chats/${chat as string}/messages`)) return undefined;
      // Not awaited until it is ready: it may die once more before anybody has seen it so.
      restarts.push(replica.kill().then(() => replica.launch()));
      return { kind: 'cut' };
    }),
  );
  await world.command(
    deadly,
    'the end of whoever reads this',
    'I could not answer this one: it failed 3 times',
  );
  // It holds up nobody else.
  await world.ask(beside);
  await world.answered(360_000);
  await Promise.all(restarts);
  await Promise.all(world.replicas.map((replica) => replica.ready()));
  // At most as often as attempts are allowed on each replica, which may not have heard of the other's last one.
  expect(restarts.length).toBeGreaterThanOrEqual(3);
  expect(restarts.length).toBeLessThanOrEqual(6);
  for (const undo of mend) undo();
  await world.ask(deadly);
  await world.answered();
  await world.watch('a prompt that crashes processes');
});

everyRoomIsJudged();
