import { expect, test } from 'vitest';
import type { OnboardingContext } from '../../src/bot/actors/onboarding.js';
import { onboardingKey } from '../../src/bot/actors/recorder.js';
import { readLedger } from '../../src/bot/surface/ledger.js';
import { killAfter } from '../simulation/boundaries.js';
import type { SimulatedPerson } from '../simulation/person.js';
import type { World } from '../simulation/world.js';
import { answerTo, childOf, type Met, met, quiet, told } from '../surface/setting.js';
import { of } from './setting.js';

/** Another process of the bot's account. */
const account = (world: World) => world.server.connect('bot', 'ELSEWHERE');

async function kicks(world: World, alice: SimulatedPerson, space: string): Promise<void> {
  const levels = { users: { [world.bot]: 100, [alice.mxid]: 101 }, events_default: 100, state_default: 100 };
  await account(world).setState(space, 'm.room.power_levels', '', levels);
  await alice.client.setState(space, 'm.room.member', world.bot, { membership: 'leave' });
}

async function forgets(world: World, space: string): Promise<void> {
  await account(world).leave(space);
  await account(world).forget(space);
}

const LOSSES = {
  'the bot left': ({ world, space }) => account(world).leave(space),
  'the bot left and forgot': ({ world, space }) => forgets(world, space),
  'the bot was taken out of': ({ world, alice, space }) => kicks(world, alice, space),
  'was deleted': ({ world, space }) => Promise.resolve(world.server.purge(space)),
} satisfies Record<string, (setting: Met) => Promise<void>>;

const spaceOf = ({ world, alice }: Pick<Met, 'world' | 'alice'>): string =>
  world.replicas.find(({ up }) => up)?.bot.records.user(alice.mxid)?.space_id ?? '';

/** The chats that a space shows, in its order. */
function childrenOf(world: World, space: string): string[] {
  const children = new Map<string, string>();
  for (const { type, state_key, content } of world.history(space)) {
    if (type !== 'm.space.child' || state_key === undefined) continue;
    if (content['via'] === undefined) children.delete(state_key);
    else children.set(state_key, String(content['order']));
  }
  return [...children].sort(([, a], [, b]) => (a < b ? -1 : 1)).map(([room]) => room);
}

/** alice enters what she was invited to; the one of them that is a room, not a space. */
async function entersChat({ world, alice }: Pick<Met, 'world' | 'alice'>): Promise<string> {
  const rooms = await alice.acceptsAll();
  const isSpace = (room: string) =>
    world.server.room(room).stateEvent('m.room.create', '')?.event.content['type'] === 'm.space';
  return rooms.find((room) => !isSpace(room)) ?? '';
}

test.each(Object.entries(LOSSES))(
  'P4-lost: a space that %s is made anew for a command, with every open chat',
  async (_, lose) => {
    const setting = await met();
    const { world, alice, chat, space } = setting;
    await told(world, alice, chat, '!new Two', 'Made C2 “Two”');
    const two = await entersChat(setting);
    await told(world, alice, chat, '!new Closed', 'Made C3');
    await told(world, alice, await entersChat(setting), '!archive', 'C3 is archived.');
    await lose(setting);
    await quiet(world);
    await told(world, alice, chat, '!new Four', 'Made C4 “Four”');
    const next = spaceOf(setting);
    expect(next).not.toBe(space);
    expect(alice.invites()).toHaveLength(2);
    expect(alice.invites()).toContain(next);
    const four = await entersChat(setting);
    expect(childrenOf(world, next)).toEqual([chat, two, four]);
    for (const { bot } of world.replicas) {
      expect(bot.records.user(alice.mxid)?.space_id).toBe(next);
      for (const room of [chat, two, four]) expect(bot.records.room(room)?.space_id).toBe(next);
    }
    await told(world, alice, four, 'hello', 'echo: hello');
    expect(spaceOf(setting)).toBe(next);
    expect(world.verdict()).toBe('');
  },
);

test('P4-second: a person’s way in knows the space that they have now', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  const known = () =>
    world.replicas.map(
      ({ life }) =>
        (life.state.actors.snapshot(onboardingKey(alice.mxid)).context as Partial<OnboardingContext>).space,
    );
  expect(known()).toEqual([space, space]);
  await forgets(world, space);
  await told(world, alice, chat, '!new', 'Made C2');
  const next = spaceOf(setting);
  expect([next === space, ...known()]).toEqual([false, next, next]);
});

test('P4-prompt: a prompt in one of its chats is enough for a lost space to be made anew', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  await told(world, alice, chat, 'one', 'echo: one');
  await kicks(world, alice, space);
  await quiet(world);
  await told(world, alice, chat, 'two', 'echo: two');
  await quiet(world, () => spaceOf(setting) !== space);
  await quiet(world, () => childOf(world, spaceOf(setting), chat) !== undefined);
  expect(alice.invites()).toEqual([spaceOf(setting)]);
  expect(world.verdict()).toBe('');
});

test('P4-archive: a chat can be closed whose space was lost', async () => {
  const setting = await met();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, '!new Two', 'Made C2');
  const two = await entersChat(setting);
  await forgets(world, setting.space);
  await told(world, alice, two, '!archive', 'C2 is archived.');
  expect(childrenOf(world, spaceOf(setting))).toEqual([chat]);
  expect(world.verdict()).toBe('');
});

test('P4-anew: two replicas apart that find a space lost make one, and number alike', async () => {
  const setting = await met();
  const { world, alice, chat, space, first, second } = setting;
  await forgets(world, space);
  await quiet(world);
  world.hub.down();
  world.linked = false;
  const create = world.server.hold(of(first, 'createRoom'), 'before');
  const answer = world.server.hold(of(second, 'send', /^anchor$/), 'before');
  await world.asks(alice, chat, '!new', { token: 'Made C2' });
  await world.until(() => answer.used);
  create.release();
  await world.clock.advance(500);
  answer.release();
  await quiet(world);
  world.linked = true;
  world.healRelay();
  await quiet(world);
  await entersChat(setting);
  expect(world.server.joinedRooms(alice.mxid).filter((room) => room !== space)).toHaveLength(4);
  expect(childrenOf(world, spaceOf(setting))).toHaveLength(2);
  expect(world.verdict()).toBe('');
});

test('P4-takeover: a space made anew, killed after each write and taken over, is one and whole', async () => {
  const setting = await met();
  const { world, alice, chat, first } = setting;
  await told(world, alice, chat, '!new Two', 'Made C2');
  const open = [chat, await entersChat(setting)];
  let kills = 0;
  for (;;) {
    const lost = spaceOf(setting);
    // Nobody has anything to look at any more.
    await world.clock.advance(30_000);
    await forgets(world, lost);
    const boundary = killAfter(world, first, kills + 1);
    const prompt = await world.asks(alice, chat, `!rename Name ${kills}`, { token: `“Name ${kills}”` });
    await quiet(world, () => answerTo(world, chat, prompt) !== '');
    boundary.lift();
    const next = () => spaceOf(setting);
    await quiet(world, () => next() !== lost && alice.invites().includes(next()));
    await quiet(world, () => open.every((room) => childOf(world, next(), room) !== undefined));
    expect(childrenOf(world, next())).toEqual(open);
    expect(alice.invites()).toEqual([next()]);
    await alice.acceptsAll();
    if (!boundary.killed()) break;
    kills += 1;
    world.restart(first);
    await world.until(() => first.up && first.life.started === 'started');
    await quiet(world);
  }
  // Room, two entries, records, two children, invite, and the command's own.
  expect(kills).toBeGreaterThanOrEqual(10);
  await told(world, alice, chat, '!new', 'Made C3');
  expect(world.verdict()).toBe('');
});

test('P4-counted: a number that only a lost ledger and a lost replica knew is not given again', async () => {
  const setting = await met();
  const { world, alice, chat, space, first, second } = setting;
  world.linked = false;
  second.kill();
  await told(world, alice, chat, '!new Two', 'Made C2');
  const two = await entersChat(setting);
  first.kill();
  first.wipe();
  await forgets(world, space);
  world.restart(second);
  await told(world, alice, chat, '!new', 'Made C3');
  // What stands in no ledger any more has a number again when it is used.
  await told(world, alice, two, 'hello', 'echo: hello');
  expect(second.bot.records.room(two)?.chat_id).toBe('C4');
  expect(world.verdict()).toBe('');
});

test('P4-carried: what stood in the ledger of a lost space stands in that of the next, also when every record is lost', async () => {
  const setting = await met();
  const { world, alice, chat, dm, space, second } = setting;
  await told(world, alice, chat, '!new Two', 'Made C2');
  const two = await entersChat(setting);
  await account(world).leave(space);
  await told(world, alice, chat, '!new Three', 'Made C3');
  await entersChat(setting);
  const next = spaceOf(setting);
  await world.losesEverything();
  await told(world, alice, two, 'hello', 'echo: hello');
  expect(second.bot.records.room(two)?.chat_id).toBe('C2');
  await told(world, alice, dm, '!new', 'Made C4');
  expect(spaceOf(setting)).toBe(next);
  expect(world.verdict()).toBe('');
});

/** As a homeserver does it; by the bot's account, or by a person whose room the bot may not enter. */
async function upgrades(world: World, space: string, by = account(world)): Promise<string> {
  const next = await by.createRoom({
    preset: 'private_chat',
    creation_content: { type: 'm.space', predecessor: { room_id: space, event_id: '$last' } },
    power_level_content_override: { users: { [by.user]: 100, [world.bot]: 100 }, invite: 100 },
  });
  const content = { body: 'This room has been replaced', replacement_room: next };
  await account(world).setState(space, 'm.room.tombstone', '', content);
  return next;
}

test('P4-heir: a space that was upgraded is followed, and its numbers go on', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  await told(world, alice, chat, '!new Two', 'Made C2');
  const two = await entersChat(setting);
  const next = await upgrades(world, space);
  await told(world, alice, chat, '!new Three', 'Made C3');
  const three = await entersChat(setting);
  expect(spaceOf(setting)).toBe(next);
  expect(childrenOf(world, next)).toEqual([chat, two, three]);
  expect(world.server.room(next).membership(alice.mxid)).toBe('join');
  expect(world.verdict()).toBe('');
});

test('P4-closed: a space whose replacement the bot may not enter is made anew', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  const next = await upgrades(world, space, alice.client);
  await told(world, alice, chat, '!new', 'Made C2');
  await entersChat(setting);
  expect([space, next]).not.toContain(spaceOf(setting));
  expect(childrenOf(world, spaceOf(setting))).toHaveLength(2);
});

test('P4-ends: what stands in a ledger after the tombstone of its space does not count', () => {
  const event = (type: string, content: Record<string, unknown>, state?: string) => ({
    event_id: `$${JSON.stringify(content)}`,
    type,
    sender: '@bot:x',
    origin_server_ts: 0,
    content,
    ...(state !== undefined && { state_key: state }),
  });
  const entry = (source: string, rest: object) => event('dev.understudy.ledger', { source, ...rest });
  const ledger = readLedger(
    [
      entry('s', { after: 4 }),
      entry('$a', { room: '!a' }),
      entry('$b', { room: '!b', number: 2 }),
      entry('s', { after: 3 }),
      entry('$c', { room: '!c', number: -1 }),
      event('m.room.tombstone', { replacement_room: '!n' }, ''),
      entry('$d', { room: '!d' }),
    ],
    '@bot:x',
  );
  expect(['$a', '$b', '$c', '$d'].map((source) => ledger.number(source))).toEqual([5, 2, 6, undefined]);
});

test('P3-out: a chat that was taken out of its space by hand is put back when it is used next; an archived one is not', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  await told(world, alice, chat, '!new Two', 'Made C2');
  const two = await entersChat(setting);
  for (const room of [chat, two]) await told(world, alice, room, 'one', 'echo: one');
  // What that use has looked at is looked at.
  await world.clock.advance(30_000);
  for (const room of [chat, two]) await account(world).setState(space, 'm.space.child', room, {});
  await told(world, alice, chat, '!chats', 'C2 “Two”');
  await quiet(world, () => childOf(world, space, chat) !== undefined);
  expect(childrenOf(world, space)).toEqual([chat]);
  await told(world, alice, two, '!archive', 'C2 is archived.');
  await told(world, alice, two, 'are you there?', 'This chat is archived.');
  await world.clock.advance(30_000);
  expect(childrenOf(world, space)).toEqual([chat]);
  expect(spaceOf(setting)).toBe(space);
  expect(world.verdict()).toBe('');
});
