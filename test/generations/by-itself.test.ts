import { assign, setup } from 'xstate';
import { expect, it } from 'vitest';
import type { OpenNodeOptions, StateNode } from '../../src/index.js';
import { eventually, node, relay, sameHeads } from '../node/world.js';
import { cutNow, cutting, generationOf, send } from './world.js';

const counter = setup({
  types: { context: {} as { n: number }, events: {} as { type: 'GO' } },
  actions: { count: assign({ n: ({ context }) => context.n + 1 }) },
}).createMachine({
  id: 'counter',
  context: { n: 0 },
  initial: 'on',
  states: { on: { on: { GO: { actions: 'count' } } } },
});

async function counting(
  relays: readonly { url: string }[],
  generations: NonNullable<OpenNodeOptions['generations']>,
): Promise<StateNode> {
  const opened = await node(relays, { shards: 1, generations });
  opened.actors.register(counter);
  return opened;
}

/** Events of several actors, in changes of 250. */
async function feed(to: StateNode, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += 250) {
    const cause = { id: `$${at}`, ts: Date.now() };
    const writes = Array.from({ length: 10 }, (_, actor) => {
      const events = Array.from({ length: 25 }, (_, event) => ({
        event: { type: 'GO' },
        id: `$${at}/${event}`,
      }));
      return to.actors.writes(`counter/${actor}`, events, cause);
    });
    await to.actors.change(writes.flat(), cause);
  }
}

function totalOf(of: StateNode): number {
  const counts = Array.from({ length: 10 }, (_, actor) => of.actors.snapshot(`counter/${actor}`).context);
  return counts.reduce<number>((sum, context) => sum + (context as { n: number }).n, 0);
}

it('A6-due: after 2,000 events the generation goes up by itself, once, on both replicas', async () => {
  const hub = await relay();
  const nodes = [await counting([hub], { everyMs: 100 }), await counting([hub], { everyMs: 100 })];
  const [one, two] = nodes as [StateNode, StateNode];
  await feed(one, 0, 1750);
  await eventually(() => totalOf(two) === 1750);
  // Time for several looks.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(nodes.map(generationOf)).toEqual(['actors/0', 'actors/0']);
  await feed(two, 1750, 250);
  await eventually(() => nodes.every((each) => generationOf(each).startsWith('actors/0.1.')));
  await new Promise((resolve) => setTimeout(resolve, 500));
  await eventually(() => sameHeads(one, two));
  expect(generationOf(one)).toBe(generationOf(two));
  const cuts = nodes.map((each) => each.counters().generations.cuts);
  expect(cuts.sort((a, b) => a - b)).toEqual([0, 1]);
  expect(nodes.map(totalOf)).toEqual([2000, 2000]);
}, 60_000);

it('A6-due: whoever is told to cuts nothing while it is another one’s turn', async () => {
  const one = await node([], { found: true, shards: 1, generations: { events: 1, everyMs: 50 } });
  one.actors.register(counter);
  let isMine = false;
  const asked: number[] = [];
  one.cutTurn = (shard, since) => {
    asked.push(since);
    expect(shard).toBe(0);
    return isMine ? 0 : 1;
  };
  await feed(one, 0, 250);
  await eventually(() => asked.length >= 3);
  // It has been due since it was seen to be.
  expect(new Set(asked).size).toBe(1);
  expect(generationOf(one)).toBe('actors/0');
  isMine = true;
  await eventually(() => generationOf(one).startsWith('actors/0.1.'));
});

it('A6-reload: of a cut only the actors of its shard are read anew', async () => {
  const one = await node([], { found: true, shards: 8, generations: { events: 1, everyMs: 0 } });
  one.actors.register(counter);
  await feed(one, 0, 250);
  const shard = one.shardOfActor('counter/0');
  const others = Array.from({ length: 10 }, (_, at) => `counter/${at}`).filter(
    (actor) => one.shardOfActor(actor) !== shard,
  );
  expect(others.length).toBeGreaterThan(0);
  const told = new Set<string>();
  one.onChange(({ key }) => told.add(key));
  const before = others.map((actor) => one.actors.get(actor).snapshot());
  expect(await one.cutIfDue({ mayCut: (index) => index === shard })).toBe(1);
  // Folded anew, a context would be another object.
  for (const [at, actor] of others.entries()) {
    expect(one.actors.get(actor).snapshot().context).toBe(before[at]!.context);
    expect([...told].filter((key) => key.startsWith(`event:${actor} `))).toEqual([]);
  }
  expect(totalOf(one)).toBe(250);
});

it('A6-each: a shard that cannot be archived holds up no other, and is tried again', async () => {
  const one = await cutting([], { found: true, shards: 2 });
  const shards = new Map<number, string>();
  for (let at = 0; shards.size < 2; at += 1) shards.set(one.shardOfActor(`light/${at}`), `light/${at}`);
  for (const actor of shards.values()) await send(one, '$1', Date.now(), actor);
  const archive = ({ index }: { index: number }): Promise<void> =>
    index === 0 ? Promise.reject(new Error('disk full')) : Promise.resolve();
  expect(await one.cutIfDue({ mayCut: () => true, archive })).toBe(1);
  expect(one.counters().generations).toMatchObject({ cuts: 1, cutsFailed: 1 });
  expect(one.heads().filter(({ name }) => /^actors\/\d\.1\./.test(name))).toHaveLength(1);
  expect(await cutNow(one)).toBe(1);
});
