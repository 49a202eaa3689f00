import { expect, test } from 'vitest';
import { seed } from '../simulation/state.js';
import { World } from '../simulation/world.js';
import { alone, inParts, of, setting } from './setting.js';

const slow = (takesMs: number) => (world: World) => {
  world.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs });
};

test('C1: a placeholder settles nothing: whoever comes next ends it', async () => {
  const { world, alice, room, first } = await setting((made) => {
    slow(4000)(made);
    made.settings.placeholderAfterMs = 500;
  });
  await world.asks(alice, room, 'hello');
  await world.until(() => world.sent(room).length === 1);
  first.kill();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C1-parts: the first part of an answer settles nothing', async () => {
  const { world, alice, room, first, second } = await setting(inParts(2));
  const part = world.server.hold(of(first, 'send', /\/2$/), 'before');
  const prompt = await world.asks(alice, room, 'hello', { parts: 'several' });
  await world.until(() => part.used);
  await world.clock.advance(100);
  expect(second.bot.engine.get(prompt)?.settled).toBeUndefined();
  part.drop();
  first.kill();
  await world.settleAll();
  expect(world.seen(room)).toHaveLength(2);
});

test('C1-dropped: what was redacted before it was begun gets no answer', async () => {
  const { world, alice, room } = await setting(slow(2000));
  await world.asks(alice, room, 'hello');
  await world.clock.advance(100);
  const regretted = await alice.says(room, 'never mind');
  await world.clock.advance(100);
  await alice.redacts(room, regretted);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations.map(({ text }) => text)).toEqual(['hello']);
});

test('C1-forbidden: a room in which the bot may not speak settles its sources, and speaks again later', async () => {
  const { world, alice, room } = await setting();
  const levels = (events_default: number) => ({ users: { [alice.mxid]: 100 }, events_default });
  await alice.client.setState(room, 'm.room.power_levels', '', levels(50));
  await alice.says(room, 'you may not answer');
  await world.clock.advance(100);
  expect(world.happened.map(({ outcome }) => outcome)).toContain('forbidden');
  await alice.client.setState(room, 'm.room.power_levels', '', levels(0));
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C1-limited: a 429 holds every replica’s sends back for as long as was asked, and nothing is dropped', async () => {
  const { world, alice, room } = await setting();
  world.server.refuse(({ user, call }) => user === world.bot && call === 'send', 429, 1, 4000);
  await world.asks(alice, room, 'hello');
  await world.clock.advance(3900);
  expect(world.sent(room)).toHaveLength(0);
  expect(world.requests(({ user, call }) => user === world.bot && call === 'send')).toHaveLength(1);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('C2: a prompt whose runs die three times with their process gets a short error notice', async () => {
  const { world, alice, room, only } = await alone(slow(5000));
  await world.asks(alice, room, 'poison', { token: 'it failed 3 times' });
  for (let n = 1; n <= 3; n++) {
    await world.until(() => world.platform.invocations.length === n);
    await world.clock.advance(100);
    only.kill();
    await world.clock.advance(100);
    world.restart(only);
  }
  await world.settleAll();
  expect(world.platform.invocations).toHaveLength(3);
  expect(world.verdict()).toBe('');
});

test('C2-durable: an attempt is on the disk before its run begins', async () => {
  const { world, alice, room, only } = await alone(slow(5000));
  only.disk.writeMs = 50;
  world.platform.answer = ({ text }) => {
    const begun = [...only.disk.records.values()].filter(({ kind }) => kind === 'attempt');
    return { text: `${text} after ${begun.length} attempt` };
  };
  await world.asks(alice, room, 'hello', { text: 'hello after 1 attempt' });
  await world.settleAll();
  // The first one waits for its room's record anyway; this one for its attempt alone.
  await world.asks(alice, room, 'again', { text: 'again after 2 attempt' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C2-outage: an outage of the platform is no attempt', async () => {
  const { world, alice, room } = await alone();
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.clock.advance(60_000);
  world.platform.up();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test.each([
  ['its own', undefined],
  ['one of another agent', '!agent agent-2'],
])('a platform that lost its database: the room goes on in an empty context, %s', async (_which, command) => {
  const { world, alice, room } = await alone((made) => {
    made.platform.forgetful = false;
  });
  await world.asks(alice, room, 'before', { text: 'before by run 1' });
  await world.settleAll();
  if (command !== undefined) await world.asks(alice, room, command, { token: 'agent-2' });
  await world.settleAll();
  world.platform.loses();
  await world.asks(alice, room, 'after', { text: 'after by run 2' });
  await world.asks(alice, room, 'and on', { text: 'and on by run 3' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  const [, after, last] = world.platform.invocations;
  expect(after?.chat).toBe(last?.chat);
});

test('C2-beside: a source that cannot even be considered holds up neither the process nor the others', async () => {
  const { world, alice, room, only } = await alone();
  const place = only.life.state.shardOf.bind(only.life.state);
  let refused = 0;
  only.life.state.shardOf = (where, sender) => {
    if (!sender.startsWith('@mallory:') || where !== room) return place(where, sender);
    refused += 1;
    // The first look is the arrival's own; the engine's look comes after it.
    if (refused > 1) throw new Error('no place for this one');
    return 0;
  };
  const mallory = world.person('mallory');
  await alice.client.invite(room, mallory.client.user);
  await mallory.acceptsAll();
  await mallory.client.send(room, 'm.room.message', 'm1', { msgtype: 'm.text', body: 'poison' });
  await world.until(() => refused > 1);
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.until(() => world.seen(other).length > 0);
  await world.asks(alice, other, 'hello', { text: /hello/ });
  await world.until(() => world.seen(other).some(({ body }) => /hello by run/.test(body)));
  expect(refused).toBeGreaterThan(1);
});

test('C2-handover: passing on is no attempt', async () => {
  const { world, alice, room, only } = await alone(slow(3000));
  await world.asks(alice, room, 'hello');
  for (let n = 1; n <= 4; n++) {
    await world.clock.advance(1000);
    only.life.client.cutOff();
    await world.clock.advance(200);
    await Promise.race([only.bot.close(), world.clock.advance(2000)]);
    only.kill();
    world.restart(only);
  }
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C3-journal: the position passes what is unsettled only once it is in the own journal', async () => {
  const { world, alice, room, only } = await alone(slow(3000));
  await world.asks(alice, room, 'hello');
  await world.clock.advance(1000);
  expect(world.platform.invocations).toHaveLength(1);
  only.kill();
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C3-own: that another replica has it is no licence to pass it', async () => {
  const { world, alice, room, first, second } = await setting(slow(3000));
  await world.asks(alice, room, 'hello');
  await world.clock.advance(1000);
  first.kill();
  first.wipe();
  second.kill();
  second.start();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C3-duty: a repair that is owed is unsettled until it stands in the room', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }, n) => ({
      text: `${text} by run ${n}`,
      takesMs: 4000,
      deltas: ['a', 'b'],
    });
  });
  const edit = world.server.hold(of(first, 'send', /^stream/), 'before');
  await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => edit.used);
  first.kill();
  await world.settleAll();
  const repair = world.server.hold(of(second, 'send', /^repair/), 'before');
  edit.release();
  await world.until(() => repair.used);
  await world.clock.advance(100);
  repair.drop();
  second.kill();
  second.start();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C3-beside: a long run blocks no room beside it', async () => {
  const { world, alice, room } = await setting((made) => {
    made.platform.answer = ({ text }) => ({ text, takesMs: text === 'long' ? 60_000 : 5 });
  });
  const beside = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  world.messages.push({ room: beside, text: /^Hello! Your chat/ });
  await world.asks(alice, room, 'long');
  await world.clock.advance(100);
  await world.asks(alice, beside, 'short');
  await world.clock.advance(1000);
  expect(world.seen(beside).map(({ body }) => body)).toContain('short');
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C4-floor: an empty folder reads back to the floor, not to the end of the first answer', async () => {
  const { world, alice, room, only } = await alone();
  await world.asks(alice, room, 'before');
  await world.settleAll();
  only.kill();
  only.wipe();
  await world.asks(alice, room, 'hello');
  for (let n = 0; n < 30; n++) await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` });
  world.server.timelineLimit = 5;
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C4-behind: the floor does not pass what is unsettled before it', async () => {
  const { world, alice, room, only } = await alone(slow(10_000));
  await world.asks(alice, room, 'hello');
  await world.clock.advance(500);
  await world.asks(alice, room, '!status', { token: 'answered by' });
  await world.clock.advance(1000);
  expect(world.seen(room)).toHaveLength(1);
  only.kill();
  only.wipe();
  for (let n = 0; n < 30; n++) await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` });
  world.server.timelineLimit = 5;
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C5: what is older than genesis is skipped and not marked', async () => {
  const world = new World(2);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  await alice.says(room, 'long ago');
  await world.startAll();
  await world.asks(alice, room, 'now');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  const marks = world.replicas.flatMap(({ disk }) => [...disk.records.values()]);
  expect(marks.filter(({ kind }) => kind === 'mark')).toHaveLength(2);
});

test('C5-minimum: when two genesis meet the earlier holds, and rooms are read again from it', async () => {
  const world = new World(1);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  await world.clock.advance(1000);
  const earlier = world.clock.now();
  await world.clock.advance(1000);
  await world.asks(alice, room, 'between');
  await world.clock.advance(1000);
  await world.startAll();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(0);
  const cluster = { kind: 'cluster' as const, key: 'cluster', fields: { genesis_ts: earlier } };
  seed(world.relayDisk, cluster, earlier);
  world.exchangeAll();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C5-reread: a room that cannot be read from an earlier genesis holds no other back, and is read later', async () => {
  const world = new World(2);
  const people = [world.person('alice'), world.person('bob')];
  const rooms = [];
  for (const person of people) rooms.push(await world.plainRoom(person));
  await world.clock.advance(1000);
  const earlier = world.clock.now();
  await world.clock.advance(1000);
  for (const [i, person] of people.entries()) await world.asks(person, rooms[i] ?? '', 'between');
  await world.clock.advance(1000);
  await world.startAll();
  await world.settleAll();
  const [shut = '', open = ''] = world.server.joinedRooms(world.bot);
  expect(new Set([shut, open])).toEqual(new Set(rooms));
  const isRead = ({ call, room }: { call: string; room?: string }) => call === 'messages' && room === shut;
  const lift = world.server.faults.refuseBy(isRead, { status: 502 });
  seed(world.relayDisk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts: earlier } }, earlier);
  world.exchangeAll();
  await world.until(() => world.sent(open).length > 0);
  expect(world.sent(shut)).toHaveLength(0);
  lift();
  await world.until(() => world.sent(shut).length > 0);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C5-single: while rooms are read from an earlier genesis no second reading begins, also when it falls again', async () => {
  const world = new World(1);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  const instants: number[] = [];
  for (const body of ['earliest', 'earlier']) {
    await world.clock.advance(1000);
    instants.push(world.clock.now());
    await world.clock.advance(1000);
    await world.asks(alice, room, body);
  }
  await world.clock.advance(1000);
  await world.startAll();
  await world.settleAll();
  const isRead = ({ call }: { call: string }) => call === 'messages';
  const before = world.requests(isRead).length;
  const reading = world.server.hold(isRead, 'before');
  for (const genesis_ts of instants.toReversed()) {
    seed(world.relayDisk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts } }, genesis_ts);
    world.exchangeAll();
    await world.until(() => reading.used);
    await world.clock.advance(4000);
  }
  expect(world.requests(isRead)).toHaveLength(before + 1);
  reading.release();
  await world.until(() => world.sent(room).length === 2);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C5-later: the earlier genesis holds although the later was written later', async () => {
  const world = new World(2);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  await world.clock.advance(1000);
  for (const replica of world.replicas) world.found(replica);
  await world.clock.advance(1000);
  await world.asks(alice, room, 'between');
  await world.clock.advance(1000);
  const later = { kind: 'cluster' as const, key: 'cluster', fields: { genesis_ts: world.clock.now() } };
  seed(world.relayDisk, later, world.clock.now());
  await world.startAll();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});
