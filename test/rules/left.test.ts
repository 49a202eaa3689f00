import { expect, test } from 'vitest';
import { answerTo, met, quiet, told } from '../surface/setting.js';
import { setting } from './setting.js';

test('C1-kicked: what waits in a room that the bot was taken out of is over, runs too, and other rooms go on', async () => {
  const { world, alice, room } = await setting((made) => {
    made.settings.placeholderAfterMs = 1000;
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text: `re: ${text}`, takesMs: text === 'long' ? 60_000 : 5 });
  });
  const context = world.replica(0).bot.records.room(room)?.platform_chat_id;
  await alice.says(room, 'long');
  await alice.says(room, 'behind it');
  await world.until(() => world.seen(room).length === 1);
  await alice.client.setState(room, 'm.room.member', world.bot, { membership: 'leave' });
  await quiet(world);
  expect(world.clock.monotonic()).toBeLessThan(40_000);
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.platform.invocations).toHaveLength(1);
  expect(world.happened.filter(({ event }) => event === 'settled').map(({ outcome }) => outcome)).toContain(
    'forbidden',
  );
  // Nothing is tried over and over.
  const { length } = world.server.requests;
  await world.clock.advance(30_000);
  expect(world.server.requests.slice(length).filter(({ call }) => call === 'send')).toEqual([]);

  await alice.client.invite(room, world.bot);
  await quiet(world, () => world.server.room(room).membership(world.bot) === 'join');
  const prompt = await alice.says(room, 'back');
  await quiet(world, () => answerTo(world, room, prompt) === 're: back');
  expect(world.platform.invocations.at(-1)?.chat).toBe(context);
  expect(world.actorProblems()).toEqual([]);
});

test('R2-left: a chat that the bot was taken out of is not listed as open, and the way in leads to another', async () => {
  const { world, alice, chat, dm } = await met();
  await told(world, alice, chat, '!new Two', 'Made C2');
  const [two = ''] = await alice.acceptsAll();
  await world.server.connect('bot', 'ELSEWHERE').leave(chat);
  await quiet(world);
  const list = await told(world, alice, two, '!chats', 'C2 “Two”');
  expect(list).toContain('I was taken out of: C1 “Chat”');
  expect(list).not.toContain(encodeURIComponent(chat));
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await quiet(world, () => world.seen(other).length === 1);
  expect(world.seen(other)[0]?.body).toContain(encodeURIComponent(two));
  await told(world, alice, dm, 'hello', 'echo: hello');
});

test('R2-returned: a person who left a chat breaks nothing, and is let in again when they ask', async () => {
  const { world, alice, chat, space } = await met();
  await told(world, alice, chat, 'one', 'echo: one');
  await alice.says(chat, 'two');
  await alice.client.leave(chat);
  await alice.client.leave(space);
  await quiet(world);
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await quiet(world, () => world.seen(other).length === 1);
  expect((await alice.acceptsAll()).sort()).toEqual([chat, space].sort());
  await told(world, alice, chat, 'three', 'echo: three');
  const contexts = world.platform.invocations.map((run) => run.chat);
  expect(new Set(contexts).size).toBe(1);
});
