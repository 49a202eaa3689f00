import { expect, test } from 'vitest';
import { of } from './setting.js';
import { seed } from '../simulation/state.js';
import { World } from '../simulation/world.js';
import { answerTo, childOf, met, nameOf, quiet, told } from '../surface/setting.js';

const isNaming = (type: string | undefined) => type === 'm.room.name';

/** The name of `!rename One` is on its way from a replica that is dead, and `!rename Two` is done by the other. */
async function lateName() {
  const setting = await met();
  const { world, alice, chat, first } = setting;
  const naming = of(first, 'setState');
  const late = world.server.hold((request) => naming(request) && isNaming(request.type), 'before');
  await world.asks(alice, chat, '!rename One', { token: '“One”' });
  await world.until(() => late.used);
  first.kill();
  await quiet(world);
  await told(world, alice, chat, '!rename Two', '“Two”');
  await world.clock.advance(60_000);
  expect(nameOf(world, chat)).toBe('Two');
  return { ...setting, late };
}

test('P3-behind: a name that lands late, from an earlier write than the record’s, is written again', async () => {
  const { world, chat, late } = await lateName();
  late.release();
  await world.until(() => nameOf(world, chat) === 'One');
  await world.until(() => nameOf(world, chat) === 'Two');
  expect(world.verdict()).toBe('');
});

test('P3-owed: what is behind stands in the journal until it was written again', async () => {
  const { world, chat, late, second } = await lateName();
  // A first start with the chat's record writes to it how the room is answered: a change that is looked at too.
  second.kill();
  world.restart(second);
  await world.until(() => second.life.started === 'started');
  await world.clock.advance(60_000);
  const again = world.server.hold((request) => of(second, 'roomState')(request), 'before');
  late.release();
  await world.until(() => again.used);
  second.kill();
  await world.clock.advance(1000);
  expect(nameOf(world, chat)).toBe('One');
  world.restart(second);
  await world.until(() => nameOf(world, chat) === 'Two');
  expect(world.verdict()).toBe('');
});

test('P3-merged: a name that was in order by what a replica knew is behind once the newer record comes', async () => {
  const { world, chat, late, first, second } = await lateName();
  world.hub.down();
  world.linked = false;
  second.kill();
  second.wipe();
  world.restart(first);
  await world.until(() => first.life.started === 'started');
  late.release();
  await world.clock.advance(60_000);
  expect(nameOf(world, chat)).toBe('One');
  world.linked = true;
  world.healRelay();
  await world.until(() => nameOf(world, chat) === 'Two');
  expect(world.verdict()).toBe('');
});

test('P3-fresh: who stood still in a !rename does not write it over a later one', async () => {
  const { world, alice, chat, first, second } = await met((made) => {
    for (const { disk } of made.replicas) disk.writeMs = 100;
  });
  const changes = first.life.state.changes.length;
  await world.asks(alice, chat, '!rename One', { token: '“One”' });
  // Its attempt is being written; nothing else of the command is.
  await world.until(() => first.life.state.changes.length > changes);
  first.freeze();
  await world.until(() => nameOf(world, chat) === 'One');
  const later = await world.asks(alice, chat, '!rename Two', { token: '“Two”' });
  await world.until(() => answerTo(world, chat, later) !== '');
  first.thaw();
  await quiet(world);
  await world.clock.advance(30_000);
  expect(nameOf(world, chat)).toBe('Two');
  for (const { bot } of [first, second]) expect(bot.records.room(chat)?.display_name).toBe('Two');
  expect(world.verdict()).toBe('');
});

test('P3-archive: an archived chat stays archived when every record is lost', async () => {
  const { world, alice, chat, dm, space } = await met();
  await told(world, alice, chat, '!archive', 'C1 is archived.');
  await world.losesEverything();
  await told(world, alice, dm, '!new', 'Made C2');
  await told(world, alice, chat, 'are you there?', 'This chat is archived.');
  await world.clock.advance(30_000);
  expect(childOf(world, space, chat)).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('P3-branch: a branch holds what was said before the command, also when it is carried out late', async () => {
  const world = new World(1);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  await world.clock.advance(1000);
  const earlier = world.clock.now();
  await world.clock.advance(1000);
  const command = await world.asks(alice, room, '!branch', { token: 'Branched into C2' });
  await world.clock.advance(1000);
  await world.startAll();
  await world.asks(alice, room, 'later');
  await quiet(world, () => world.seen(room).length === 1);
  // Genesis falls by a merge, and with it the command is to be answered (PROTOCOL C5).
  seed(world.relayDisk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts: earlier } }, earlier);
  world.exchangeAll();
  await quiet(world, () => answerTo(world, room, command) !== '');
  expect(world.platform.chats.find(({ id }) => id === `chat-of-${room}`)?.turns).toHaveLength(1);
  expect(world.platform.chats.at(-1)?.turns).toEqual([]);
});

test('P3-branched: a room that !branch made is finished as a branch, by whoever first needs it', async () => {
  const { world, alice, chat, first, second } = await met();
  await told(world, alice, chat, 'hello', 'echo: hello');
  world.linked = false;
  await told(world, alice, chat, '!branch Twig', 'Branched into C2 “Twig”');
  first.kill();
  first.wipe();
  const contexts = world.platform.chats.length;
  const [room = ''] = await alice.acceptsAll();
  await told(world, alice, room, 'and now', 'echo: and now');
  expect(world.platform.chats).toHaveLength(contexts);
  expect(world.platform.chats.at(-1)?.turns?.map(({ text }) => text)).toEqual(['hello', 'and now']);
  expect(second.bot.records.room(room)).toMatchObject({ chat_id: 'C2', display_name: 'Twig' });
  expect(world.verdict()).toBe('');
});
