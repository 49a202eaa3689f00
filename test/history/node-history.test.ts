import { expect, it } from 'vitest';
import { eventually, folder, MemoryStorage, relay } from '../node/world.js';
import { cut, go, LIGHT, lit } from './world.js';

const HOUR = 3600_000;
const T = Date.now() - 10 * HOUR;

it('each event with its cause, times, states, effects, replica and epoch', async () => {
  const one = await lit([]);
  one.epoch = 7;
  await go(one, ['GO', '$1', T], ['STOP', '$2', T + 1000]);
  const { entries, missing } = await one.history(LIGHT);
  expect(missing).toEqual([]);
  expect(entries).toMatchObject([
    {
      generation: 0,
      cause: '$1',
      replica: one.self.replica,
      epoch: 7,
      late: false,
      event: { id: '$1', type: 'GO', ts: T, stamp: T, data: { by: 2 } },
      from: { value: 'red', context: { turns: 0 }, status: 'active', version: 1 },
      to: { value: 'green', context: { turns: 2 } },
      outcome: 'taken',
      effects: [{ name: 'lamp', params: { colour: 'green' }, cause: '$1' }],
    },
    { cause: '$2', event: { type: 'STOP' }, from: { value: 'green' }, to: { value: 'red' }, effects: [] },
  ]);
});

it('goes back to the very first event through every generation, and says the same as before the cuts', async () => {
  const one = await lit([]);
  await go(one, ['GO', '$1', T], ['STOP', '$2', T + 1000]);
  expect(await cut(one)).toBe(1);
  await go(one, ['STOP', '$3', T + 2000], ['GO', '$4', T + 3000]);
  const before = await one.history(LIGHT);
  expect(await cut(one)).toBe(1);
  await go(one, ['STOP', '$5', T + 4000]);
  const { entries, missing } = await one.history(LIGHT);
  expect(missing).toEqual([]);
  expect(entries.map(({ event, generation, outcome }) => [event.id, generation, outcome])).toEqual([
    ['$1', 0, 'taken'],
    ['$2', 0, 'taken'],
    ['$3', 1, 'ignored'],
    ['$4', 1, 'taken'],
    ['$5', 2, 'taken'],
  ]);
  expect(entries.slice(0, 4)).toEqual(before.entries);
  expect(entries.map(({ to }) => to.context)).toEqual([2, 2, 2, 4, 4].map((turns) => ({ turns })));
  expect(entries.at(-1)?.from).toEqual(entries.at(-2)?.to);
});

it('time travel: where it stood at any time, in a generation that was cut off too', async () => {
  const one = await lit([]);
  await go(one, ['GO', '$1', T], ['STOP', '$2', T + 1000]);
  await cut(one);
  await go(one, ['GO', '$3', T + 2000]);
  const value = async (time: number) => (await one.historyAt(LIGHT, time))?.value;
  expect(await value(T - 1)).toBeUndefined();
  expect([await value(T), await value(T + 999), await value(T + 1000)]).toEqual(['green', 'green', 'red']);
  expect([await value(T + 1999), await value(T + 2000), await value(Date.now())]).toEqual([
    'red',
    'green',
    'green',
  ]);
  expect((await one.historyAt(LIGHT, T + 2000))?.context).toEqual({ turns: 4 });
});

it('a replica that never had the generation reads its audit document through the relay, then from its disk', async () => {
  const storage = new MemoryStorage();
  const hub = await relay({ storage });
  const one = await lit([hub]);
  await go(one, ['GO', '$1', T], ['STOP', '$2', T + 1000]);
  expect(await cut(one)).toBe(1);
  await one.replicated(30_000);
  const replica = one.self.replica;
  await one.close();
  const dataDir = await folder();
  const two = await lit([hub], { dataDir });
  expect((await two.history(LIGHT)).entries).toMatchObject([
    { event: { id: '$1' }, replica, generation: 0 },
    { event: { id: '$2' }, replica, generation: 0 },
  ]);
  await two.close();
  await hub.close();
  const again = await lit([], { dataDir, found: true });
  const { entries, missing } = await again.history(LIGHT);
  expect(entries.map(({ event }) => event.id)).toEqual(['$1', '$2']);
  expect(missing).toEqual([]);
});

it('what is out of reach is named as missing, and a time in it is refused rather than guessed', async () => {
  const hub = await relay();
  const one = await lit([hub]);
  await go(one, ['GO', '$1', T]);
  await cut(one);
  await go(one, ['STOP', '$2', T + 1000]);
  await one.replicated(30_000);
  const dataDir = await folder();
  const two = await lit([hub], { dataDir });
  await eventually(() => two.actors.get(LIGHT).snapshot().value === 'red');
  await two.close();
  const alone = await lit([], { dataDir, found: true });
  const { entries, missing } = await alone.history(LIGHT);
  expect(entries.map(({ event }) => event.id)).toEqual(['$2']);
  expect(missing).toEqual([{ shard: 0, generation: 0, archived: true }]);
  await expect(alone.historyAt(LIGHT, T + 500)).rejects.toMatchObject({ code: 'missing-history' });
  expect((await alone.historyAt(LIGHT, T + 1000))?.value).toBe('red');
});

it('what was written apart is marked late, and both replicas tell the same history', async () => {
  const storage = new MemoryStorage();
  const hub = await relay({ storage });
  const one = await lit([hub]);
  const dataDir = await folder();
  const two = await lit([hub], { dataDir });
  await go(one, ['GO', '$1', T]);
  await eventually(() => two.actors.exists(LIGHT));
  await two.close();
  const apart = await lit([], { dataDir, found: true });
  await go(apart, ['STOP', '$2', T + 1000]);
  await apart.close();
  await go(one, ['STOP', '$3', T + 2000]);
  const back = await lit([hub], { dataDir });
  await eventually(() => one.actors.get(LIGHT).history().length === 3);
  await eventually(() => back.actors.get(LIGHT).history().length === 3);
  const told = (await one.history(LIGHT)).entries;
  expect(told.map(({ event, late, outcome }) => [event.id, late, outcome])).toEqual([
    ['$1', false, 'taken'],
    ['$2', true, 'taken'],
    ['$3', false, 'ignored'],
  ]);
  expect((await back.history(LIGHT)).entries).toEqual(told);
});

it('an event that came when its generation was cut already is marked late in the one that took it in', async () => {
  const storage = new MemoryStorage();
  const hub = await relay({ storage });
  const one = await lit([hub]);
  const dataDir = await folder();
  const two = await lit([hub], { dataDir });
  await go(one, ['GO', '$1', T]);
  await eventually(() => two.actors.exists(LIGHT));
  await two.close();
  const apart = await lit([], { dataDir, found: true });
  await go(apart, ['STOP', '$2', T + 1000]);
  await apart.close();
  expect(await cut(one)).toBe(1);
  const back = await lit([hub], { dataDir });
  await eventually(() => one.actors.get(LIGHT).history().length === 1);
  const { entries } = await one.history(LIGHT);
  expect(entries.map(({ event, late, generation }) => [event.id, late, generation])).toEqual([
    ['$1', false, 0],
    ['$2', true, 1],
  ]);
  await eventually(() => back.actors.get(LIGHT).history().length === 1);
  expect((await back.history(LIGHT)).entries).toEqual(entries);
});

it('a quarantined actor: where it stopped and why stands in its history, archived too', async () => {
  const one = await lit([]);
  const broken = one.actors.get(LIGHT).send({ type: 'BREAK' }, { cause: { id: '$1', ts: T } });
  await expect(broken).rejects.toMatchObject({ code: 'transition-failed' });
  // A replica with another software version may have written it.
  const event = { type: 'BREAK', ts: T };
  await one.change([{ kind: 'event', key: `event:${LIGHT} $1`, fields: { event }, stamp: T }], {
    id: '$1',
    ts: T,
  });
  const live = await one.history(LIGHT);
  expect(live.entries).toMatchObject([
    { outcome: 'ignored', to: { status: 'quarantined', reason: { code: 'transition-failed', event: '$1' } } },
  ]);
  expect(await cut(one)).toBe(1);
  expect((await one.history(LIGHT)).entries).toEqual(live.entries);
});

it('a key that is none is refused', async () => {
  const one = await lit([]);
  await expect(one.history('no key')).rejects.toMatchObject({ code: 'bad-key' });
});
