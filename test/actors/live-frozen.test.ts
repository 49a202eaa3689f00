import { assign, setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import { eventOf, MemoryPort } from './memory-port.js';

interface Context {
  n: number;
  list: string[];
}
const definition = { n: 0, list: [] as string[] };
const machine = setup({
  types: {
    context: {} as Context,
    events: {} as { type: 'ADD' | 'SPOIL'; id: string; tag?: { names: string[] } },
  },
  actions: {
    add: assign({
      n: ({ context }) => context.n + 1,
      list: ({ context, event }) => [...context.list, ...(event.tag?.names ?? [event.id])],
    }),
    spoil: assign(({ context }) => {
      context.list.push('spoilt');
      return {};
    }),
  },
}).createMachine({
  id: 'list',
  context: definition,
  type: 'parallel',
  on: { ADD: { actions: 'add' }, SPOIL: { actions: 'spoil' } },
  states: { x: {}, y: {} },
});
const KEY = 'list/1';
const cause = (id: string) => ({ id, ts: 1 });

function open(): { port: MemoryPort; actors: LiveActors } {
  const port = new MemoryPort();
  const actors = new LiveActors(port);
  actors.register(machine, { events: { ADD: ['tag'] } });
  return { port, actors };
}

it('A1 a caller cannot change the state that the fold goes on from', async () => {
  const { actors } = open();
  const sent = await actors.send(KEY, { type: 'ADD' }, { cause: cause('$1') });
  expect(() => (sent.context as unknown as Context).list.push('HACK')).toThrow(TypeError);
  expect(() => ((sent.context as unknown as Context).n = 99)).toThrow(TypeError);
  expect(() => ((sent.value as { x: unknown }).x = 'gone')).toThrow(TypeError);
  const next = await actors.send(KEY, { type: 'ADD' }, { cause: cause('$2') });
  expect(next.context).toEqual({ n: 2, list: ['$1', '$2'] });
});

it('nor the initial state, which all actors of a machine share; the definition stays its owner’s', () => {
  const { actors } = open();
  const { context } = actors.snapshot('list/unbegun');
  expect(() => (context as unknown as Context).list.push('HACK')).toThrow(TypeError);
  expect(actors.snapshot('list/other').context).toEqual({ n: 0, list: [] });
  expect(Object.isFrozen(definition)).toBe(false);
});

it('what a caller gave as an event stays the caller’s, and does not follow its changes', async () => {
  const { actors } = open();
  const tag = { names: ['one'] };
  const sent = actors.send(KEY, { type: 'ADD', tag }, { cause: cause('$1') });
  tag.names.push('two');
  expect((await sent).context).toEqual({ n: 1, list: ['one'] });
  expect(actors.get(KEY).history()[0]?.event.data).toEqual({ tag: { names: ['one'] } });
});

it('an assignment that changes the context in place is refused at send, and quarantines when it is merged', async () => {
  const { port, actors } = open();
  await actors.send(KEY, { type: 'ADD' }, { cause: cause('$1') });
  const spoilt = actors.send(KEY, { type: 'SPOIL' }, { cause: cause('$2') });
  await expect(spoilt).rejects.toMatchObject({ name: 'ActorError', code: 'transition-failed' });
  expect(actors.snapshot(KEY).context).toEqual({ n: 1, list: ['$1'] });
  port.merge([eventOf(KEY, '$3', Date.now(), { type: 'SPOIL' })]);
  expect(actors.snapshot(KEY)).toMatchObject({
    status: 'quarantined',
    context: { n: 1, list: ['$1'] },
    reason: { code: 'transition-failed' },
  });
});
