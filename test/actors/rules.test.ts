import * as A from '@automerge/automerge';
import type { PeerId } from '@automerge/automerge-repo';
import { afterEach, expect, test } from 'vitest';
import { type AnyStateMachine, assign, setup } from 'xstate';
import { Duties } from '../../src/actors/duties.js';
import { compareEvents, type LoggedEvent } from '../../src/actors/event.js';
import { ActorLog } from '../../src/actors/log.js';
import { Machines } from '../../src/actors/machines.js';
import type { ActorsPort } from '../../src/actors/port.js';
import { putRecord } from '../../src/documents/document.js';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { MemoryStorage } from '../node/world.js';
import { settle, SimulatedClock } from '../simulation/clock.js';
import { of, Pair } from './properties/pair.js';
import type { Replica } from './properties/replica.js';

const DELAY_MS = 60_000;
const MACHINE = 'm/1';

const parts = setup({
  types: { context: {} as { seen: string; entries: number }, events: {} as { type: string; x?: number } },
  actions: {
    see: assign({ seen: ({ context, event }) => `${context.seen}${event.type}${event.x ?? ''}` }),
    enter: assign({ entries: ({ context }) => context.entries + 1 }),
    ring: (_, _params: { loud: number }) => {},
  },
});
const ring = (loud: number) => ({ type: 'ring' as const, params: { loud } });

/** `GO` arms it, `BANG` rings when it is armed; `WAIT` waits, and `STOP` ends the waiting. */
function machine(extra: object = {}): AnyStateMachine {
  return parts.createMachine({
    id: 'm',
    context: { seen: '', entries: 0 },
    initial: 'idle',
    on: { NOTE: { actions: 'see' } },
    states: {
      idle: { on: { GO: 'armed', WAIT: 'waiting', PAIR: { actions: [ring(1), ring(2), ring(1)] } } },
      armed: { entry: ['enter', ring(9)], on: { BANG: { target: 'idle', actions: [ring(5), 'see'] } } },
      waiting: { on: { STOP: 'idle' }, after: { [DELAY_MS]: { target: 'idle', actions: 'see' } } },
    },
    ...extra,
  } as never) as unknown as AnyStateMachine;
}

const first = machine();
const second = machine({ meta: { version: 2 } });
const fields = { events: { NOTE: ['x'] } };

let pair: Pair | undefined;
afterEach(() => {
  pair?.close();
  pair = undefined;
});

async function two(logic = first): Promise<Pair> {
  pair = new Pair((machines, version) => {
    machines.register(logic, { version: 1, ...fields });
    if (version > 1) machines.register(second, { version: 2, ...fields });
  });
  return pair.start();
}

const send = (to: Replica, type: string, id: string, { ts, ...rest }: { ts?: number; x?: number } = {}) =>
  of(to).actors.send(
    MACHINE,
    { type, ...rest },
    {
      cause: { id, ...(ts !== undefined && { ts }) },
    },
  );
const shown = (replica: Replica) => of(replica).actors.snapshot(MACHINE);
const ids = (replica: Replica) =>
  of(replica)
    .actors.get(MACHINE)
    .history()
    .map(({ event }) => event.id);
const rung = ({ carried }: Pair) => carried.map(({ effect }) => effect.params);

/** A replica that may act carries out what is owed, now. */
async function acts(world: Pair, replica: Replica): Promise<void> {
  replica.acts = true;
  await world.clock.advance(1500);
  replica.acts = false;
}

test('A1-merge: an effect that only a merge brings is carried out', async () => {
  const world = await two();
  const now = world.clock.now();
  await send(world.b, 'BANG', '$2', { ts: now - 100 });
  await send(world.a, 'GO', '$1', { ts: now - 200 });
  expect(shown(world.b).value).toBe('idle');
  world.b.acts = true;
  await world.sync();
  await acts(world, world.b);
  expect(rung(world)).toContainEqual({ loud: 5 });
});

test('A1-done: what is marked done is carried out by nobody again, not after a restart either', async () => {
  const world = await two();
  await send(world.a, 'GO', '$1');
  await acts(world, world.a);
  expect(rung(world)).toEqual([{ loud: 9 }]);
  await world.sync();
  await world.restart(world.a);
  await acts(world, world.a);
  await acts(world, world.b);
  expect(rung(world)).toEqual([{ loud: 9 }]);
  expect(of(world.a).actors.pending()).toBe(0);
});

test('A1-base: a restore from the base of a later generation enters nothing and carries nothing out again', async () => {
  const world = await two();
  await send(world.a, 'GO', '$1');
  await acts(world, world.a);
  expect(await of(world.a).cut()).toBe(1);
  await world.restart(world.a);
  expect(of(world.a).document('actors').name.generation).toBe(1);
  await acts(world, world.a);
  expect(shown(world.a)).toMatchObject({ value: 'armed', context: { entries: 1 } });
  expect(rung(world)).toEqual([{ loud: 9 }]);
});

test('A1-change: the event and the state it leads to are one change, that names its cause', async () => {
  const world = await two();
  await send(world.a, 'GO', '$1');
  const changes = world.made.filter(({ keys }) => keys.some((key) => key.startsWith('event:')));
  expect(changes).toHaveLength(1);
  expect(changes[0]?.keys.sort()).toEqual([`actor:${MACHINE}`, `event:${MACHINE} $1`]);
  expect(changes[0]?.message).toContain('$1');
});

test('A1-id: an effect is known by its actor, cause, name and parameters', async () => {
  const world = await two();
  await send(world.a, 'PAIR', '$1');
  await acts(world, world.a);
  expect(rung(world)).toEqual([{ loud: 1 }, { loud: 2 }]);
});

test('A1-flush: nothing is carried out of what is not on the disk yet', async () => {
  const world = await two();
  world.a.disk.stall();
  const sent = send(world.a, 'GO', '$1');
  await acts(world, world.a);
  expect(rung(world)).toEqual([]);
  world.a.disk.thaw();
  await sent;
  await acts(world, world.a);
  expect(rung(world)).toEqual([{ loud: 9 }]);
});

test('A1-end: an actor in its final state takes no event any more', async () => {
  const ends = {
    on: { NOTE: { actions: 'see' }, END: '.end' },
    states: { idle: {}, end: { type: 'final' } },
  };
  const world = await two(machine(ends));
  await send(world.a, 'END', '$1');
  await send(world.a, 'NOTE', '$2');
  expect(shown(world.a)).toMatchObject({ status: 'done', context: { seen: '' } });
});

test('A2-order: events count in the order of their stamps, then of their ids, whoever had them first', async () => {
  const world = await two();
  const now = world.clock.now();
  await send(world.a, 'NOTE', '$a', { ts: now - 50, x: 3 });
  await send(world.b, 'NOTE', '$b', { ts: now - 100, x: 2 });
  await world.sync();
  for (const replica of [world.a, world.b]) {
    expect(shown(replica).context).toMatchObject({ seen: 'NOTE2NOTE3' });
  }
  const at = (id: string): LoggedEvent => ({ id, stamp: 1, ts: 1, type: 'NOTE' });
  expect([at('$b'), at('$a'), at('$B')].sort(compareEvents).map(({ id }) => id)).toEqual(['$B', '$a', '$b']);
});

test('A2-lowest: of one event written twice the lowest stamp counts', async () => {
  const world = await two();
  const now = world.clock.now();
  await send(world.a, 'NOTE', '$same', { ts: now - 300, x: 1 });
  await send(world.b, 'NOTE', '$other', { ts: now - 200, x: 2 });
  // Comes after the other here, and so has a higher stamp.
  await send(world.b, 'NOTE', '$same', { ts: now - 300, x: 1 });
  await world.sync();
  for (const replica of [world.a, world.b]) {
    expect(ids(replica)).toEqual(['$same', '$other']);
    expect(shown(replica).context).toMatchObject({ seen: 'NOTE1NOTE2' });
  }
});

test('A2-once: the same cause counts once, in the next generation too', async () => {
  const world = await two();
  await send(world.a, 'NOTE', '$1', { x: 1 });
  await send(world.a, 'NOTE', '$1', { x: 1 });
  expect(shown(world.a).context).toMatchObject({ seen: 'NOTE1' });
  expect(world.made.filter(({ keys }) => keys.includes(`event:${MACHINE} $1`))).toHaveLength(1);
  expect(await of(world.a).cut()).toBe(1);
  await settle(5);
  await send(world.a, 'NOTE', '$1', { x: 1 });
  expect(of(world.a).document('actors').name.generation).toBe(1);
  expect(shown(world.a).context).toMatchObject({ seen: 'NOTE1' });
});

test('A2-fields: an event keeps the fields that its machine declares, and no others', async () => {
  const world = await two();
  const sent = of(world.a).actors.send(MACHINE, { type: 'NOTE', text: 'hello' }, { cause: { id: '$1' } });
  await expect(sent).rejects.toMatchObject({ code: 'invalid-event' });
  const large = of(world.a).actors.send(
    MACHINE,
    { type: 'NOTE', x: 'x'.repeat(1024) },
    { cause: { id: '$1' } },
  );
  await expect(large).rejects.toMatchObject({ code: 'invalid-event' });
  expect(of(world.a).actors.exists(MACHINE)).toBe(false);
});

test('A3-late: a late event is folded in its place, and nothing is deleted inside a generation', async () => {
  const world = await two();
  const now = world.clock.now();
  await send(world.a, 'GO', '$1', { ts: now - 300 });
  await send(world.a, 'BANG', '$3', { ts: now - 100 });
  expect(shown(world.a).context).toMatchObject({ seen: 'BANG' });
  await send(world.b, 'BANG', '$2', { ts: now - 200 });
  await world.sync();
  for (const replica of [world.a, world.b]) {
    expect(ids(replica)).toEqual(['$1', '$2', '$3']);
    expect(of(replica).actors.get(MACHINE).history().at(-1)?.outcome).toBe('ignored');
    for (const id of ['$1', '$2', '$3']) expect(of(replica).actors.counts(MACHINE, id)).toBe(true);
  }
});

test('A3-cache: what was folded before is a cache: with late events anywhere it comes to what a fold from the start does', () => {
  const machines = new Machines();
  machines.register(first, fields);
  const events = Array.from({ length: 80 }, (_, at): LoggedEvent => {
    return { id: `$${at}`, stamp: at + 1, ts: at + 1, type: 'NOTE', data: { x: at } };
  });
  const log = new ActorLog(MACHINE, machines, undefined);
  const late = new Set([3, 20, 21, 47, 79]);
  for (const [at, event] of events.entries()) if (!late.has(at)) log.insert(event);
  log.position();
  for (const at of [47, 3, 79, 20, 21]) {
    log.insert(events[at] as LoggedEvent);
    const whole = new ActorLog(MACHINE, machines, undefined);
    for (const event of log.events) whole.insert(event);
    expect(log.position()).toMatchObject({ snapshot: { context: contextOf(whole) } });
  }
});

const contextOf = (log: ActorLog): unknown => {
  const position = log.position();
  return position.status === 'active' ? position.snapshot.context : position.status;
};

test('A3-regions: a base keeps the order of regions by which XState decides between them', async () => {
  const region = (to: string) => ({ on: { LEAVE: { target: `#${to}`, actions: 'see' } } });
  const world = await two(
    machine({
      initial: 'both',
      states: {
        both: { type: 'parallel', states: { z: region('left'), a: region('right') } },
        left: { id: 'left' },
        right: { id: 'right' },
      },
    }),
  );
  await send(world.a, 'NOTE', '$1');
  expect(await of(world.a).cut()).toBe(1);
  await world.sync();
  await settle(5);
  await send(world.a, 'LEAVE', '$2');
  expect(of(world.a).document('actors').name.generation).toBe(1);
  expect(shown(world.a).value).toBe('left');
});

test('A4-entry: the timer of an earlier entry changes nothing in a later one', async () => {
  const world = await two();
  const now = world.clock.now();
  await send(world.a, 'WAIT', '$1', { ts: now });
  await world.sync();
  await send(world.b, 'STOP', '$2', { ts: now + 10 });
  await send(world.b, 'WAIT', '$3', { ts: now + 20 });
  // Fired by one that has not heard that the waiting it belongs to was over.
  await acts(world, world.a);
  world.a.acts = true;
  await world.clock.advance(DELAY_MS);
  world.a.acts = false;
  expect(shown(world.a).value).toBe('idle');
  await world.sync();
  for (const replica of [world.a, world.b]) expect(shown(replica).value).toBe('waiting');
  await acts(world, world.b);
  expect(shown(world.b).value).toBe('idle');
});

test('A4-once: a timer that two replicas fire is one event', async () => {
  const world = await two();
  await send(world.a, 'WAIT', '$1');
  await world.sync();
  world.a.acts = true;
  world.b.acts = true;
  await world.clock.advance(DELAY_MS + 1000);
  await world.sync();
  expect(ids(world.a)).toHaveLength(2);
  expect(ids(world.b)).toEqual(ids(world.a));
  expect(shown(world.a).context).toMatchObject({ seen: expect.stringMatching(/^xstate\.after\.[^x]*$/u) });
});

test('A4-restart: a timer outlives the process that set it', async () => {
  const world = await two();
  await send(world.a, 'WAIT', '$1');
  await world.restart(world.a);
  world.a.acts = true;
  await world.clock.advance(DELAY_MS + 1000);
  expect(shown(world.a).value).toBe('idle');
});

test('A4-upgrade: an upgrade is an event of the log, before the first event of the new version', async () => {
  const world = await two();
  await send(world.a, 'GO', '$1');
  world.a.version = 2;
  await world.restart(world.a);
  await send(world.a, 'NOTE', '$2');
  expect(ids(world.a)).toEqual(['$1', 'upgrade/2', '$2']);
  expect(shown(world.a)).toMatchObject({ version: 2, value: 'armed', context: { entries: 1 } });
});

test('A4-both: an actor that XState left in two children of one state is upgraded where it stands', async () => {
  const forked = (version: 1 | 2) =>
    setup({}).createMachine({
      id: 'm',
      type: 'parallel',
      ...(version === 2 && { meta: { version } }),
      states: {
        one: {
          initial: 'near',
          states: {
            past: { type: 'history' },
            far: { id: 'far', initial: 'in', states: { in: {} } },
            near: { on: { GO: 'past' } },
          },
        },
        other: { on: { GO: '#far' } },
      },
    }) as unknown as AnyStateMachine;
  pair = new Pair((machines, version) => {
    machines.register(forked(1), { version: 1 });
    if (version > 1) machines.register(forked(2), { version: 2 });
  });
  const world = await pair.start();
  await send(world.a, 'GO', '$1');
  const both = { one: { near: {}, far: 'in' }, other: {} };
  expect(shown(world.a).value).toEqual(both);
  world.a.version = 2;
  await world.restart(world.a);
  expect(shown(world.a)).toMatchObject({ status: 'active', version: 2, value: both });
});

test('A4-behind: a replica without the version writes no event and makes no cut past it', async () => {
  const world = await two();
  world.a.version = 2;
  await world.restart(world.a);
  await send(world.a, 'NOTE', '$1');
  await world.sync();
  const before = world.made.length;
  await expect(send(world.b, 'NOTE', '$2')).rejects.toMatchObject({ code: 'newer-version' });
  expect(await of(world.b).cut()).toBe(0);
  expect(world.made).toHaveLength(before);
});

test('A4-owes: a replica without the version carries out nothing of the actor', async () => {
  const world = await two();
  await send(world.a, 'GO', '$1');
  world.a.version = 2;
  await world.restart(world.a);
  await send(world.a, 'NOTE', '$2');
  await world.sync();
  world.answer = { type: 'NOTE' };
  await acts(world, world.b);
  expect(rung(world)).toEqual([]);
  await acts(world, world.a);
  expect(rung(world)).toEqual([{ loud: 9 }]);
});

test('A5-opening: every life of a replica writes its actors under an Automerge actor of its own', async () => {
  const storage = new MemoryStorage();
  const authors = new Set<string>();
  for (const life of ['1', '2', '3']) {
    const documents = new OpenDocuments({
      clusterId: 'cluster-of-the-test',
      peerId: 'replica' as PeerId,
      storage,
      clock: systemClock,
      log: silentLog,
      onFailed: () => {},
      onTouched() {},
      onIncomplete() {},
    });
    const opened = await documents.open({ kind: 'actors', index: 0, generation: 0 });
    const change = documents.change(opened, life, [], (draft) => {
      const entry = { value: { type: 'NOTE', ts: 1 }, stamp: 1, cause: life };
      putRecord(draft, 'event', `event:${MACHINE} $${life}`, new Map([['event', entry]]));
    });
    authors.add(A.decodeChange(change).actor);
    await documents.saver.flush(opened.id);
  }
  expect(authors.size).toBe(3);
});

test('A1-rounds: what stays owed although it was carried out is tried again in a while, and holds nobody up', async () => {
  const clock = new SimulatedClock();
  const port: ActorsPort = {
    clock,
    log: silentLog,
    count: () => {},
    keys: () => [],
    provenance: () => undefined,
    change: () => Promise.resolve(),
    flush: () => Promise.resolve(),
    onChange: () => () => {},
    turn: () => 0,
  };
  let times = 0;
  const duties = new Duties(port, () => {
    times += 1;
    // It would go round without end: then nothing else runs in this process any more.
    return times > 100 ? new Promise(() => {}) : Promise.resolve();
  });
  const effect = { id: '$1/0', name: 'ring', params: null, cause: '$1' };
  duties.set('m/1', [{ kind: 'effect', actor: 'm/1', effect }]);
  await clock.advance(10_000);
  expect(times).toBeGreaterThan(2);
  expect(times).toBeLessThan(12);
  duties.set('m/1', []);
  await duties.close();
});
