import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  approvalReactions,
  interactivePrompts,
  messageKey,
  sentMessages,
  threadKey,
  threadParticipation,
  type KeyedStore,
  type KeyedStoreOptions,
  type StateNode,
} from '../../src/index.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { MovedClock } from './world.js';

interface Case<V> {
  options: KeyedStoreOptions<V>;
  value: V;
  other: V;
  keys: string[];
}

const channels = [
  { surface: 'slack', workspace: 'T024BE7LD', channel: 'C024BE91L' },
  { surface: 'discord', workspace: '81384788765712384', channel: '381870553235193857' },
  {
    surface: 'teams',
    workspace: '72f988bf-86f1',
    channel: '19:253b1f341670408fb@thread.tacv2;messageid=1481567603816',
  },
  { surface: 'matrix', channel: '!a/room%2F:example.org' },
] as const;
const things = ['1503435956.000247', '1046183482183450624', '1616990032035', '$event/with%slash:example.org'];
const messages = channels.map((channel, index) =>
  messageKey({ ...channel, message: things[index] as string }),
);
const threads = channels.map((channel, index) => threadKey({ ...channel, thread: things[index] as string }));

const cases: [string, Case<unknown>][] = [
  [
    'thread-participation',
    { options: threadParticipation, value: { agent: 'echo' }, other: { agent: 'drill' }, keys: threads },
  ],
  [
    'interactive-prompts',
    {
      options: interactivePrompts,
      value: { kind: 'buttons', source: '$prompt', choices: ['yes', 'no'], person: '@alice:example.org' },
      other: { kind: 'reactions', source: '$prompt', choices: ['👍'] },
      keys: messages,
    },
  ],
  [
    'sent-messages',
    {
      options: sentMessages,
      value: { source: '$1', agent: 'echo' },
      other: { source: '$2' },
      keys: messages,
    },
  ],
  [
    'approval-reactions',
    {
      options: approvalReactions,
      value: { approval: 'approval-1', decisions: { '👍': 'approve', '👎': 'deny' } },
      other: { approval: 'approval-2', decisions: { '✅': 'approve' }, person: '@bob:example.org' },
      keys: messages,
    },
  ],
];

describe.each(cases)('namespace %s', (_, { options, value, other, keys }) => {
  const open = (on: StateNode): Promise<KeyedStore<unknown>> =>
    on.openKeyedStore({ ...options, persistent: true });
  const [first, second] = keys as [string, string];

  it('keeps keys of Slack, Discord, Teams and Matrix apart, and gives back what was set', async () => {
    const store = await open(await node([], { found: true }));
    expect(new Set(keys).size).toBe(4);
    for (const key of keys) expect(store.register(key, value)).toBe(true);
    expect(keys.map((key) => store.lookup(key))).toEqual([value, value, value, value]);
    expect(store.register(second, other)).toBe(true);
    expect(store.registerIfAbsent(second, value)).toEqual({ registered: false, value: other });
    expect(store.entries()).toHaveLength(4);
    expect(store.clear()).toBe(4);
    expect(store.size).toBe(0);
  });

  it('survives a restart', async () => {
    const dataDir = await folder();
    const before = await node([], { found: true, dataDir });
    const store = await open(before);
    store.register(first, value);
    store.register(second, other);
    store.consume(second);
    expect(await store.flush()).toBe(true);
    await before.close();
    const after = await open(await node([], { found: true, dataDir }));
    expect(after.lookup(first)).toEqual(value);
    expect(after.lookup(second)).toBeUndefined();
    expect(after.entries().map(({ key }) => key)).toEqual([first]);
  });

  it('reaches another replica, also one that opens it later', async () => {
    const hub = await relay();
    const [one, two] = [await node([hub]), await node([hub])];
    const [left, right] = [await open(one), await open(two)];
    left.register(first, value);
    await eventually(() => right.lookup(first) !== undefined);
    right.register(first, other);
    await eventually(() => isDeepStrictEqual(left.lookup(first), other));
    const late = await open(await node([hub]));
    await eventually(() => late.lookup(first) !== undefined);
    expect(late.lookup(first)).toEqual(other);
  });

  it('is consumed once, and stays consumed on every replica', async () => {
    const hub = await relay();
    const dataDir = await folder();
    const [one, two] = [await node([hub], { dataDir }), await node([hub])];
    const [left, right] = [await open(one), await open(two)];
    left.register(first, value);
    await eventually(() => right.lookup(first) !== undefined);
    expect(right.consume(first)).toEqual(value);
    expect(right.consume(first)).toBeUndefined();
    await eventually(() => left.lookup(first) === undefined);
    expect(left.consume(first)).toBeUndefined();
    await left.flush();
    await one.close();
    const again = await open(await node([hub], { dataDir }));
    expect(again.lookup(first)).toBeUndefined();
    // Who has heard of it may register the key anew.
    expect(again.registerIfAbsent(first, other)).toEqual({ registered: true, value: other });
    await eventually(() => right.lookup(first) !== undefined);
    expect(one.counters().keyed.consumedTwice + two.counters().keyed.consumedTwice).toBe(0);
  });

  it('is over after its ttl, in memory and in documents', async () => {
    const clock = new MovedClock();
    const dataDir = await folder();
    const before = await node([], { found: true, dataDir, clock });
    const store = await open(before);
    const at = clock.now();
    store.register(first, value, { at });
    const life = 'ttl' in options ? options.ttl : 364 * 24 * 60 * 60_000;
    expect(store.register(second, value, { at: at - life })).toBe(false);
    clock.pass(life - 60_000);
    expect(store.lookup(first)).toEqual(value);
    clock.pass(60_000);
    expect(store.lookup(first)).toBeUndefined();
    expect(store.entries()).toEqual([]);
    await store.flush();
    await before.close();
    expect((await open(await node([], { found: true, dataDir, clock }))).lookup(first)).toBeUndefined();
  });

  it('keeps the newest at its cap, the same ones after a restart', async () => {
    const dataDir = await folder();
    const before = await node([], { found: true, dataDir });
    const store = await open(before);
    const from = Date.now() - 60_000;
    const most = options.maxEntries;
    for (let index = 0; index <= most; index += 1)
      store.register(`${first}/${index}`, value, { at: from + index });
    expect(store.size).toBe(most);
    expect(store.lookup(`${first}/0`)).toBeUndefined();
    expect(store.lookup(`${first}/1`)).toEqual(value);
    expect(before.counters().keyed.evictions).toBe(1);
    expect(before.keyedEntries()).toEqual(new Map([[options.namespace, most]]));
    await store.flush();
    await before.close();
    const after = await open(await node([], { found: true, dataDir }));
    expect(after.size).toBe(most);
    expect(after.lookup(`${first}/0`)).toBeUndefined();
    expect(after.entries()[0]?.key).toBe(`${first}/1`);
  });

  it('counts one bad row and shows the others', async () => {
    const hub = await relay();
    const [one, two] = [await node([hub]), await node([hub])];
    const store = await open(one);
    const stranger = await two.openKeyedStore({ ...options, shape: z.unknown(), persistent: true });
    stranger.register(first, 'of another shape');
    stranger.register(second, value);
    await eventually(() => store.lookup(second) !== undefined);
    expect(store.lookup(first)).toBeUndefined();
    expect(store.entries().map(({ key }) => key)).toEqual([second]);
    expect(one.counters().keyed.badRows).toBeGreaterThan(0);
    // The key is not lost for good.
    expect(store.registerIfAbsent(first, value)).toEqual({ registered: true, value });
    await eventually(() => isDeepStrictEqual(stranger.lookup(first), value));
  });

  it('goes on in memory while its documents cannot be kept, and writes them when they can', async () => {
    const dataDir = await folder();
    const clock = new MovedClock(100);
    // A folder in the way of the file: nothing can be noted down, so no document is opened.
    const obstacle = join(dataDir, 'keyed.json.tmp');
    await mkdir(obstacle, { recursive: true });
    const before = await node([], { found: true, dataDir, clock });
    const store = await open(before);
    expect(before.counters().keyed.persistenceErrors).toBeGreaterThan(0);
    store.register(first, value);
    store.register(second, value);
    expect(store.lookup(first)).toEqual(value);
    expect(store.consume(second)).toEqual(value);
    expect(store.lookup(second)).toBeUndefined();
    expect(store.entries()).toHaveLength(1);
    expect(await store.flush()).toBe(false);
    expect(store.unsaved).toBe(2);

    await rmdir(obstacle);
    await eventually(() => store.unsaved === 0);
    expect(store.lookup(first)).toEqual(value);
    expect(await store.flush()).toBe(true);
    await before.close();
    const after = await open(await node([], { found: true, dataDir }));
    expect(after.entries().map(({ key }) => key)).toEqual([first]);
  });
});
