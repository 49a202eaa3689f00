import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { answeredBy, atWork, drill, heads, invoked, sameHeads } from '../world/inside.js';
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
  const before = await world.invocations();
  const during = await world.ask(room, (token) => `wait 3 ${token}`);
  await invoked(world, before + 1);
  const owner = await atWork(world);
  const other = world.replicas.find((replica) => replica !== owner)!;
  const mend = owner.proxy.all({ kind: 'cut' });
  await world.answered();
  const after = await world.ask(room);
  await world.answered();
  expect(await answeredBy(world, during)).toBe(other.name);
  expect(await answeredBy(world, after)).toBe(other.name);
  // Its heartbeat went on all the time.
  expect(owner.isRunning).toBe(true);
  expect(await other.metric('understudy_peers_alive')).toBe(1);
  expect(await world.invocations()).toBe(before + 2);
  mend();
  await owner.ready();
  await world.ask(room);
  await world.answered();
  await world.watch('owner without a homeserver');
});

everyRoomIsJudged();
