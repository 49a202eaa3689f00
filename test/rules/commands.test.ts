import { expect, test } from 'vitest';
import { readLedger } from '../../src/bot/surface/ledger.js';
import { PATIENCE, World } from '../simulation/world.js';
import { of, setting } from './setting.js';

const GREETING = /^Hello! This room/;
const LINE = /^Hello! Your chat/;

/** Two replicas; alice has not met the bot. */
async function strangers(prepare: (world: World) => void = () => {}) {
  const world = new World(2);
  prepare(world);
  await world.startAll();
  return { world, alice: world.person('alice') };
}

/** alice has her space and C1, and there is the owner of her shard and the other. */
async function newcomer() {
  const { world, alice } = await strangers();
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  await alice.acceptsAll();
  world.messages.push({ room: dm, text: LINE });
  const [first, second] = world.ranks(dm, alice);
  if (!first || !second) throw new Error('two replicas are needed');
  return { world, alice, dm, first, second };
}

test('P1: whoever takes a prompt over joins the run in progress', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs: 3000 });
  });
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.until(() => world.platform.invocations.length === 1);
  first.kill();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('P1-rooms: a room gets one context, whoever asks for it', async () => {
  const { world, alice, dm, first } = await newcomer();
  const before = world.platform.chats.length;
  world.hub.down();
  world.linked = false;
  const send = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, dm, 'hello');
  await world.until(() => world.seen(dm).length === 2);
  send.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.chats).toHaveLength(before + 1);
});

test('P3-ledger: of two rooms made for one command the ledger picks one, and the other is left', async () => {
  const { world, alice, dm, first, second } = await newcomer();
  world.hub.down();
  const create = world.server.hold(of(first, 'createRoom'), 'before');
  const answer = world.server.hold(of(second, 'send', /^anchor$/), 'before');
  await world.asks(alice, dm, '!new', { token: 'Made C2' });
  await world.until(() => answer.used);
  create.release();
  await world.clock.advance(500);
  answer.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.requests(({ call, user }) => call === 'createRoom' && user === world.bot).length).toBe(4);
  const [invited] = alice.invites();
  const shown = world.seen(dm).at(-1)?.body ?? '';
  expect(shown).toContain(encodeURIComponent(invited ?? 'none'));
  expect(alice.invites()).toHaveLength(1);
});

test('P3-adopt: a room that was made in vain by a replica that died is left', async () => {
  const { world, alice, dm, first } = await newcomer();
  const create = world.server.hold(of(first, 'createRoom'), 'before');
  await world.asks(alice, dm, '!new', { token: 'Made C2' });
  await world.until(() => create.used);
  first.kill();
  await world.settleAll();
  create.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('P3-finish: a room that won is finished by its source’s own steps, by whoever first needs it', async () => {
  const { world, alice, dm, first } = await newcomer();
  world.linked = false;
  await world.asks(alice, dm, '!new Plans', { token: 'Made C2' });
  await world.until(() => world.seen(dm).length === 2);
  first.kill();
  first.wipe();
  const contexts = world.platform.chats.length;
  const [room = ''] = await alice.acceptsAll();
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.chats).toHaveLength(contexts);
  const [second] = world.replicas.filter(({ up }) => up);
  expect(second?.bot.records.room(room)).toMatchObject({ chat_id: 'C2', display_name: 'Plans' });
});

test('P3-numbers: two !new at once, apart, have two numbers', async () => {
  const { world, alice, dm, first, second } = await newcomer();
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  world.messages.push({ room: other, text: LINE });
  await world.settleAll();
  world.hub.down();
  world.linked = false;
  const slow = [first, second].map((replica) =>
    world.server.hold(
      (request) => of(replica, 'send')(request) && request.type === 'dev.understudy.ledger',
      'before',
    ),
  );
  await world.asks(alice, dm, '!new', { token: 'Made C' });
  await world.asks(alice, other, '!new', { token: 'Made C' });
  await world.clock.advance(3 * PATIENCE);
  for (const hold of slow) hold.release();
  await world.settleAll();
  world.linked = true;
  world.healRelay();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  const numbers = [dm, other].map((room) => /Made (C\d)/.exec(world.seen(room).at(-1)?.body ?? '')?.[1]);
  expect(new Set(numbers)).toEqual(new Set(['C2', 'C3']));
});

test('P3-own: only ledger entries of our own user count', () => {
  const entry = (sender: string, room: string) => ({
    event_id: `$${room}`,
    type: 'dev.understudy.ledger',
    sender,
    origin_server_ts: 0,
    content: { source: '$new', room },
  });
  const ledger = readLedger(
    [entry('@mallory:x', '!a'), entry('@bot:x', '!b'), entry('@bot:x', '!c')],
    '@bot:x',
  );
  expect(ledger.entries.get('$new')).toEqual({ source: '$new', room: '!b' });
});

test('P4: two replicas apart and two invites make one space, one C1, one greeting, a line in each room', async () => {
  const { world, alice } = await strangers();
  world.hub.down();
  world.linked = false;
  const dms = [];
  for (let n = 0; n < 2; n++) {
    const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
    dms.push(dm);
    world.messages.push({ room: dm, text: LINE });
  }
  const [first] = world.ranks(dms[0] ?? '', alice);
  const create = world.server.hold(
    (one) => one.call === 'createRoom' && one.client === first?.clientName,
    'before',
  );
  await world.until(() => create.used);
  await world.clock.advance(4 * PATIENCE);
  create.release();
  await world.settleAll();
  world.linked = true;
  world.healRelay();
  await world.settleAll();
  const invited = alice.invites();
  expect(invited).toHaveLength(2);
  const chat = invited.find((room) => world.seen(room).length > 0) ?? '';
  world.messages.push({ room: chat, text: GREETING });
  expect(world.verdict()).toBe('');
});

test('P4-loss: after a total loss the space is found again by its alias', async () => {
  const { world, alice, dm } = await newcomer();
  await world.losesEverything();
  await world.asks(alice, dm, 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(alice.invites()).toEqual([]);
});

test('P4-greeting: the greeting is keyed by the person, so a second look sends no second one', async () => {
  const { world, alice, dm, first } = await newcomer();
  const chat = world.server
    .joinedRooms(alice.mxid)
    .find((room) => room !== dm && world.seen(room).length > 0);
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  world.messages.push({ room: other, text: LINE }, { room: chat ?? '', text: GREETING });
  first.kill();
  first.wipe();
  world.restart(first);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C1-elsewhere: a refusal by another room is a failure that is told, no reason to say nothing', async () => {
  const { world, alice, dm } = await newcomer();
  world.server.refuse(({ call, user }) => call === 'createRoom' && user === world.bot, 403, Infinity);
  await world.asks(alice, dm, '!new', { token: 'it failed 3 times' });
  await world.until(() => world.seen(dm).length === 2);
  expect(world.seen(dm).at(-1)?.body).toContain('it failed 3 times');
});

test('R2-plain: rooms of the bot’s making are private and not encrypted where the homeserver encrypts private ones', async () => {
  const { world, alice } = await strangers((made) => (made.server.encrypted = 'invite'));
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  const [space = '', chat = ''] = await alice.acceptsAll();
  const stateOf = (room: string, type: string) => world.server.room(room).stateEvent(type, '')?.event.content;
  expect(stateOf(dm, 'm.room.encryption')).toBeDefined();
  for (const room of [space, chat]) {
    expect(stateOf(room, 'm.room.encryption')).toBeUndefined();
    const rules = world.server
      .room(room)
      .stateBefore(Infinity)
      .map(({ event }) => event);
    expect(rules.filter(({ type }) => type === 'm.room.join_rules').map(({ content }) => content)).toEqual([
      { join_rule: 'invite' },
    ]);
  }
  const levels = [space, chat].map((room) => stateOf(room, 'm.room.power_levels')?.['invite']);
  expect(new Set(levels)).toEqual(new Set([0, 100]));
  expect(world.lines.filter(({ message }) => message.includes('encrypts'))).toEqual([]);
});

test('R2-told: where the homeserver encrypts every room the log says so, and what to do, once', async () => {
  const { world, alice } = await strangers((made) => (made.server.encrypted = 'all'));
  await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  const told = world.lines.filter(({ message }) => message.includes('for_room_type to off or invite'));
  expect(told.map(({ replica }) => replica).toSorted()).toEqual(world.replicas.map(({ id }) => id));
});
