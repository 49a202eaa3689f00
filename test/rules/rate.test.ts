import { expect, test } from 'vitest';
import { Budget } from '../../src/bot/rate/budget.js';
import type { SendClass } from '../../src/bot/rate/turns.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { SimulatedClock } from '../simulation/clock.js';
import type { SimulatedRequest } from '../simulation/faults.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { World } from '../simulation/world.js';
import { met, nameOf, quiet } from '../surface/setting.js';
import { stepOf, streamed } from './edits.js';
import { alone, of, setting } from './setting.js';

const isSend = ({ user, call }: SimulatedRequest, world: World) => user === world.bot && call === 'send';

/** Two replicas and two people, each with a room, whose turn comes at different replicas. */
async function twoOwners() {
  const world = new World(2);
  const people = ['alice', 'bob', 'carol', 'dave', 'erin'].map((name) => world.person(name));
  const rooms = new Map<SimulatedPerson, string>();
  for (const person of people) rooms.set(person, await world.plainRoom(person));
  await world.startAll();
  const first = (person: SimulatedPerson) => world.ranks(rooms.get(person) ?? '', person)[0];
  const [one] = people;
  const other = people.find((person) => one !== undefined && first(person) !== first(one));
  if (one === undefined || other === undefined) throw new Error('all have one owner');
  const side = (person: SimulatedPerson) => ({ person, room: rooms.get(person) ?? '', owner: first(person) });
  return { world, one: side(one), other: side(other) };
}

/** A budget by itself, and the order in which its sends went out. */
function budgetAlone() {
  const clock = new SimulatedClock();
  const said: number[] = [];
  const channel = {
    broadcast: (_topic: string, { ms }: { ms: number }) => void said.push(ms),
    on: () => () => undefined,
  };
  const budget = new Budget({ clock, channel: channel as never });
  const order: string[] = [];
  const send = (of: SendClass, name: string, refusals: (number | undefined)[] = []) =>
    budget.send(of, async () => {
      await Promise.resolve();
      order.push(name);
      const [retryAfterMs] = refusals;
      if (refusals.length === 0) return;
      refusals.shift();
      throw new HomeserverError('rate-limited', 'no', retryAfterMs === undefined ? {} : { retryAfterMs });
    });
  return { clock, budget, order, said, send };
}

test('Q-shared: a 429 that one replica meets holds the other one’s sends too, and nothing is dropped', async () => {
  const { world, one, other } = await twoOwners();
  world.server.refuse((request) => isSend(request, world), 429, 1, 4000);
  await world.asks(one.person, one.room, 'first');
  await world.until(() => world.requests((request) => isSend(request, world)).length === 1);
  await world.clock.advance(5);
  await world.asks(other.person, other.room, 'second');
  await world.clock.advance(3900);
  expect(world.requests((request) => isSend(request, world))).toHaveLength(1);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.requests((request) => isSend(request, world))).toHaveLength(3);
});

test('Q-told: who did not hear of a hold hears of it in a heartbeat', async () => {
  const { world, one, other } = await twoOwners();
  world.hub.delay = ({ topic }) => (topic === 'hold' ? undefined : 1);
  world.server.refuse((request) => isSend(request, world), 429, 1, 4000);
  await world.asks(one.person, one.room, 'first');
  await world.until(() => world.requests((request) => isSend(request, world)).length === 1);
  await world.clock.advance(600);
  await world.asks(other.person, other.room, 'second');
  await world.clock.advance(3000);
  expect(world.requests((request) => isSend(request, world))).toHaveLength(1);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  // What was heard is not said on: the hold ends.
  for (const { bot } of world.replicas) expect(bot.budget.held()).toBe(0);
});

test('Q-final: a final that is refused waits as long as is asked, each time, and stands once', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = () => ({ text: 'done', takesMs: 3000 });
  });
  world.server.refuse(of(first, 'send', /^final$/), 429, 5, 7000);
  await world.asks(alice, room, 'hello', { token: '', text: 'done' });
  await world.settleAll();
  expect(world.requests(of(first, 'send', /^final$/))).toHaveLength(6);
  expect(world.sent(room).filter((event) => stepOf(event) === 'final')).toHaveLength(1);
  expect(world.platform.invocations).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('Q-edits: stream edits are left out while the account is held and a while after, and then show the newest text', async () => {
  const { world, one, other } = await twoOwners();
  world.settings.placeholderAfterMs = 500;
  world.platform.answer = ({ text }) =>
    text === 'slow'
      ? { text: 'done', takesMs: 20_000, deltas: Array.from({ length: 200 }, (_, n) => `${n} `) }
      : { text };
  for (const replica of world.replicas) replica.kill();
  for (const replica of world.replicas) world.restart(replica);
  await world.until(() => world.replicas.every(({ life }) => life.started === 'started'));
  await world.clock.advance(600);
  await world.asks(one.person, one.room, 'slow', { token: '', text: 'done' });
  await world.until(() => streamed(world, one.room).length === 2);
  world.server.refuse((request) => isSend(request, world) && request.room === other.room, 429, 1, 4000);
  await world.asks(other.person, other.room, 'quick');
  await world.until(
    () => world.requests((request) => request.room === other.room && isSend(request, world)).length > 0,
  );
  const before = streamed(world, one.room).length;
  await world.until(() => world.sent(other.room).length > 0);
  expect(streamed(world, one.room)).toHaveLength(before);
  await world.clock.advance(900);
  expect(streamed(world, one.room)).toHaveLength(before);
  await world.until(() => streamed(world, one.room).length === before + 1);
  const words = String(streamed(world, one.room).at(-1)?.content['m.new_content']?.body).split(' ').length;
  // Ten words a second, of which five seconds were left out.
  const shownBefore = String(streamed(world, one.room).at(-2)?.content['m.new_content']?.body).split(
    ' ',
  ).length;
  expect(words - shownBefore).toBeGreaterThan(45);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  const owner = world.replicas.find(({ id }) => id === one.owner?.id);
  expect(owner?.bot.budget.counts.leftOut).toBeGreaterThan(0);
});

test('Q-question: a question to a person waits for its turn and is not left out', async () => {
  const { world, alice, room, only } = await alone((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = () => ({ text: 'done', takesMs: 30_000, approval: 'a1', deltas: ['one'] });
  });
  await world.asks(alice, room, 'hello', { token: 'done', text: 'done', asks: /May I\?/ });
  await world.clock.advance(9500);
  only.bot.budget.hear(3000);
  await world.clock.advance(2900);
  const asked = () => streamed(world, room).filter(({ content }) => String(content.body).includes('May I?'));
  expect(asked()).toHaveLength(0);
  await world.clock.advance(200);
  expect(asked()).toHaveLength(1);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('Q-turns: many answers at a small limit go one after another, and few are refused', async () => {
  const world = new World(2);
  const people = Array.from({ length: 12 }, (_, n) => world.person(`person${n}`));
  const rooms: { person: SimulatedPerson; room: string }[] = [];
  for (const person of people) rooms.push({ person, room: await world.plainRoom(person) });
  await world.startAll();
  const limit = world.server.limit(world.bot, { perSecond: 5, burst: 2 });
  const since = world.clock.monotonic();
  for (const { person, room } of rooms) await world.asks(person, room, `hello ${person.name}`);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(limit.passed).toHaveLength(12);
  expect(limit.refused).toBeGreaterThan(0);
  // Those that were under way when the first was refused, and one here and there of two replicas.
  expect(limit.refused).toBeLessThan(2 * 12);
  expect((limit.passed.at(-1) ?? Infinity) - since).toBeLessThan(2 * (10 / 5) * 1000);
});

test('Q-order: after a hold answers go before state, and whoever waits longest before the others', async () => {
  const { clock, order, send } = budgetAlone();
  const first = send('answer', 'refused', [1000, 500]);
  await clock.advance(1);
  const others = [
    send('state', 'a name'),
    send('answer', 'room 1'),
    send('answer', 'room 2'),
    send('state', 'a place'),
  ];
  await clock.advance(998);
  expect(order).toEqual(['refused']);
  await clock.advance(10_000);
  await Promise.all([first, ...others]);
  expect(order).toEqual(['refused', 'refused', 'refused', 'room 1', 'room 2', 'a name', 'a place']);
});

test('Q-order: one that hangs keeps the next waiting for a second only, and one that is given up leaves', async () => {
  const { clock, budget, order, send } = budgetAlone();
  budget.hear(100);
  void budget.send('answer', () => new Promise(() => undefined));
  const ended = new AbortController();
  const given = budget.send('answer', () => Promise.resolve(), ended.signal);
  const next = send('answer', 'next');
  ended.abort(new Error('given up'));
  await expect(given).rejects.toThrow('given up');
  await clock.advance(1200);
  await next;
  expect(order).toEqual(['next']);
  budget.hear(5000);
  const late = send('answer', 'late');
  budget.close();
  await expect(late).rejects.toThrow('closing');
});

test('Q-hostile: a homeserver that asks for no wait is not flooded, one that asks for days is asked again', async () => {
  const atOnce = budgetAlone();
  const sent = atOnce.send(
    'answer',
    'x',
    Array.from({ length: 10 }, () => 0),
  );
  await atOnce.clock.advance(15_000);
  expect(atOnce.order.length).toBeLessThan(10);
  await atOnce.clock.advance(30_000);
  await sent;
  for (const [asks, held] of [
    [3_600_000, 600_000],
    [Infinity, 600_000],
    [-5, 100],
    [NaN, 1000],
    [undefined, 1000],
  ] as const) {
    const { clock, said, budget, send } = budgetAlone();
    const one = send('answer', 'x', [asks]);
    await clock.advance(0);
    expect([asks, said, budget.held()]).toEqual([asks, [held], held]);
    await clock.advance(held + 1);
    await one;
  }
});

test('Q-hostile: what a peer says of a hold counts only within its bounds', async () => {
  const { world, alice, room, first, second } = await setting();
  for (const ms of [-1, 1e12, '5', null, Number.NaN]) {
    world.hub.carry(world.hub.endOf(second.id), undefined, 'hold', { ms });
  }
  await world.clock.advance(10);
  expect(first.bot.budget.held()).toBe(0);
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('Q-state: a command’s state waits for the budget, and its answer comes once', async () => {
  const { world, alice, chat, first } = await met();
  first.bot.budget.hear(3000);
  const isState = ({ call, user }: SimulatedRequest) => call === 'setState' && user === world.bot;
  const count = world.requests(isState).length;
  await world.asks(alice, chat, '!rename Other', { token: '“Other”' });
  await world.clock.advance(2900);
  expect(world.requests(isState)).toHaveLength(count);
  world.server.refuse(isState, 429, 1, 2000);
  await world.clock.advance(200);
  expect(world.requests(isState)).toHaveLength(count + 1);
  expect(first.bot.budget.held()).toBeGreaterThan(1000);
  await quiet(world);
  expect(nameOf(world, chat)).toBe('Other');
  expect(world.verdict()).toBe('');
});
