import { assign, setup } from 'xstate';
import { describe, expect, it } from 'vitest';
import type { OpenNodeOptions, StateNode } from '../../src/index.js';
import { eventually, folder, MemoryStorage, node, relay, sameHeads } from '../node/world.js';

/** Keeps the ids of all events that it took, in their order: what is lost, counted twice or out of place shows. */
const list = setup({
  types: { context: {} as { ids: string[] }, events: {} as { type: 'E' } },
  actions: {
    note: assign({ ids: ({ context, event }) => [...context.ids, (event as unknown as { id: string }).id] }),
  },
}).createMachine({ id: 'list', context: { ids: [] }, on: { E: { actions: 'note' } } });

/** Ids of events that are older than a member may be away are not kept. */
const START = Date.now() - 60_000;
const ROOM = '!room:x';
const KEY = `list/${ROOM}`;

async function listing(
  relays: readonly { url: string }[],
  options: Partial<OpenNodeOptions> = {},
): Promise<StateNode> {
  const found = relays.length === 0;
  const opened = await node(relays, { shards: 8, found, generations: { events: 1 }, ...options });
  opened.actors.register(list);
  return opened;
}

const send = (to: StateNode, id: string, ts: number): Promise<unknown> =>
  to.actors.send(KEY, { type: 'E' }, { cause: { id, ts: START + ts } });
const idsOf = (of: StateNode): string[] => (of.actors.snapshot(KEY).context as { ids: string[] }).ids;
const cut = (of: StateNode, ...shards: number[]): Promise<number> =>
  of.cutIfDue({ mayCut: (shard) => shards.includes(shard) });
const everyShard = (of: StateNode): number[] => Array.from({ length: of.shards }, (_, index) => index);

/** The room gets its person. */
async function personComes(to: StateNode, person = '@carol:x'): Promise<void> {
  const write = { kind: 'room' as const, key: `matrix_room:${ROOM}`, fields: { matrix_user_id: person } };
  await to.change([write], { id: '$record', ts: START + 300 });
}

const historyOf = async (of: StateNode): Promise<string[]> =>
  (await of.history(KEY)).entries.map(({ event }) => event.id);

it('A6-place: an actor stays in its shard when its room gets a person, and another one, between cuts', async () => {
  const hub = await relay();
  const dirs = [await folder(), await folder()];
  const one = await listing([hub], { dataDir: dirs[0]! });
  const two = await listing([hub], { dataDir: dirs[1]! });
  const shard = one.shardOfActor(KEY);
  const expected: string[] = [];
  for (const [at, person] of [undefined, '@carol:x', '@dan:x', undefined, '@erin:x'].entries()) {
    if (person !== undefined) await personComes(one, person);
    expect(one.shardOfActor(KEY)).toBe(shard);
    await send(one, `$${at}`, 1000 * at);
    expected.push(`$${at}`);
    expect(await cut(one, ...everyShard(one))).toBe(1);
    // What counts already counts no more when it is sent again.
    await send(one, '$0', 5000);
    await eventually(() => sameHeads(one, two));
    for (const each of [one, two]) {
      expect(idsOf(each)).toEqual(expected);
      expect(await historyOf(each)).toEqual(expected);
    }
  }
  await one.close();
  await two.close();
  const again = await listing([hub], { dataDir: dirs[0]! });
  expect(idsOf(again)).toEqual(expected);
  expect((await again.historyAt(KEY, START + 2500))?.context).toEqual({ ids: ['$0', '$1', '$2'] });
  const fresh = await listing([hub]);
  expect(await fresh.synced(30_000)).toBe(true);
  expect(idsOf(fresh)).toEqual(expected);
});

describe('two sides apart', () => {
  /** Two replicas with a relay each, and one in common that can be taken away. */
  async function sides() {
    const storage = new MemoryStorage();
    let common = await relay({ storage });
    const own = [await relay(), await relay()];
    const nodes: StateNode[] = [];
    for (const hub of own) nodes.push(await listing([hub, common]));
    await eventually(() => sameHeads(...nodes));
    return {
      nodes: nodes as [StateNode, StateNode],
      part: async () => {
        await common.close();
        const open = (one: StateNode): number => one.relays().filter(({ state }) => state === 'open').length;
        await eventually(() => nodes.every((one) => open(one) === 1));
      },
      join: async () => {
        common = await relay({ storage, port: common.port });
        await eventually(() => sameHeads(...nodes));
      },
    };
  }

  it('A6-place: one that knows the record and one that does not may each cut: every event counts once', async () => {
    const { nodes, part, join } = await sides();
    const [one, two] = nodes;
    await send(one, '$1', 100);
    await eventually(() => idsOf(two).length === 1);
    await part();
    await send(two, '$a', 200);
    await cut(two, ...everyShard(two));
    await send(two, '$b', 300);
    await personComes(one);
    await send(one, '$2', 400);
    await cut(one, ...everyShard(one));
    await send(one, '$3', 500);
    await join();
    const all = ['$1', '$2', '$3', '$a', '$b'];
    await eventually(() => nodes.every((each) => idsOf(each).length >= 5) && sameHeads(...nodes));
    for (const each of [one, two, one]) {
      for (const one of nodes) expect([...idsOf(one)].sort()).toEqual(all);
      await cut(each, ...everyShard(each));
      await eventually(() => sameHeads(...nodes));
    }
    expect(idsOf(one)).toEqual(idsOf(two));
    // Whose cut counts has its archive; the other one says what it is missing.
    const told = await Promise.all(nodes.map((each) => each.history(KEY)));
    const whole = told.filter(({ missing }) => missing.length === 0);
    expect(whole.length).toBeGreaterThan(0);
    for (const { entries } of whole) expect(entries.map(({ event }) => event.id).sort()).toEqual(all);
  });
});

it('A6-mixed: after two foundings with different numbers of shards nothing is cut, and every event counts', async () => {
  const hubs = [await relay(), await relay()];
  const dirs = [await folder(), await folder()];
  const one = await listing([hubs[0]!], { dataDir: dirs[0]!, shards: 2, found: true });
  const two = await listing([hubs[1]!], { dataDir: dirs[1]!, shards: 8, found: true });
  const keys = ['list/1', 'list/2', 'list/3', 'list/4'];
  const put = (to: StateNode, key: string, id: string, ts: number): Promise<unknown> =>
    to.actors.send(key, { type: 'E' }, { cause: { id, ts: START + ts } });
  for (const [at, key] of keys.entries()) {
    await put(one, key, `$a${at}`, 100 + at);
    await put(two, key, `$b${at}`, 200 + at);
  }
  expect(await cut(two, ...everyShard(two))).toBeGreaterThan(0);
  await one.close();
  await two.close();
  const open = (at: number): Promise<StateNode> => listing(hubs, { dataDir: dirs[at]!, shards: 8 });
  const nodes = [await open(0), await open(1)];
  const ids = (of: StateNode, key: string): string[] =>
    [...(of.actors.snapshot(key).context as { ids: string[] }).ids].sort();
  const whole = (of: StateNode): boolean => keys.every((key) => ids(of, key).length >= 2);
  await eventually(() => nodes.every(whole) && sameHeads(...nodes));
  for (const each of nodes) {
    expect(await cut(each, 0, 1, 2, 3, 4, 5, 6, 7)).toBe(0);
    expect(each.counters().generations.cutsNotMade).toBeGreaterThan(0);
  }
  await put(nodes[0]!, 'list/1', '$c', 300);
  await eventually(() => ids(nodes[1]!, 'list/1').length === 3 && sameHeads(...nodes));
  for (const each of nodes) {
    expect(ids(each, 'list/1')).toEqual(['$a0', '$b0', '$c']);
    for (const at of [1, 2, 3]) expect(ids(each, keys[at]!)).toEqual([`$a${at}`, `$b${at}`]);
  }
});

it('A6-mixed: what both had cut before they met stands as one of them left it, and all of it is in the history', async () => {
  const hubs = [await relay(), await relay()];
  const dirs = [await folder(), await folder()];
  const one = await listing([hubs[0]!], { dataDir: dirs[0]!, shards: 2, found: true });
  const two = await listing([hubs[1]!], { dataDir: dirs[1]!, shards: 8, found: true });
  for (const [at, each] of [one, two].entries()) {
    await each.actors.send('list/1', { type: 'E' }, { cause: { id: `$${at}`, ts: START + at } });
    expect(await cut(each, ...everyShard(each))).toBe(1);
    await each.close();
  }
  const nodes = [
    await listing(hubs, { dataDir: dirs[0]!, shards: 8 }),
    await listing(hubs, { dataDir: dirs[1]!, shards: 8 }),
  ];
  await eventually(() => sameHeads(...nodes) && nodes.every((each) => each.shards === 2));
  const states = nodes.map((each) => (each.actors.snapshot('list/1').context as { ids: string[] }).ids);
  expect(states[0]).toHaveLength(1);
  expect(states[1]).toEqual(states[0]);
  for (const each of nodes) {
    const { entries } = await each.history('list/1');
    expect(entries.map(({ event }) => event.id).sort()).toEqual(['$0', '$1']);
  }
});
