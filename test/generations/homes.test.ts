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

/** The room gets its person: its actors are at home in that one's shard from now on. Gives both shards. */
async function personComes(to: StateNode, person = '@carol:x'): Promise<{ before: number; after: number }> {
  const before = to.shardOfActor(KEY);
  const write = { kind: 'room' as const, key: `matrix_room:${ROOM}`, fields: { matrix_user_id: person } };
  await to.change([write], { id: '$record', ts: START + 300 });
  const after = to.shardOfActor(KEY);
  expect(after).not.toBe(before);
  return { before, after };
}

const historyOf = async (of: StateNode): Promise<string[]> =>
  (await of.history(KEY)).entries.map(({ event }) => event.id);

describe('an actor whose room got its record after its first events', () => {
  it.each([
    ['the new shard first', (before: number, after: number) => [after, before]],
    ['the old shard first', (before: number, after: number) => [before, after]],
  ])('A6-homes: keeps every event, once and in order, when both shards are cut, %s', async (_, order) => {
    const hub = await relay();
    const dirs = [await folder(), await folder()];
    const one = await listing([hub], { dataDir: dirs[0]! });
    const two = await listing([hub], { dataDir: dirs[1]! });
    await send(one, '$1', 100);
    await send(one, '$2', 200);
    const { before, after } = await personComes(one);
    await send(one, '$3', 400);
    const expected = ['$1', '$2', '$3'];
    await eventually(() => idsOf(two).length === 3 && sameHeads(one, two));
    let event = 3;
    for (const shard of [...order(before, after), ...order(before, after)]) {
      await cut(one, shard);
      expect(idsOf(one)).toEqual(expected);
      event += 1;
      await send(one, `$${event}`, event * 100 + 100);
      // What counts already counts no more when it is sent again.
      for (const id of ['$1', '$3']) await send(one, id, 5000);
      expected.push(`$${event}`);
      expect(idsOf(one)).toEqual(expected);
      expect(await historyOf(one)).toEqual(expected);
      await eventually(() => sameHeads(one, two));
      expect(idsOf(two)).toEqual(expected);
      expect(await historyOf(two)).toEqual(expected);
    }
    expect(two.counters().generations.notComputed).toBe(0);
    await one.close();
    await two.close();
    const again = await listing([hub], { dataDir: dirs[0]! });
    expect(idsOf(again)).toEqual(expected);
    expect(await historyOf(again)).toEqual(expected);
    expect((await again.historyAt(KEY, START + 250))?.context).toEqual({ ids: ['$1', '$2'] });
    expect((await again.historyAt(KEY, START + 450))?.context).toEqual({ ids: ['$1', '$2', '$3'] });
    const fresh = await listing([hub]);
    expect(await fresh.synced(10_000)).toBe(true);
    expect(idsOf(fresh)).toEqual(expected);
  });

  it('A6-homes: also when the old shard was cut before the record came', async () => {
    const one = await listing([]);
    await send(one, '$1', 100);
    await cut(one, one.shardOfActor(KEY));
    await send(one, '$2', 200);
    const { before, after } = await personComes(one);
    await send(one, '$3', 400);
    await cut(one, before);
    await send(one, '$4', 500);
    await cut(one, after);
    await send(one, '$5', 600);
    await cut(one, before, after);
    await send(one, '$1', 5000);
    await cut(one, ...everyShard(one));
    expect(idsOf(one)).toEqual(['$1', '$2', '$3', '$4', '$5']);
    expect(await historyOf(one)).toEqual(['$1', '$2', '$3', '$4', '$5']);
  });

  it('A6-homes: what is at home elsewhere leaves the old shard when the new one has it', async () => {
    const one = await listing([]);
    await send(one, '$1', 100);
    const { before, after } = await personComes(one);
    await cut(one, before);
    await one.actors.send('list/other', { type: 'E' }, { cause: { id: '$o', ts: START } });
    await cut(one, ...everyShard(one));
    const held = [...one.keys('event')].filter((key) => key.startsWith(`event:${KEY} `));
    expect(held).toEqual([]);
    expect(idsOf(one)).toEqual(['$1']);
    expect(one.histories.segments(KEY).map(({ shard }) => shard)).toContain(after);
  });
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
        await eventually(() => sameHeads(...nodes), 15_000);
      },
    };
  }

  it('A6-homes: one that knows the record and one that does not may each cut: every event counts once', async () => {
    const { nodes, part, join } = await sides();
    const [one, two] = nodes;
    await send(one, '$1', 100);
    await eventually(() => idsOf(two).length === 1);
    await part();
    await send(two, '$a', 200);
    await cut(two, two.shardOfActor(KEY));
    await send(two, '$b', 300);
    const { before, after } = await personComes(one);
    await send(one, '$2', 400);
    await cut(one, after);
    await send(one, '$3', 500);
    await join();
    const all = ['$1', '$2', '$3', '$a', '$b'];
    await eventually(() => nodes.every((each) => idsOf(each).length >= 5));
    for (const each of nodes) expect([...idsOf(each)].sort()).toEqual(all);
    await cut(one, before, after);
    await eventually(() => sameHeads(...nodes));
    await cut(two, before, after);
    await eventually(() => sameHeads(...nodes));
    for (const each of nodes) expect([...idsOf(each)].sort()).toEqual(all);
    expect(idsOf(one)).toEqual(idsOf(two));
    expect((await historyOf(one)).sort()).toEqual(all);
  });
});

it('A6-homes: actors of a founding with another number of shards keep every event', async () => {
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
  await cut(two, 0, 1, 2, 3);
  await one.close();
  await two.close();
  const open = (at: number): Promise<StateNode> => listing(hubs, { dataDir: dirs[at]!, shards: 8 });
  const nodes = [await open(0), await open(1)];
  const ids = (of: StateNode, key: string): string[] =>
    [...(of.actors.snapshot(key).context as { ids: string[] }).ids].sort();
  const whole = (of: StateNode): boolean => keys.every((key) => ids(of, key).length >= 2);
  await eventually(() => nodes.every(whole) && sameHeads(...nodes), 15_000);
  for (const each of nodes) {
    await cut(each, 0, 1, 2, 3, 4, 5, 6, 7);
    await eventually(() => sameHeads(...nodes), 15_000);
    for (const one of nodes) {
      for (const [at, key] of keys.entries()) expect(ids(one, key)).toEqual([`$a${at}`, `$b${at}`]);
    }
  }
});
