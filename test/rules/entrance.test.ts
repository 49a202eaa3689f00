import { expect, test } from 'vitest';
import type { RoomEvent } from '../../src/matrix/homeserver.js';
import { outsideOf } from '../../src/bot/entrance.js';
import { endOfReading } from '../../src/bot/reading-back.js';
import { World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { setting } from './setting.js';

const asked = (world: World): string[] => world.platform.invocations.map(({ text }) => text);

/** Out of the room, and what was said there meanwhile. */
async function taken(limit = 100) {
  const made = await setting();
  const { world, alice, room } = made;
  world.server.timelineLimit = limit;
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.acceptsAll();
  await world.asks(alice, room, 'before');
  await world.settleAll();
  await alice.client.setState(room, 'm.room.member', world.bot, { membership: 'leave' });
  await world.clock.advance(100);
  await bob.says(room, 'behind its back');
  await alice.says(room, '!agent agent-2');
  return { ...made, bob };
}

test.each([100, 4])(
  'C5-since: what was said while the bot was out is not for it, what was said since the invite is (limit %s)',
  async (limit) => {
    const { world, alice, bob, room } = await taken(limit);
    world.server.refuse(({ call }) => call === 'join', 502, 2);
    await alice.client.invite(room, world.bot);
    await world.asks(bob, room, 'since the invite');
    for (let n = 0; n < 6; n++) await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` });
    await quiet(world, () => world.server.room(room).membership(world.bot) === 'join');
    await world.asks(alice, room, 'in');
    await world.settleAll();
    expect(asked(world)).toEqual(['before', 'since the invite', 'in']);
    world.messages.push({ room, text: /^Hello! Your chat/ });
    expect(world.verdict()).toBe('');
  },
);

test('C5-invite: a replica that was away meanwhile judges the same, and of what came before the bot left nothing is lost', async () => {
  const { world, alice, room, first, second } = await setting();
  for (const replica of [first, second]) replica.kill();
  await world.asks(alice, room, 'before');
  await alice.client.setState(room, 'm.room.member', world.bot, { membership: 'leave' });
  await alice.says(room, 'behind its back');
  await alice.client.invite(room, world.bot);
  await world.asks(alice, room, 'since the invite');
  await world.server.connect('bot', 'ELSEWHERE').join(room);
  await world.asks(alice, room, 'in');
  for (const replica of [first, second]) world.restart(replica);
  await world.settleAll();
  expect(new Set(asked(world))).toEqual(new Set(['before', 'since the invite', 'in']));
  world.messages.push({ room, text: /^Hello! Your chat/ });
  expect(world.verdict()).toBe('');
});

test('C5-invite: a replica with an empty folder reads back to the invite and no further', async () => {
  const world = new World(1);
  await world.startAll();
  const only = world.replica(0);
  only.kill();
  only.wipe();
  world.found(only);
  const alice = world.person('alice');
  const room = await alice.client.createRoom({ preset: 'private_chat' });
  await alice.says(room, 'to nobody');
  await alice.client.invite(room, world.bot);
  await alice.says(room, 'since the invite');
  const bot = world.server.connect('bot', 'ELSEWHERE');
  await bot.join(room);
  // A change of profile is no way in.
  await bot.setState(room, 'm.room.member', world.bot, { membership: 'join', displayname: 'Bot' });
  for (let n = 0; n < 20; n++) await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` });
  world.server.timelineLimit = 5;
  world.restart(only);
  await quiet(world, () => asked(world).length > 0);
  expect(asked(world)).toEqual(['since the invite']);
});

test('C5-invite: files of before the invite go with no prompt', async () => {
  const { world, alice, room } = await taken();
  const file = { msgtype: 'm.image', body: 'a.png', info: { mimetype: 'image/png' } };
  await alice.sends(room, { ...file, url: world.server.upload('before') });
  world.server.refuse(({ call }) => call === 'join', 502, 2);
  await alice.client.invite(room, world.bot);
  await alice.sends(room, { ...file, url: world.server.upload('since') });
  await quiet(world, () => world.server.room(room).membership(world.bot) === 'join');
  await alice.says(room, 'look');
  await quiet(world, () => asked(world).includes('look'));
  const run = world.platform.invocations.at(-1);
  expect(run?.files).toEqual(['a.png: since']);
});

test.each([
  ['', 100],
  [', however much that is', 4],
])(
  'C5-successor: what is said in the room that takes another’s place before the bot is in is said to it%s',
  async (_, limit) => {
    const { world, alice, room } = await setting();
    world.server.timelineLimit = limit;
    world.server.refuse(({ call }) => call === 'join', 502, 2);
    const next = await alice.client.createRoom({
      preset: 'public_chat',
      creation_content: { predecessor: { room_id: room, event_id: '$last' } },
    });
    const content = { body: 'This room has been replaced', replacement_room: next };
    await alice.client.setState(room, 'm.room.tombstone', '', content);
    for (let n = 0; n < 6; n++) await alice.sends(next, { msgtype: 'm.notice', body: `notice ${n}` });
    const prompt = await world.asks(alice, next, 'are you there?');
    await quiet(world, () => answerTo(world, next, prompt) !== '');
    expect(world.verdict()).toBe('');
  },
);

const SELF = '@bot:sim.test';
let made = 0;
const own = (membership: string, before?: string, invite?: string): RoomEvent => ({
  event_id: `$${membership}${++made}`,
  type: 'm.room.member',
  state_key: SELF,
  sender: SELF,
  origin_server_ts: 0,
  content: { membership },
  unsigned: {
    ...(before !== undefined && { prev_content: { membership: before } }),
    ...(invite !== undefined && { replaces_state: invite }),
  },
});
const said = (name: string): RoomEvent => ({
  event_id: name,
  type: 'm.room.message',
  sender: '@alice:sim.test',
  origin_server_ts: 0,
  content: {},
});

test('C5-invite: an invite that was declined, a ban and a join without an invite in sight', () => {
  const [declined, invite] = [own('invite'), own('invite', 'leave')];
  const outside = (events: RoomEvent[]) =>
    [...outsideOf(events, SELF, false)].filter((id) => /^[a-z]/.test(id));
  const history = [
    said('a'),
    declined,
    said('b'),
    own('leave', 'invite', declined.event_id),
    said('c'),
    invite,
    said('d'),
    own('join', 'invite', invite.event_id),
    said('e'),
    own('join', 'join', '$before'),
    said('f'),
    own('ban', 'join', '$before'),
    said('g'),
    own('leave', 'ban', '$before'),
    said('h'),
    own('join', 'leave', '$before'),
    said('i'),
  ];
  expect(outside(history)).toEqual(['a', 'b', 'c', 'g', 'h']);
  expect(outside([said('a'), own('join', 'invite', '$elsewhere'), said('b')])).toEqual(['a']);
  expect(outside([said('a'), own('leave', 'join', '$before'), said('b')])).toEqual([]);
});

test('C5-end: a reading back ends at the invite by which we came in, else at the join, and at neither of a successor’s', () => {
  const invite = { ...own('invite', 'leave'), sender: '@alice:sim.test' };
  const join = own('join', 'invite', invite.event_id);
  const read = (history: RoomEvent[], goesOn = false): string[] => {
    const isEnd = endOfReading(SELF, 0, { goesOn });
    const end = history.toReversed().findIndex((event) => isEnd(event));
    return (end === -1 ? history : history.slice(-end - 1)).map(({ event_id }) => event_id);
  };
  const ids = (...events: RoomEvent[]) => events.map(({ event_id }) => event_id);
  const [a, b, c] = [said('a'), said('b'), said('c')];
  expect(read([a, invite, b, join, c])).toEqual(ids(invite, b, join, c));
  const alone = own('join');
  expect(read([a, b, alone, c])).toEqual(ids(alone, c));
  expect(read([a, b, alone, c], true)).toEqual(ids(a, b, alone, c));
});
