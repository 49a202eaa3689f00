import { assign, setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import type { ActorChange } from '../../src/index.js';
import { eventually } from '../node/world.js';
import { eventOf, MemoryPort } from './memory-port.js';

const machine = setup({
  types: { context: {} as { b: number; a: number }, events: {} as { type: 'E' | 'F' } },
  actions: {
    inc: assign({ b: ({ context }) => context.b + 1 }),
    set: assign({ b: ({ context }) => context.b * 10 }),
  },
}).createMachine({
  id: 'count',
  context: { b: 0, a: 0 },
  initial: 'on',
  states: { on: { on: { E: { actions: 'inc' }, F: { actions: 'set' } } } },
});
const KEY = 'count/1';
const cause = (id: string, ts = Date.now()) => ({ id, ts });

function open(): { port: MemoryPort; actors: LiveActors; send: (id: string) => Promise<unknown> } {
  const port = new MemoryPort();
  const actors = new LiveActors(port);
  actors.register(machine);
  return { port, actors, send: (id) => actors.send(KEY, { type: 'E' }, { cause: cause(id) }) };
}

const n = ({ context }: ActorChange['to']): number => (context as { b: number }).b;
const told = ({ event, from, to }: ActorChange): string => `${event?.id ?? 'move'}: ${n(from)} to ${n(to)}`;

it('what a subscriber sends is told after what it was told, once, to every subscriber', async () => {
  const { actors, send } = open();
  const first: string[] = [];
  const second: string[] = [];
  actors.get(KEY).subscribe((change) => {
    first.push(told(change));
    if (change.event?.id === '$1') void send('$2');
  });
  actors.get(KEY).subscribe((change) => second.push(told(change)));
  await send('$1');
  const all = ['$1: 0 to 1', '$2: 1 to 2'];
  expect([first, second]).toEqual([all, all]);
});

it('all that came together is taken in before anybody hears of it, so that an answer counts behind it', async () => {
  const { port, actors } = open();
  const seen: string[] = [];
  actors.get(KEY).subscribe((change) => {
    seen.push(told(change));
    if (seen.length === 1) void actors.send(KEY, { type: 'E' }, { cause: cause('$answer', 1) });
  });
  port.merge([eventOf(KEY, '$a', 5, { type: 'E' }), eventOf(KEY, '$b', 9, { type: 'E' })]);
  await eventually(() => seen.length === 3);
  expect(seen).toEqual(['$a: 0 to 1', '$b: 1 to 2', '$answer: 2 to 3']);
  expect(actors.get(KEY).history().at(-1)?.event).toMatchObject({ id: '$answer', stamp: 10 });
});

it('who unsubscribes meanwhile hears no more, who subscribes meanwhile hears what comes', async () => {
  const { port, actors } = open();
  const left: string[] = [];
  const joined: string[] = [];
  let stop = () => {};
  actors.get(KEY).subscribe(() => {
    stop();
    if (joined.length === 0) actors.get(KEY).subscribe((change) => joined.push(told(change)));
  });
  stop = actors.get(KEY).subscribe((change) => left.push(told(change)));
  port.merge([eventOf(KEY, '$a', 5, { type: 'E' })]);
  expect(n(actors.snapshot(KEY))).toBe(1);
  expect([left, joined]).toEqual([[], []]);
  await actors.send(KEY, { type: 'E' }, { cause: cause('$b') });
  expect([left, joined]).toEqual([[], ['$b: 1 to 2']]);
});

it('a subscriber that throws or rejects is logged, and holds up nobody', async () => {
  const { port, actors, send } = open();
  const seen: string[] = [];
  actors.get(KEY).subscribe(() => {
    throw new Error('threw');
  });
  actors.get(KEY).subscribe(async () => {
    await Promise.resolve();
    throw new Error('rejected');
  });
  actors.get(KEY).subscribe((change) => seen.push(told(change)));
  await send('$1');
  await eventually(() => port.lines.length === 2);
  expect(port.lines.map(({ about }) => (about['err'] as Error).message)).toEqual(['threw', 'rejected']);
  expect(seen).toEqual(['$1: 0 to 1']);
});

it('A2 an event written at two replicas is told once; where the lower stamp moves the actor, as a move', async () => {
  const { port, actors } = open();
  const seen: string[] = [];
  actors.get(KEY).subscribe((change) => seen.push(told(change)));
  port.merge([eventOf(KEY, '$add', 5, { type: 'E' }), eventOf(KEY, '$same', 9, { type: 'F' })]);
  expect(n(actors.snapshot(KEY))).toBe(10);
  port.merge([eventOf(KEY, '$same', 3, { type: 'F' })]);
  expect(n(actors.snapshot(KEY))).toBe(1);
  port.merge([eventOf(KEY, '$same', 2, { type: 'F' })]);
  actors.snapshot(KEY);
  expect(seen).toEqual(['$add: 0 to 1', '$same: 1 to 10', 'move: 10 to 1']);
  await Promise.resolve();
});

it('A6 a generation that changes nothing tells nothing, whatever the order of the keys in its context', () => {
  const { port, actors } = open();
  const seen: ActorChange[] = [];
  actors.get(KEY).subscribe((change) => seen.push(change));
  const { hash } = actors.machines.latest('count') as { hash: string };
  const base = (context: { a: number; b: number }, stamp: number) => ({
    kind: 'base' as const,
    key: `base:${KEY}`,
    fields: {
      base: {
        ...{ version: 1, hash, stamp, timers: [], effects: [], absorbed: [] },
        snapshot: { status: 'active', value: 'on', context, historyValue: {} },
      },
    },
  });
  port.merge([base({ a: 0, b: 0 }, 1)]);
  actors.snapshot(KEY);
  actors.reload();
  expect(seen).toEqual([]);
  port.merge([base({ a: 0, b: 7 }, 2)]);
  actors.snapshot(KEY);
  expect(seen.map(told)).toEqual(['move: 0 to 7']);
});
