import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { assign, setup, createMachine, type AnyStateMachine } from 'xstate';
import { describe, expect, it } from 'vitest';
import type { ActorSnapshot, MachineOptions, StateNode } from '../../src/index.js';
import { readBase } from '../../src/actors/base.js';
import { basesOf } from '../../src/actors/cut.js';
import { Machines } from '../../src/actors/machines.js';
import { documentId } from '../../src/documents/ids.js';
import type { Json } from '../../src/documents/json.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { CLUSTER, eventually, folder, node } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';

const cause = (id: string) => ({ id, ts: Date.now() });
const send = (one: StateNode, key: string, ...types: string[]) =>
  types.reduce(
    async (before, type, index) => {
      await before;
      return one.actors.get(key).send({ type }, { cause: cause(`$${type}${index}`) });
    },
    Promise.resolve(undefined as unknown as ActorSnapshot),
  );
const open = (dataDir: string, more: Parameters<typeof node>[1] = {}) =>
  node([], { dataDir, found: true, shards: 1, ...more });

const player = setup({
  types: { context: {} as { plays: number } },
  actions: { count: assign({ plays: ({ context }) => context.plays + 1 }), light: () => {}, buzz: () => {} },
}).createMachine({
  id: 'player',
  context: { plays: 0 },
  initial: 'off',
  states: {
    off: { on: { ON: 'on.back' } },
    on: {
      type: 'parallel',
      entry: 'light',
      on: { OFF: 'off' },
      states: {
        sound: {
          initial: 'paused',
          states: {
            paused: { on: { PLAY: { target: 'playing', actions: 'count' } } },
            playing: {
              entry: 'buzz',
              initial: 'low',
              states: { low: { on: { LOUDER: 'high' } }, high: {} },
            },
          },
        },
        screen: { initial: 'dim', states: { dim: { on: { BRIGHTER: 'bright' } }, bright: {} } },
        back: { type: 'history', history: 'deep' },
      },
    },
  },
});
const HIGH = { on: { sound: { playing: 'high' }, screen: 'bright' } };

/** Counts what is carried out. */
function counting(one: StateNode, machine: string, ...names: string[]): string[] {
  const carried: string[] = [];
  for (const name of names) {
    one.actors.carryOut(machine, name, (effect) => {
      carried.push(`${name} ${effect.id}`);
      return Promise.resolve();
    });
  }
  return carried;
}

/** Bases of every actor in a closed replica's folder. */
async function basesIn(dir: string, machines: Machines): Promise<Map<string, Json>> {
  const storage = new DurableStorage({ dir: join(dir, 'documents'), log: silentLog });
  let document = A.init<Record<string, unknown>>();
  for (const { data } of await storage.loadRange([
    documentId(CLUSTER, { kind: 'actors', index: 0, generation: 0 }),
  ])) {
    if (data !== undefined) document = A.loadIncremental(document, data);
  }
  await storage.close(AbortSignal.timeout(30_000));
  return basesOf(document, machines, Date.now(), () => {});
}

describe('an actor after a reload', () => {
  it('stands in its nested, parallel and history states again, and no entry action runs', async () => {
    const dir = await folder();
    const one = await open(dir);
    one.actors.register(player);
    const before = counting(one, 'player', 'light', 'buzz');
    await send(one, 'player/1', 'ON', 'PLAY', 'LOUDER', 'BRIGHTER');
    await send(one, 'player/2', 'ON', 'PLAY', 'LOUDER', 'BRIGHTER', 'OFF');
    await eventually(() => one.actors.pending() === 0);
    expect(before).toHaveLength(4);
    await one.close();

    const again = await open(dir);
    const after = counting(again, 'player', 'light', 'buzz');
    again.actors.register(player);
    await again.actors.ready();
    expect(again.actors.get('player/1').snapshot()).toMatchObject({ value: HIGH, context: { plays: 1 } });
    expect(again.actors.get('player/2').snapshot().value).toBe('off');
    expect(again.actors.pending()).toBe(0);
    expect(after).toEqual([]);
    // History: where it was when it was switched off before the reload.
    const back = await again.actors.get('player/2').send({ type: 'ON' }, { cause: cause('$again') });
    expect(back.value).toEqual(HIGH);
    await eventually(() => again.actors.pending() === 0);
    expect(after.map((line) => line.split(' ')[0])).toEqual(expect.arrayContaining(['buzz', 'light']));
    expect(after).toHaveLength(2);
  });

  it('stands there again from the base of a generation, history too', async () => {
    const dir = await folder();
    const one = await open(dir);
    one.actors.register(player);
    await send(one, 'player/1', 'ON', 'PLAY', 'LOUDER', 'BRIGHTER');
    await send(one, 'player/2', 'ON', 'PLAY', 'LOUDER', 'BRIGHTER', 'OFF');
    await one.close();
    const machines = new Machines();
    machines.register(player);
    const bases = await basesIn(dir, machines);

    const next = await open(await folder());
    for (const [key, base] of bases) {
      const write = { kind: 'base', key: `base:${key}`, fields: { base } } as const;
      await next.change([write], { id: 'cut' });
    }
    next.actors.reload();
    next.actors.register(player);
    const carried = counting(next, 'player', 'light', 'buzz');
    expect(next.actors.get('player/1').snapshot()).toMatchObject({ value: HIGH, context: { plays: 1 } });
    expect(next.actors.get('player/2').snapshot().value).toBe('off');
    await next.actors.ready();
    // Nobody carried them out before the cut: they are owed, once each, and none is new.
    await eventually(() => next.actors.pending() === 0);
    expect(new Set(carried).size).toBe(4);
    const back = await next.actors.get('player/2').send({ type: 'ON' }, { cause: cause('$again') });
    expect(back.value).toEqual(HIGH);
    // Counted in the base: it changes nothing.
    const absorbed = await next.actors.get('player/1').send({ type: 'OFF' }, { cause: cause('$ON0') });
    expect(absorbed.value).toEqual(HIGH);
  });
});

describe('a saved state that is no state of the machine', () => {
  const hostile: Json[] = [
    'constructor',
    'toString',
    '__proto__',
    'hasOwnProperty',
    { constructor: 'off' },
    { on: 'constructor' },
    { on: { sound: 'paused', screen: 'dim', constructor: 'x' } },
    { on: { sound: 'paused', screen: 'dim', back: {} } },
    JSON.parse('{"__proto__":"off"}') as Json,
    { on: { sound: 'paused' } },
    'on',
    {},
    [],
    null,
    7,
    'gone',
  ];

  it.each(hostile.map((value) => [JSON.stringify(value), value] as const))(
    'quarantines when a base holds %s',
    (_, value) => {
      const machines = new Machines();
      const { hash } = machines.register(player);
      const snapshot = { status: 'active', value, context: { plays: 0 }, historyValue: {} };
      const stored = { version: 1, hash, stamp: 1, snapshot, timers: [], effects: [], absorbed: [] } as Json;
      expect(readBase('player', machines, stored).position).toMatchObject({
        status: 'quarantined',
        code: 'unknown-state',
      });
    },
  );

  it.each(hostile.map((value) => [JSON.stringify(value), value] as const))(
    'does not lead an actor astray when current_state holds %s',
    async (_, value) => {
      const dir = await folder();
      const one = await open(dir);
      one.actors.register(player);
      await send(one, 'player/1', 'ON');
      const { hash } = one.actors.machines.latest('player') ?? { hash: '' };
      const current_state = { version: 1, hash, value, context: null, status: 'active' };
      const fields = { current_state };
      await one.change([{ kind: 'actor', key: 'actor:player/1', fields }], cause('$hostile'));
      await one.close();
      const again = await open(dir);
      again.actors.register(player);
      expect(again.actors.get('player/1').snapshot()).toMatchObject({
        status: 'active',
        value: { on: { sound: 'paused', screen: 'dim' } },
        context: { plays: 0 },
      });
      const next = await again.actors.get('player/1').send({ type: 'PLAY' }, { cause: cause('$next') });
      expect(next.context).toEqual({ plays: 1 });
    },
  );

  it.each(['constructor', '__proto__', 'on.constructor', 'on.sound', '', ' ', 'off off.off'])(
    'is not what a release leads to (%j)',
    async (state) => {
      const one = await open(await folder());
      one.actors.register(player);
      await send(one, 'player/1', 'ON');
      const heads = JSON.stringify(one.heads());
      const released = one.actors.release('player/1', { state, cause: cause('$release') });
      await expect(released).rejects.toMatchObject({ name: 'ActorError', code: 'unknown-state' });
      expect(JSON.stringify(one.heads())).toBe(heads);
    },
  );

  it('quarantines when the history of a base names one', () => {
    const machines = new Machines();
    const { hash } = machines.register(player);
    const historyValue = { 'player.on.back': [{ id: 'player.on.constructor' }] };
    const snapshot = { status: 'active', value: 'off', context: { plays: 0 }, historyValue };
    const stored = { version: 1, hash, stamp: 1, snapshot, timers: [], effects: [], absorbed: [] } as Json;
    expect(readBase('player', machines, stored).position).toMatchObject({
      status: 'quarantined',
      code: 'unknown-state',
    });
  });
});

const doorV1 = setup({ actions: { knock: () => {} } }).createMachine({
  id: 'door',
  context: { opened: 0 },
  initial: 'closed',
  states: { closed: { on: { OPEN: 'open' } }, open: { entry: 'knock', on: { CLOSE: 'closed' } } },
});
const doorV2 = setup({ actions: { knock: () => {} } }).createMachine({
  id: 'door',
  context: { opened: 0, lock: 'none' },
  initial: 'shut',
  states: {
    shut: { on: { OPEN: 'ajar' } },
    ajar: { entry: 'knock', on: { CLOSE: 'shut' } },
  },
});
const doorV3 = setup({ actions: { knock: () => {} } }).createMachine({
  id: 'door',
  context: { count: 0, lock: 'none' },
  initial: 'shut',
  states: {
    shut: { initial: 'free', states: { free: {}, locked: {} }, on: { OPEN: 'wide' } },
    wide: { entry: 'knock', on: { CLOSE: 'shut' } },
  },
});
const V2: MachineOptions = {
  version: 2,
  migrate: {
    state: { open: 'ajar', closed: 'shut' },
    context: (old) => ({ ...(old as { opened: number }), lock: 'new' }),
  },
};
const V3: MachineOptions = {
  version: 3,
  migrate: {
    state: { ajar: 'wide', shut: 'shut.locked' },
    context: (old) => {
      const { opened, lock } = old as { opened: number; lock: string };
      return { count: opened, lock };
    },
  },
};

/** A folder with doors made by version 1: door/1 is open, door/2 is closed. */
async function doors(): Promise<string> {
  const dir = await folder();
  const one = await open(dir);
  one.actors.register(doorV1);
  await send(one, 'door/1', 'OPEN');
  await send(one, 'door/2', 'OPEN', 'CLOSE');
  await one.close();
  return dir;
}

const versions = (one: StateNode, ...list: [AnyStateMachine, MachineOptions?][]) => {
  for (const [machine, options] of list) one.actors.register(machine, options);
};

describe('a machine with later versions', () => {
  it('leads its actors from 1 over 2 to 3 by state map and context map, and no entry action runs', async () => {
    const dir = await doors();
    const one = await open(dir);
    versions(one, [doorV1], [doorV2, V2], [doorV3, V3]);
    expect(one.actors.get('door/1').snapshot()).toMatchObject({
      version: 3,
      value: 'wide',
      context: { count: 0, lock: 'new' },
    });
    expect(one.actors.get('door/2').snapshot()).toMatchObject({ version: 3, value: { shut: 'locked' } });
    const moved = await one.actors.get('door/1').send({ type: 'CLOSE' }, { cause: cause('$close') });
    expect(moved).toMatchObject({ version: 3, value: { shut: 'free' }, context: { count: 0, lock: 'new' } });
    const entries = one.actors.get('door/1').history();
    expect(entries.map(({ event }) => event.type)).toEqual(['OPEN', 'understudy.upgrade', 'CLOSE']);
    const carried = counting(one, 'door', 'knock');
    await one.actors.ready();
    await eventually(() => one.actors.pending() === 0);
    // Of the first OPEN of each; none of an upgrade.
    expect(new Set(carried).size).toBe(2);
    await one.close();
    const again = await open(dir);
    versions(again, [doorV1], [doorV2, V2], [doorV3, V3]);
    expect(again.actors.get('door/1').snapshot()).toMatchObject({ version: 3, value: { shut: 'free' } });
  });

  it('without a migration for a state quarantines that actor alone, says so, and a release brings it back', async () => {
    const dir = await doors();
    const log = recordingLog();
    const one = await open(dir, { log });
    versions(one, [doorV1], [doorV2, { version: 2, migrate: { state: { closed: 'shut' } } }]);
    await one.actors.ready();
    expect([...one.actors.quarantined()]).toEqual(['door/1']);
    const warned = log.lines.filter(({ level, actor }) => level === 'warn' && actor === 'door/1');
    expect(warned).toMatchObject([{ code: 'unknown-state' }]);
    expect(one.actors.get('door/1').snapshot()).toMatchObject({
      status: 'quarantined',
      value: 'open',
      context: { opened: 0 },
      reason: { code: 'unknown-state', message: expect.stringContaining('"open"') as string },
    });
    const refused = one.actors.get('door/1').send({ type: 'CLOSE' }, { cause: cause('$close') });
    await expect(refused).rejects.toMatchObject({ code: 'quarantined' });
    const other = await one.actors.get('door/2').send({ type: 'OPEN' }, { cause: cause('$open') });
    expect(other).toMatchObject({ status: 'active', version: 2, value: 'ajar' });

    const released = await one.actors.release('door/1', { state: 'ajar', cause: cause('$release') });
    expect(released).toMatchObject({ status: 'active', version: 2, value: 'ajar' });
    expect([...one.actors.quarantined()]).toEqual([]);
    const closed = await one.actors.get('door/1').send({ type: 'CLOSE' }, { cause: cause('$close') });
    expect(closed.value).toBe('shut');
    await one.close();
    const again = await open(dir);
    versions(again, [doorV1], [doorV2, { version: 2, migrate: { state: { closed: 'shut' } } }]);
    await again.actors.ready();
    expect(again.actors.get('door/1').snapshot()).toMatchObject({ status: 'active', value: 'shut' });
    expect([...again.actors.quarantined()]).toEqual([]);
  });

  it.each<[string, MachineOptions['migrate'], string]>([
    [
      'a context map that throws',
      { ...V2.migrate, context: () => JSON.parse('{') as Json },
      'transition-failed',
    ],
    [
      'a context map that gives no JSON',
      { ...V2.migrate, context: () => new Date() as never },
      'invalid-context',
    ],
    [
      'a context map that gives nothing',
      { ...V2.migrate, context: () => undefined as never },
      'invalid-context',
    ],
    ['a state map to what every object has', { state: { open: 'constructor' } }, 'unknown-state'],
    ['a state map to __proto__', { state: { open: '__proto__' } }, 'unknown-state'],
  ])('%s quarantines, and does not end the process', async (_, migrate, code) => {
    const one = await open(await doors());
    versions(one, [doorV1], [doorV2, { version: 2, migrate: migrate ?? {} }]);
    await one.actors.ready();
    expect(one.actors.get('door/1').snapshot()).toMatchObject({ status: 'quarantined', reason: { code } });
  });

  it('refuses another definition under the same version, and leaves the actors alone', async () => {
    const one = await open(await doors());
    const heads = JSON.stringify(one.heads());
    const other = createMachine({
      id: 'door',
      initial: 'closed',
      states: { closed: {}, open: {}, ajar: {} },
    });
    const register = () => one.actors.register(other);
    expect(register).toThrow(expect.objectContaining({ code: 'definition-changed' }) as Error);
    // It is not registered by half either.
    expect(() => one.actors.get('door/1')).toThrow(
      expect.objectContaining({ code: 'unknown-machine' }) as Error,
    );
    one.actors.register(doorV1);
    expect(one.actors.get('door/1').snapshot().value).toBe('open');
    expect(JSON.stringify(one.heads())).toBe(heads);
  });

  it('that an actor has gone beyond leaves it to replicas which know the version', async () => {
    const dir = await doors();
    const one = await open(dir);
    versions(one, [doorV1], [doorV2, V2]);
    await send(one, 'door/1', 'CLOSE');
    await one.close();
    const old = await open(dir);
    old.actors.register(doorV1);
    await old.actors.ready();
    expect(old.actors.get('door/1').snapshot()).toMatchObject({ status: 'newer', version: 2 });
    expect(old.actors.newer()).toEqual(['door version 2']);
    const refused = old.actors.get('door/1').send({ type: 'OPEN' }, { cause: cause('$open') });
    await expect(refused).rejects.toMatchObject({ code: 'newer-version' });
    const other = await old.actors.get('door/2').send({ type: 'OPEN' }, { cause: cause('$open') });
    expect(other.value).toBe('open');
  });
});
