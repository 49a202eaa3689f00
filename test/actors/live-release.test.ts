import { assign, setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import type { MachineOptions } from '../../src/index.js';
import { eventOf, MemoryPort } from './memory-port.js';

const order = setup({
  types: { context: {} as { n: number }, events: {} as { type: 'GO'; bad?: boolean } },
  guards: {
    sound: ({ event }) => {
      if (event.bad === true) throw new Error('bad');
      return true;
    },
  },
  actions: { inc: assign({ n: ({ context }) => context.n + 1 }) },
}).createMachine({
  id: 'order',
  context: { n: 0 },
  initial: 'a',
  states: {
    a: { on: { GO: { target: 'b', guard: 'sound', actions: 'inc' } } },
    b: { on: { GO: { guard: 'sound', actions: 'inc' } } },
  },
});
const options: MachineOptions = { events: { GO: ['bad'] } };
const KEY = 'order/1';
const cause = (id: string) => ({ id, ts: Date.now() });

function open(port = new MemoryPort()): { port: MemoryPort; actors: LiveActors } {
  const actors = new LiveActors(port);
  actors.register(order, options);
  return { port, actors };
}

/** An actor that counted one event, and stands still. */
async function quarantined() {
  const { port, actors } = open();
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$1') });
  port.merge([eventOf(KEY, '$bad', Date.now() + 10, { type: 'GO', data: { bad: true } })]);
  expect(actors.snapshot(KEY).status).toBe('quarantined');
  return { port, actors };
}

it('an actor that does not stand still is not released, and keeps its state', async () => {
  const { actors } = open();
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$1') });
  const released = actors.release(KEY, { state: 'a', cause: cause('$release') });
  await expect(released).rejects.toMatchObject({ name: 'ActorError', code: 'not-quarantined' });
  expect(actors.snapshot(KEY)).toMatchObject({ value: 'b', context: { n: 1 } });
});

it('the same release again resolves, and releases nothing twice', async () => {
  const { actors } = await quarantined();
  await actors.release(KEY, { state: 'b', cause: cause('$release') });
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$2') });
  const again = await actors.release(KEY, { state: 'b', cause: cause('$release') });
  expect(again).toMatchObject({ value: 'b', context: { n: 2 } });
});

it('A1 of two releases of two operators the first counts; the second throws nothing away', async () => {
  const { port, actors } = await quarantined();
  await actors.release(KEY, { state: 'b', cause: cause('$mine') });
  for (const id of ['$3', '$4']) await actors.send(KEY, { type: 'GO' }, { cause: cause(id) });
  const later = Date.now() + 1000;
  port.merge([eventOf(KEY, '$theirs', later, { type: 'understudy.release', data: { version: 1 } })]);
  expect(actors.snapshot(KEY)).toMatchObject({ status: 'active', value: 'b', context: { n: 3 } });
});

it('a release into a state keeps the context; anew it is the initial one', async () => {
  const kept = await (await quarantined()).actors.release(KEY, { state: 'b', cause: cause('$release') });
  expect(kept).toMatchObject({ value: 'b', context: { n: 1 } });
  const anew = await (await quarantined()).actors.release(KEY, { cause: cause('$release') });
  expect(anew).toMatchObject({ value: 'a', context: { n: 0 } });
});

it('an actor that cannot be upgraded is released at the new version, its context migrated', async () => {
  const { actors } = open();
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$1') });
  const context = { n: 0, by: 'nobody' };
  const next = setup({}).createMachine({ id: 'order', context, initial: 'c', states: { c: {} } });
  actors.register(next, {
    version: 2,
    migrate: { context: (old) => ({ ...(old as object), by: 'migration' }) },
  });
  expect(actors.snapshot(KEY).status).toBe('quarantined');
  const released = await actors.release(KEY, { state: 'c', cause: cause('$release') });
  expect(released).toMatchObject({ version: 2, value: 'c', context: { n: 1, by: 'migration' } });
  const types = actors
    .get(KEY)
    .history()
    .map(({ event, to }) => [event.type, to.status]);
  expect(types).toEqual([
    ['GO', 'active'],
    ['understudy.upgrade', 'quarantined'],
    ['understudy.release', 'active'],
  ]);
});

it('a context map that fails does not hold up the release: the context is the initial one then', async () => {
  const { actors } = open();
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$1') });
  const next = setup({}).createMachine({ id: 'order', context: { n: 7 }, initial: 'b', states: { b: {} } });
  const migrate = {
    context: () => {
      throw new Error('no');
    },
  };
  actors.register(next, { version: 2, migrate });
  expect(actors.snapshot(KEY)).toMatchObject({
    status: 'quarantined',
    reason: { code: 'transition-failed' },
  });
  const released = await actors.release(KEY, { state: 'b', cause: cause('$release') });
  expect(released).toMatchObject({ version: 2, value: 'b', context: { n: 7 } });
});

it('an upgrade that came while the actor stood still is written again behind its release', async () => {
  const { port, actors } = await quarantined();
  port.merge([eventOf(KEY, 'upgrade/2', Date.now() + 100, { type: 'understudy.upgrade', data: { to: 2 } })]);
  await actors.release(KEY, { state: 'b', cause: cause('$release') });
  const next = setup({}).createMachine({ id: 'order', initial: 'b', states: { b: { on: { GO: 'b' } } } });
  actors.register(next, { version: 2 });
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$2') });
  expect(actors.snapshot(KEY)).toMatchObject({ status: 'active', version: 2 });
  expect(actors.get(KEY).history().at(-2)?.event.id).toBe('upgrade/2/2');
  expect(actors.get(KEY).history().at(-2)?.outcome).toBe('taken');
});
