import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rendezvousOrder } from '../../src/routing/rendezvous.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import type { Plan } from './children/actor-child.js';
import { changing, forEachOf } from './children/each.js';
import { onDisk } from './children/on-disk.js';
import { KEY, ORDER, order, orderParkedFor, PARKED_MS } from './children/order.js';

const children = compiledChildren('test/actors/children', ['actor-child']);
const run = (plan: Plan) => startChild(children.path('actor-child'), [JSON.stringify(plan)]);
const PARK: NonNullable<Plan['send']> = [{ id: '$park', event: { type: 'PARK' } }];
/**
 * For how long an order is parked, milliseconds: longer where a machine takes longer than the first to write down that
 * it was.
 */
const DELAYS_MS = [PARKED_MS, 5_000, 20_000];

interface Parked {
  dir: string;
  lines: string[];
  delayMs: number;
  machine: typeof order;
}

/**
 * Runs a child that parks an order, in a copy of a folder made for such orders; what it died at, and where. It gets as
 * far as that the parking is durable and its timer has not fired.
 */
async function parked(
  from: ((machine: typeof order, delayMs: number) => Promise<string>) | undefined,
  die: Plan['die'],
): Promise<Parked> {
  for (const delayMs of DELAYS_MS) {
    const machine = orderParkedFor(delayMs);
    const dir = join(await folder(), 'data');
    if (from !== undefined) await cp(await from(machine, delayMs), dir, { recursive: true });
    const child = run({ dir, send: PARK, parkedMs: delayMs, ...(die && { die }) });
    await child.ended;
    const { lines } = child;
    // Else the disk was slower than the timer.
    if (lines.includes('stands "waiting"')) return { dir, lines, delayMs, machine };
  }
  throw new Error('parking was never durable before its timer fired');
}

/** Opens the folder in this process until nothing waits; gives how often the timer has fired. */
async function restarted({ dir, machine }: Parked): Promise<number> {
  const one = await node([], { dataDir: dir, shards: 1 });
  one.actors.register(machine, ORDER);
  await one.actors.ready();
  await eventually(() => one.actors.pending() === 0);
  const { value, context } = one.actors.get(KEY).snapshot();
  expect(value).toBe('cart');
  await one.close();
  return (context as { parked: number }).parked;
}

const eventsOf = async ({ dir, machine }: Parked) => (await onDisk(dir, machine)).events;
const firings = async (of: Parked) => (await eventsOf(of)).filter(({ type }) => type === 'understudy.timer');

it('a timer that came due while everybody was down fires after the start, once', async () => {
  const tookMs: number[] = [];
  // That it fires at the start and not at some later look shows on a machine that does not stand still meanwhile.
  while (tookMs.length < 3 && !tookMs.some((ms) => ms < 5_000)) {
    const waits = await parked(undefined, { at: 'acknowledged' });
    expect(waits.lines).toContain('sent $park');
    const [park] = (await eventsOf(waits)).filter(({ id }) => id === '$park');
    expect(await firings(waits)).toEqual([]);
    const due = (park?.stamp ?? Infinity) + waits.delayMs;
    await eventually(() => Date.now() > due);
    const began = Date.now();
    expect(await restarted(waits)).toBe(1);
    tookMs.push(Date.now() - began);
    // It stands where it was due, not where it was caught up with.
    expect(await firings(waits)).toMatchObject([{ ts: due }]);
    expect(await restarted(waits)).toBe(1);
    expect(await firings(waits)).toHaveLength(1);
  }
  expect(Math.min(...tookMs)).toBeLessThan(5_000);
}, 180_000);

it('a timer that is killed before it is due waits for the rest of its time', async () => {
  const { dir, delayMs, machine } = await parked(undefined, { at: 'acknowledged' });
  const one = await node([], { dataDir: dir, shards: 1 });
  one.actors.register(machine, ORDER);
  const { value } = one.actors.get(KEY).snapshot();
  const park = one.actors
    .get(KEY)
    .history()
    .find(({ event }) => event.id === '$park');
  const due = (park?.event.ts ?? Infinity) + delayMs;
  if (Date.now() < due) expect(value).toBe('waiting');
  await eventually(() => one.actors.get(KEY).snapshot().value === 'cart');
  expect(Date.now()).toBeGreaterThanOrEqual(due);
}, 180_000);

it('killed at every file call of its firing, it fires once', async () => {
  const made = new Map<number, Promise<string>>();
  const make = async (machine: typeof order) => {
    const from = await folder();
    const one = await node([], { dataDir: from, found: true, shards: 1, durability: 'fsync' });
    one.actors.register(machine, ORDER);
    for (let item = 0; item < 16; item += 1) {
      await one.actors.get(KEY).send({ type: 'ADD' }, { cause: { id: `$${item}`, ts: Date.now() } });
    }
    await one.close();
    return from;
  };
  const from = (machine: typeof order, delayMs: number) => {
    const known = made.get(delayMs) ?? make(machine);
    made.set(delayMs, known);
    return known;
  };
  const { lines } = await parked(from, { at: 'acknowledged', call: 1000 });
  const said = lines.find((line) => line.startsWith('calls ')) ?? '';
  const calls = JSON.parse(said.slice('calls '.length)) as string[];
  expect(calls).toContain('rename');
  const fired = { before: 0, after: 0 };
  await forEachOf(changing(calls), async (call) => {
    const killed = await parked(from, { at: 'acknowledged', call });
    fired[(await firings(killed)).length === 0 ? 'after' : 'before'] += 1;
    expect(await restarted(killed)).toBe(1);
    expect(await firings(killed)).toHaveLength(1);
  });
  expect(fired.before).toBeGreaterThan(0);
  expect(fired.after).toBeGreaterThan(3);
}, 300_000);

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
  await watch.replicated(60_000);
  for (const child of [back, other]) await child.kill();
  expect(actor.snapshot()).toMatchObject({ value: 'cart', context: { parked: 1 } });
  expect(actor.history().filter(({ event }) => event.type === 'understudy.timer')).toHaveLength(1);
}, 180_000);
