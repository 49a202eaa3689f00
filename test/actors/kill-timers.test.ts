import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rendezvousOrder } from '../../src/routing/rendezvous.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import type { Plan } from './children/actor-child.js';
import { changing, forEachOf } from './children/each.js';
import { onDisk } from './children/on-disk.js';
import { KEY, ORDER, order } from './children/order.js';

const children = compiledChildren('test/actors/children', ['actor-child']);
const run = (plan: Plan) => startChild(children.path('actor-child'), [JSON.stringify(plan)]);
const PARK: NonNullable<Plan['send']> = [{ id: '$park', event: { type: 'PARK' } }];
const DELAY_MS = 600;

/** Runs a child that parks an order, in a copy of a folder; what it died at, and where. */
async function parked(from: string | undefined, die: Plan['die']): Promise<{ dir: string; lines: string[] }> {
  const dir = join(await folder(), 'data');
  if (from !== undefined) await cp(from, dir, { recursive: true });
  const child = run({ dir, send: PARK, ...(die && { die }) });
  await child.ended;
  return { dir, lines: child.lines };
}

/** Opens the folder in this process until nothing waits; gives how often the timer has fired. */
async function restarted(dir: string): Promise<number> {
  const one = await node([], { dataDir: dir, shards: 1 });
  one.actors.register(order, ORDER);
  await one.actors.ready();
  await eventually(() => one.actors.pending() === 0);
  const { value, context } = one.actors.get(KEY).snapshot();
  expect(value).toBe('cart');
  await one.close();
  return (context as { parked: number }).parked;
}

const firings = async (dir: string) =>
  (await onDisk(dir)).events.filter(({ type }) => type === 'understudy.timer');

it('a timer that came due while everybody was down fires after the start, once', async () => {
  const { dir, lines } = await parked(undefined, { at: 'acknowledged' });
  expect(lines).toContain('sent $park');
  const [park] = (await onDisk(dir)).events.filter(({ id }) => id === '$park');
  expect(await firings(dir)).toEqual([]);
  await eventually(() => Date.now() > (park?.stamp ?? Infinity) + DELAY_MS);
  const began = Date.now();
  expect(await restarted(dir)).toBe(1);
  expect(Date.now() - began).toBeLessThan(5_000);
  // It stands where it was due, not where it was caught up with.
  expect(await firings(dir)).toMatchObject([{ ts: (park?.stamp ?? 0) + DELAY_MS }]);
  expect(await restarted(dir)).toBe(1);
  expect(await firings(dir)).toHaveLength(1);
});

it('a timer that is killed before it is due waits for the rest of its time', async () => {
  const { dir } = await parked(undefined, { at: 'acknowledged' });
  const one = await node([], { dataDir: dir, shards: 1 });
  one.actors.register(order, ORDER);
  const { value } = one.actors.get(KEY).snapshot();
  const { ts } = one.actors.get(KEY).history().at(-1)?.event ?? { ts: 0 };
  if (Date.now() < ts + DELAY_MS) expect(value).toBe('waiting');
  await eventually(() => one.actors.get(KEY).snapshot().value === 'cart');
  expect(Date.now()).toBeGreaterThanOrEqual(ts + DELAY_MS);
});

it('killed at every file call of its firing, it fires once', async () => {
  const from = await folder();
  const one = await node([], { dataDir: from, found: true, shards: 1, durability: 'fsync' });
  one.actors.register(order, ORDER);
  for (let item = 0; item < 16; item += 1) {
    await one.actors.get(KEY).send({ type: 'ADD' }, { cause: { id: `$${item}`, ts: Date.now() } });
  }
  await one.close();
  const { lines } = await parked(from, { at: 'acknowledged', call: 1000 });
  const said = lines.find((line) => line.startsWith('calls ')) ?? '';
  const calls = JSON.parse(said.slice('calls '.length)) as string[];
  expect(calls).toContain('rename');
  const fired = { before: 0, after: 0 };
  await forEachOf(changing(calls), async (call) => {
    const { dir } = await parked(from, { at: 'acknowledged', call });
    fired[(await firings(dir)).length === 0 ? 'after' : 'before'] += 1;
    expect(await restarted(dir)).toBe(1);
    expect(await firings(dir)).toHaveLength(1);
  });
  expect(fired.before).toBeGreaterThan(0);
  expect(fired.after).toBeGreaterThan(3);
}, 60_000);

it('a timer of a replica that was killed is fired by another, once, and not again when the first comes back', async () => {
  const [first = '', second = ''] = rendezvousOrder(0, ['one', 'two']);
  const { url } = await relay();
  const dirs = [join(await folder(), 'data'), join(await folder(), 'data')] as const;
  const relays = [url];
  const other = run({ dir: dirs[1], replica: second, relays, stay: true });
  await other.line((line) => line === 'open');
  const die = { at: 'acknowledged', replicated: true } as const;
  const killed = run({ dir: dirs[0], replica: first, relays, send: PARK, die, stay: true });
  expect(await killed.ended).toBe('SIGKILL');
  const watch = await node([{ url }], { shards: 1 });
  watch.actors.register(order, ORDER);
  const actor = watch.actors.get(KEY);
  await eventually(() => actor.snapshot().value === 'cart' && actor.exists);
  const back = run({ dir: dirs[0], replica: first, relays, stay: true });
  await back.line((line) => line.startsWith('settled '));
  await watch.replicated(10_000);
  for (const child of [back, other]) await child.kill();
  expect(actor.snapshot()).toMatchObject({ value: 'cart', context: { parked: 1 } });
  expect(actor.history().filter(({ event }) => event.type === 'understudy.timer')).toHaveLength(1);
}, 60_000);
