import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { answeredBy, drill, heads, sameHeads, struckMidRun } from '../world/inside.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('relay killed: replicas go on answering once each; relay back: the same heads everywhere', async () => {
  const world = await cluster({ replicas: 2 });
  const rooms = [await world.room(), await world.room(), await world.room()];
  const askEverywhere = () => Promise.all(rooms.map((room) => world.ask(room)));
  await askEverywhere();
  await world.answered();
  const [relay] = world.relays;
  await relay!.kill();
  await askEverywhere();
  await world.answered();
  await askEverywhere();
  await world.answered();
  // Each marked on its own what it had settled or seen settled; nothing but the relay brings that together.
  const apart = await Promise.all(world.replicas.map(heads));
  expect(new Set(apart).size).toBe(2);
  await relay!.start();
  await sameHeads(world);
  await askEverywhere();
  await world.answered();
  await sameHeads(world);
  await world.watch('relay killed and back');
});

test('O1, O3: an owner that beats and cannot reach the homeserver is worked around, also in the middle of a run', async () => {
  const world = await cluster({ replicas: 2, proxies: true, agents: drill });
  const room = await world.room();
  await world.answered();
  let mend = () => {};
  const struck = await struckMidRun(world, room, {
    strike: (replica) => Promise.resolve((mend = replica.proxy.all({ kind: 'cut' }))),
    mend: (replica) => {
      mend();
      return replica.ready();
    },
  });
  const { owner, asked: during, invocations: before } = struck;
  const other = world.replicas.find((replica) => replica !== owner)!;
  await world.answered();
  const after = await world.ask(room);
  await world.answered();
  expect(await answeredBy(world, during)).toBe(other.name);
  expect(await answeredBy(world, after)).toBe(other.name);
  // Its heartbeat goes on all the time; one look may fall into a moment in which the machine stood still.
  expect(owner.isRunning).toBe(true);
  await expect.poll(() => other.metric('understudy_peers_alive'), { timeout: 60_000 }).toBe(1);
  expect(await world.invocations()).toBe(before + 2);
  mend();
  await owner.ready();
  await world.ask(room);
  await world.answered();
  await world.watch('owner without a homeserver');
});

everyRoomIsJudged();
