import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { sameHeads } from '../world/inside.js';
import { v3 } from '../world/matrix-http.js';
import type { Person } from '../world/person.js';
import { everyRoomIsJudged } from '../world/watch.js';

const contentOf = async (reader: Person, room: string, type: string, key = '') =>
  (await reader.state(room)).find((event) => event.type === type && event.state_key === key)?.content;

/** alice enters what she was invited to. */
async function enters(world: Cluster): Promise<{ space: string[]; chats: string[] }> {
  const found = { space: [] as string[], chats: [] as string[] };
  for (const room of await world.alice.invitations()) {
    await world.alice.join(room);
    const create = await contentOf(world.alice, room, 'm.room.create');
    (create?.['type'] === 'm.space' ? found.space : found.chats).push(room);
  }
  return found;
}

async function told(world: Cluster, room: string, command: string, token: string): Promise<void> {
  await sameHeads(world);
  await world.command(room, command, token);
  await world.answered();
}

/** The chats in a space, in its order. */
async function childrenOf(world: Cluster, space: string): Promise<string[]> {
  return (await world.alice.state(space))
    .filter(({ type, content }) => type === 'm.space.child' && content['via'] !== undefined)
    .toSorted((a, b) => (String(a.content['order']) < String(b.content['order']) ? -1 : 1))
    .map(({ state_key }) => state_key ?? '');
}

async function upgrades(by: Person, room: string): Promise<string> {
  const version = (await contentOf(by, room, 'm.room.create'))?.['room_version'];
  const body = { new_version: String(version) };
  const { replacement_room: next } = await by.call<{ replacement_room: string }>(
    'POST',
    v3('rooms', room, 'upgrade'),
    { body, deadlineMs: 60_000 },
  );
  return next;
}

test('a space that the bot left and forgot, left, or that was upgraded: all chats are in the next one, numbers go on', async () => {
  const world = await cluster({ replicas: 2 });
  const { alice, bot } = world;
  await world.room();
  await world.answered();
  const { space, chats } = await enters(world);
  const [first, c1] = [space[0]!, chats[0]!];
  await told(world, c1, '!new Two', 'Made C2 “Two”');
  const [c2] = (await enters(world)).chats;

  await bot.leave(first);
  await bot.call('POST', v3('rooms', first, 'forget'), { body: {} });
  await told(world, c1, '!new Three', 'Made C3 “Three”');
  const left = await enters(world);
  const [second, c3] = [left.space[0]!, left.chats[0]!];
  expect(await childrenOf(world, second)).toEqual([c1, c2, c3]);

  await bot.leave(second);
  // A prompt is enough.
  await world.ask(c2!, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  const third = await alice.eventually('another space', async () => (await enters(world)).space[0]);
  await alice.eventually('all chats in it', async () => (await childrenOf(world, third)).length === 3);
  expect(await childrenOf(world, third)).toEqual([c1, c2, c3]);

  const fourth = await upgrades(bot, third);
  await told(world, c1, '!new Four', 'Made C4 “Four”');
  const followed = await enters(world);
  expect(followed.space).toEqual([fourth]);
  expect(await childrenOf(world, fourth)).toEqual([c1, c2, c3, followed.chats[0]]);
  await world.watch('spaces that were lost');
});

test('a room that alice upgrades goes on with its context where the bot is invited again', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.answered();
  await world.ask(room, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  const next = await upgrades(world.alice, room);
  world.messages.push({ room: next, text: /^Hello! Your chat/ });
  await world.alice.invite(next, world.bot.userId);
  await world.alice.eventually('the bot in the new room', async () =>
    (await world.alice.members(next)).includes(world.bot.userId),
  );
  await world.ask(next, undefined, { text: (token) => `echo #2: say ${token}` });
  await world.answered();
  await world.watch('an upgraded room');
});

everyRoomIsJudged();
