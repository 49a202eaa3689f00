import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { fieldSoon, sameHeads } from '../world/inside.js';
import type { Proxy, Seen } from '../world/proxy.js';
import { everyRoomIsJudged } from '../world/watch.js';

/**
 * Holds each replica's request of a kind back until all of them have made theirs, so that all of them act without
 * knowing of the others. Resolves when they go on together.
 */
function together(proxies: Proxy[], which: (seen: Seen) => boolean): Promise<void> {
  let goOn: () => void;
  const all = new Promise<void>((resolve) => (goOn = resolve));
  const waiting = new Set<Proxy>();
  for (const proxy of proxies) {
    proxy.rule((seen) => {
      if (!which(seen)) return undefined;
      waiting.add(proxy);
      if (waiting.size === proxies.length) goOn();
      return { kind: 'hold', until: all };
    });
  }
  return all;
}

const cutOff = (world: Cluster) => world.replicas.forEach((replica) => replica.cutOff());
const rejoin = (world: Cluster) => world.replicas.forEach((replica) => replica.rejoin());

/** The number in "Made C3 “…”". */
const numberIn = (answer: string): number => Number(/Made C(\d+)/.exec(answer)?.[1]);

test('two replicas cut off from each other meet an unmapped room at once: one context, and later messages go there', async () => {
  const world = await cluster({ replicas: 2, gates: true, platformProxies: true });
  const room = await world.room();
  await world.answered();
  await sameHeads(world);
  cutOff(world);
  const platforms = world.replicas.map(({ platformProxy }) => platformProxy);
  const met = together(platforms, ({ method, path }) => method === 'POST' && path === '/v1/chats');
  // And each has bound the room before any answer shows the other that it need not.
  const bound = together(platforms, ({ method, path }) => method === 'POST' && path.endsWith('/messages'));
  await world.ask(room, undefined, { text: (token) => `echo #1: say ${token}` });
  await met;
  await bound;
  await world.answered();
  await world.ask(room, undefined, { text: (token) => `echo #2: say ${token}` });
  await world.answered();
  const chats = () =>
    Promise.all(
      world.replicas.map((replica) => fieldSoon(world, replica, `matrix_room:${room}`, 'platform_chat_id')),
    );
  const [one, other] = await chats();
  expect(one).toEqual(expect.any(String));
  expect(other).toBe(one);
  rejoin(world);
  await sameHeads(world);
  await world.ask(room, undefined, { text: (token) => `echo #3: say ${token}` });
  await world.answered();
  expect(await chats()).toEqual([one, one]);
  await world.watch('an unmapped room met twice');
});

test('!new carried out by two replicas at once makes one room, and no orphan stays', async () => {
  const world = await cluster({ replicas: 2, gates: true, proxies: true });
  const room = await world.room();
  await world.answered();
  await sameHeads(world);
  const before = await world.bot.joinedRooms();
  cutOff(world);
  const met = together(
    world.replicas.map(({ proxy }) => proxy),
    ({ method, path }) => method === 'POST' && path.endsWith('/createRoom'),
  );
  const made = await world.command(room, '!new Garden', 'Made C2 “Garden”');
  await met;
  await world.answered();
  rejoin(world);
  await sameHeads(world);
  const added = await world.alice.eventually('one more room', async () => {
    const rooms = (await world.bot.joinedRooms()).filter((joined) => !before.includes(joined));
    return rooms.length === 1 && rooms;
  });
  expect(await world.answerTo(made)).toContain(encodeURIComponent(added[0]!));
  await world.alice.join(added[0]!);
  await world.ask(added[0]!, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  await world.watch('one !new carried out twice');
});

test('!new in two rooms of one person at once: two rooms with two numbers, also by replicas that are cut off', async () => {
  const world = await cluster({ replicas: 2, gates: true });
  const [one, two] = [await world.room(), await world.room()];
  await world.answered();
  const before = await world.bot.joinedRooms();
  const twice = async () => {
    const made = await Promise.all([
      world.command(one, '!new', 'Made C'),
      world.command(two, '!new', 'Made C'),
    ]);
    await world.answered();
    return Promise.all(made.map((answer) => world.answerTo(answer).then(numberIn)));
  };
  const numbers = await twice();
  await sameHeads(world);
  cutOff(world);
  numbers.push(...(await twice()));
  rejoin(world);
  await sameHeads(world);
  expect(numbers.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5]);
  await world.alice.eventually('four rooms more', async () => {
    return (await world.bot.joinedRooms()).length === before.length + 4;
  });
  await world.watch('!new in two rooms at once');
});

everyRoomIsJudged();
