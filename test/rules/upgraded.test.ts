import { expect, test } from 'vitest';
import type { SimulatedPerson } from '../simulation/person.js';
import { World } from '../simulation/world.js';
import { answerTo, childOf, met, nameOf, quiet, told } from '../surface/setting.js';
import { setting } from './setting.js';

/** As a homeserver does it: the new room names the old one, then the old one the new. */
async function upgrades(person: SimulatedPerson, old: string): Promise<string> {
  const room = await person.client.createRoom({
    preset: 'public_chat',
    creation_content: { predecessor: { room_id: old, event_id: '$last' } },
  });
  const content = { body: 'This room has been replaced', replacement_room: room };
  await person.client.setState(old, 'm.room.tombstone', '', content);
  return room;
}

test('R2-upgraded: the room that takes the place of another is joined and goes on with its context', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text: `re: ${text}` });
  });
  const context = first.bot.records.room(room)?.platform_chat_id;
  const next = await upgrades(alice, room);
  await world.until(() => world.server.room(next).membership(world.bot) === 'join');
  world.hub.down();
  world.linked = false;
  await world.asks(alice, next, 'on', { token: 're: on' });
  first.kill();
  await quiet(world);
  world.restart(first);
  world.linked = true;
  world.healRelay();
  await quiet(world, () => first.up && first.life.started === 'started');
  expect(world.platform.invocations.map(({ chat }) => chat)).toEqual([context]);
  expect(first.bot.records.room(next)).toMatchObject({
    platform_chat_id: context,
    matrix_user_id: alice.mxid,
  });
  expect(world.verdict()).toBe('');
});

test('R2-number: a chat that was upgraded keeps its number and name, and its place in the space', async () => {
  const { world, alice, chat, space } = await met();
  await told(world, alice, chat, '!rename Garden', '“Garden”');
  await told(world, alice, chat, 'one', 'echo: one');
  const levels = { users: { [world.bot]: 100, [alice.mxid]: 100 } };
  await world.server.connect('bot', 'ELSEWHERE').setState(chat, 'm.room.power_levels', '', levels);
  const next = await upgrades(alice, chat);
  await quiet(world, () => world.server.room(next).membership(world.bot) === 'join');
  const list = await told(world, alice, next, '!chats', 'C1 “Garden”');
  expect(list).toContain(encodeURIComponent(next));
  expect(list).not.toContain(encodeURIComponent(chat));
  const isMoved = () =>
    childOf(world, space, next) !== undefined && childOf(world, space, chat) === undefined;
  await quiet(world, isMoved);
  await told(world, alice, next, 'two', 'echo: two');
  expect(new Set(world.platform.invocations.map((run) => run.chat)).size).toBe(1);
  expect(nameOf(world, chat)).toBe('Garden');
});

test('R2-claimed: a room that names another as its predecessor, which does not name it, gets a context of its own', async () => {
  const { world, alice, room, first } = await setting();
  const bob = world.person('bob');
  const claims = await bob.client.createRoom({
    preset: 'public_chat',
    invite: [world.bot],
    creation_content: { predecessor: { room_id: room, event_id: '$last' } },
  });
  await quiet(world, () => world.server.room(claims).membership(world.bot) === 'join');
  const prompt = await bob.says(claims, 'what did she say?');
  await quiet(world, () => answerTo(world, claims, prompt) !== '');
  const context = first.bot.records.room(room)?.platform_chat_id;
  expect(world.platform.invocations.at(-1)?.chat).not.toBe(context);
  expect(first.bot.records.room(claims)?.matrix_user_id).toBe(bob.mxid);
  // Nor does a tombstone make the bot leave what it is in.
  await alice.client.setState(room, 'm.room.tombstone', '', { body: '', replacement_room: claims });
  await quiet(world);
  expect(world.server.room(claims).membership(world.bot)).toBe('join');
});

/** A room of carol, who is of another server, is replaced by one that only her server is in. */
async function movesAway(prepare: (world: World) => void = () => {}) {
  const world = new World(2);
  const carol = world.person('carol:other.test');
  const room = await world.plainRoom(carol);
  prepare(world);
  await world.startAll();
  const next = await carol.client.createRoom({
    preset: 'public_chat',
    creation_content: { predecessor: { room_id: room, event_id: '$last' } },
  });
  world.server.elsewhere.set(next, 'other.test');
  const content = { body: 'This room has been replaced', replacement_room: next };
  await carol.client.setState(room, 'm.room.tombstone', '', content);
  return { world, carol, next };
}

test('R2-via: a replacement that our server is not in is joined through that of who named it, also after a kill', async () => {
  const { world, carol, next } = await movesAway((made) => {
    made.server.refuse(({ call }) => call === 'join', 502, 4);
  });
  const joins = () => world.requests(({ call, room }) => call === 'join' && room === next).length;
  await world.until(() => joins() > 0);
  for (const replica of world.replicas) replica.kill();
  for (const replica of world.replicas) world.restart(replica);
  await quiet(world, () => world.server.room(next).membership(world.bot) === 'join');
  await told(world, carol, next, 'hello', 'echo: hello');
});

test('R2-pause: a server that is down is asked ever more rarely', async () => {
  const { world, next } = await movesAway((made) => {
    made.server.refuse(({ call }) => call === 'join', 502, Infinity);
  });
  await world.clock.advance(600_000);
  const asked = world.requests(({ call, room }) => call === 'join' && room === next).length;
  expect(asked).toBeGreaterThan(4);
  expect(asked).toBeLessThan(40);
});
