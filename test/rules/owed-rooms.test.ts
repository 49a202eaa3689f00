import { expect, test } from 'vitest';
import type { SimulatedReplica } from '../simulation/replica.js';
import type { World } from '../simulation/world.js';
import { of, setting } from './setting.js';

/** Two rooms of two people; alice's cannot be read by whom it is refused to. */
async function twoRooms() {
  const made = await setting();
  const { world } = made;
  const bob = world.person('bob');
  const beside = await world.plainRoom(bob);
  world.messages.push({ room: beside, text: /^Hello! Your chat/ });
  await world.settleAll();
  await world.asks(made.alice, made.room, 'before');
  await world.settleAll();
  world.server.timelineLimit = 3;
  return { ...made, bob, beside };
}

const refuse = (world: World, room: string, replicas: readonly SimulatedReplica[] = world.replicas) => {
  const lifts = replicas.map((replica) =>
    world.server.faults.refuseBy((request) => of(replica, 'messages')(request) && request.room === room, {
      status: 502,
    }),
  );
  return () => lifts.forEach((lift) => lift());
};

/** So much that no answer to /sync holds it all. */
async function saysMuch(
  { world, alice, room }: Awaited<ReturnType<typeof twoRooms>>,
  body: string,
  said: (event: string) => void = () => {},
) {
  const up = world.replicas.filter(({ running }) => running).map(({ life }) => life.client);
  for (const client of up) client.cutOff();
  const prompt = await world.asks(alice, room, body);
  said(prompt);
  for (let n = 0; n < 8; n++) said(await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` }));
  for (const client of up) client.restore();
  return prompt;
}

const texts = (world: World): string[] => world.platform.invocations.map(({ text }) => text);

test('C3-leftout: a room that no replica can read holds no other back, and its prompts are answered once it can', async () => {
  const made = await twoRooms();
  const { world, room, bob, beside, first } = made;
  const lift = refuse(world, room);
  await saysMuch(made, 'unread');
  await world.clock.advance(5000);
  await world.asks(bob, beside, 'beside');
  await world.until(() => texts(world).includes('beside'));
  await world.clock.advance(20_000);
  expect(texts(world)).toEqual(['before', 'beside']);
  expect([...first.life.journal.state.owed.keys()]).toEqual([room]);
  expect(first.bot.status().warnings.join()).toContain('1 room(s)');
  lift();
  await world.settleAll();
  expect(texts(world)).toEqual(['before', 'beside', 'unread']);
  expect(first.life.journal.state.owed.size).toBe(0);
  expect(first.bot.status().warnings).toEqual([]);
  expect(world.verdict()).toBe('');
});

test('C3-owed: killed while a room is owed: its prompts are not behind the stored position', async () => {
  const made = await twoRooms();
  const { world, room, bob, beside } = made;
  const lift = refuse(world, room);
  await saysMuch(made, 'unread');
  await world.asks(bob, beside, 'beside');
  await world.until(() => texts(world).includes('beside'));
  await world.clock.advance(5000);
  for (const replica of world.replicas) replica.kill();
  lift();
  for (const replica of world.replicas) world.restart(replica);
  await world.settleAll();
  expect(new Set(texts(world))).toEqual(new Set(['before', 'beside', 'unread']));
  expect(world.verdict()).toBe('');
});

test('C3-leftout: it keeps no replica from starting', async () => {
  const made = await twoRooms();
  const { world, room, bob, beside } = made;
  for (const replica of world.replicas) replica.kill();
  await saysMuch(made, 'unread');
  for (const replica of world.replicas) world.restart(replica);
  const lift = refuse(world, room);
  await world.asks(bob, beside, 'beside');
  await world.until(() => texts(world).includes('beside'));
  lift();
  await world.settleAll();
  expect(new Set(texts(world))).toEqual(new Set(['before', 'beside', 'unread']));
  expect(world.verdict()).toBe('');
});

test('C3-late: what a server that was away sends late is not lost where it is read late, too', async () => {
  const made = await twoRooms();
  const { world, alice, room } = made;
  await world.asks(alice, room, 'floor');
  await world.settleAll();
  const late = new Set<string>();
  // A homeserver orders what it reads back by depth: what came late stands before all that was there.
  const messages = world.server.messages.bind(world.server);
  world.server.messages = (viewer, id, page) => {
    if (page.dir === 'f' || id !== room) return messages(viewer, id, page);
    const { chunk } = messages(viewer, id, { ...page, limit: 1000 });
    const [events, others] = [
      chunk.filter((one) => late.has(one.event_id)),
      chunk.filter((one) => !late.has(one.event_id)),
    ];
    const at = others.findIndex(({ content }) => content['body'] === 'before');
    return { chunk: [...others.slice(0, at), ...events, ...others.slice(at)] };
  };
  for (const replica of world.replicas)
    world.server.refuse((one) => of(replica, 'messages')(one) && one.room === room, 502);
  const prompt = await saysMuch(made, 'late', (event) => late.add(event));
  await world.until(() => texts(world).includes('late'));
  await world.settleAll();
  expect(late).toContain(prompt);
  expect(world.verdict()).toBe('');
});

/** One replica at work on a prompt of a room that it, and it alone, can then not read up to now. */
async function behind() {
  const made = await twoRooms();
  const { world, alice, room, first } = made;
  world.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs: 5000 });
  await world.asks(alice, room, 'taken');
  await world.until(() => texts(world).includes('taken'));
  const lift = refuse(world, room, [first]);
  await saysMuch(made, 'unread');
  await world.clock.advance(1000);
  expect(first.bot.inbox.owes(room)).toBe(true);
  const answers = (replica: SimulatedReplica) =>
    world.requests((one) => of(replica, 'send', /^(anchor|final)$/)(one) && one.room === room).length;
  return { ...made, lift, answers };
}

test.each(['D5-owed', 'D5-behind'])(
  '%s: nothing is sent in a room that cannot be read up to now',
  async () => {
    const { world, first, lift, answers } = await behind();
    const before = answers(first);
    await world.until(() => texts(world).includes('unread'));
    expect(answers(first)).toBe(before);
    lift();
    await world.settleAll();
    expect(world.verdict()).toBe('');
  },
);

test('D5-shown: nor is the text so far shown there', async () => {
  const made = await twoRooms();
  const { world, alice, room, first } = made;
  for (const replica of world.replicas) replica.kill();
  Object.assign(world.settings, { streaming: true, placeholderAfterMs: 500 });
  for (const replica of world.replicas) world.restart(replica);
  const deltas = Array.from({ length: 20 }, (_, n) => `word ${n} `);
  world.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs: 40_000, deltas });
  await world.settleAll();
  await world.asks(alice, room, 'taken');
  await world.until(() => texts(world).includes('taken'));
  const lift = refuse(world, room, [first]);
  await saysMuch(made, 'unread');
  await world.until(() => first.bot.inbox.owes(room));
  await world.clock.advance(1000);
  const shown = () =>
    world.requests((one) => of(first, 'send', /^(anchor|stream)/)(one) && one.room === room).length;
  const before = shown();
  await world.clock.advance(15_000);
  expect(shown()).toBe(before);
  lift();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('O2-owed: who cannot read the room up to now does not beat, and who can takes over', async () => {
  const { world, first, second, lift, answers } = await behind();
  expect(first.bot.engine.begun()).not.toEqual([]);
  await world.until(() => answers(second) > 0);
  await world.until(() => texts(world).includes('unread'));
  lift();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});
