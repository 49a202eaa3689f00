import { assign, setup } from 'xstate';
import { expect, it } from 'vitest';
import type { ActorChange, StateNode } from '../../src/index.js';
import { eventually, node, relay } from '../node/world.js';

const light = setup({
  types: { context: {} as { turns: number }, events: {} as { type: 'GO' | 'STOP'; by?: number } },
  actions: {
    count: assign({ turns: ({ context, event }) => context.turns + (event.by ?? 1) }),
    lamp: () => {},
  },
}).createMachine({
  id: 'light',
  context: { turns: 0 },
  initial: 'red',
  states: {
    red: { on: { GO: { target: 'green', actions: 'count' } } },
    green: {
      entry: { type: 'lamp', params: { colour: 'green' } },
      on: { STOP: 'red' },
      // Far longer than a flush takes: what was sent is looked at before.
      after: { 2000: 'red' },
    },
  },
});
const options = { events: { GO: ['by'] } };
const cause = (id: string) => ({ id, ts: Date.now() });

it('a transition on one node moves the actor on the other, and tells it once, in order', async () => {
  const { url } = await relay();
  const [a, b] = [await node([{ url }], { found: true }), await node([{ url }])];
  for (const one of [a, b]) one.actors.register(light, options);
  const seen: ActorChange[] = [];
  b.actors.get('light/1').subscribe((change) => seen.push(change));
  const sent = await a.actors.get('light/1').send({ type: 'GO', by: 2 }, { cause: cause('$1') });
  expect(sent).toMatchObject({ value: 'green', context: { turns: 2 }, status: 'active' });
  await eventually(() => seen.length > 0);
  await a.actors.get('light/1').send({ type: 'GO', by: 2 }, { cause: cause('$1') });
  await eventually(() => b.actors.get('light/1').snapshot().value === 'red');
  expect(seen.map(({ event, to }) => [event?.type, to.value])).toEqual([
    ['GO', 'green'],
    ['understudy.timer', 'red'],
  ]);
  expect(a.actors.get('light/1').snapshot().context).toEqual({ turns: 2 });
});

it('effects are carried out by one of two, marked done, and their result comes back as an event', async () => {
  const { url } = await relay();
  const nodes: StateNode[] = [await node([{ url }], { found: true }), await node([{ url }])];
  const carried: string[] = [];
  for (const one of nodes) {
    one.actors.register(light, options);
    one.actors.carryOut('light', 'lamp', (effect) => {
      carried.push(effect.id);
      return Promise.resolve({ type: 'STOP' });
    });
  }
  await nodes[0]?.actors.get('light/2').send({ type: 'GO' }, { cause: cause('$1') });
  for (const one of nodes) await eventually(() => one.actors.get('light/2').snapshot().value === 'red');
  for (const one of nodes) await eventually(() => one.actors.pending() === 0);
  expect(new Set(carried).size).toBe(1);
});

it('bad input is a typed error, and the state stays as it was', async () => {
  const one = await node([], { found: true });
  one.actors.register(light, options);
  const actor = one.actors.get('light/3');
  const code = async (run: () => unknown) => {
    try {
      await run();
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return undefined;
  };
  expect(await code(() => actor.send({ type: 'NOPE' }, { cause: cause('$1') }))).toBe('unknown-event');
  expect(await code(() => actor.send({ type: 'GO', text: 'x' }, { cause: cause('$1') }))).toBe(
    'invalid-event',
  );
  expect(await code(() => actor.send({ type: 'GO' }, { cause: cause('$1'), existing: true }))).toBe(
    'missing-actor',
  );
  expect(await code(() => one.actors.get('nobody/1'))).toBe('unknown-machine');
  expect(await code(() => one.actors.get('no key'))).toBe('bad-key');
  expect(actor.exists).toBe(false);
  expect(actor.snapshot()).toMatchObject({ value: 'red', context: { turns: 0 } });
});
