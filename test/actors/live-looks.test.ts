import { createMachine, setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import { eventOf, MemoryPort } from './memory-port.js';

const machine = setup({ actions: { ring: () => {} } }).createMachine({
  id: 'bell',
  initial: 'off',
  states: { off: { on: { GO: { target: 'on', actions: 'ring' } } }, on: { on: { GO: 'off' } } },
});
const KEY = 'bell/1';
const cause = (id: string, ts: number) => ({ id, ts });

function open(port = new MemoryPort()): { port: MemoryPort; actors: LiveActors } {
  const actors = new LiveActors(port);
  actors.register(machine);
  return { port, actors };
}

const failedActors = ({ lines }: MemoryPort) => [...new Set(lines.map(({ about }) => about['actor']))];

it('an actor stood nowhere before its first event, and where it began before its second', async () => {
  const { actors } = open();
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$1', 1000) });
  await actors.send(KEY, { type: 'GO' }, { cause: cause('$2', 2000) });
  const at = (time: number) => actors.get(KEY).at(time)?.value;
  expect([at(0), at(999), at(1000), at(1999), at(2000)]).toEqual([undefined, undefined, 'on', 'on', 'off']);
});

it('of the time before its generation an actor says nothing; at its beginning it stands as its base says', () => {
  const { port, actors } = open();
  const { hash } = actors.machines.latest('bell') as { hash: string };
  const base = {
    ...{ version: 1, hash, stamp: 1000, timers: [], effects: [], absorbed: [] },
    snapshot: { status: 'active', value: 'on', context: {}, historyValue: {} },
  };
  port.merge([{ kind: 'base', key: `base:${KEY}`, fields: { base } }]);
  actors.reload();
  const at = (time: number) => actors.get(KEY).at(time)?.value;
  expect([at(999), at(1000), at(5000)]).toEqual([undefined, 'on', 'on']);
  port.merge([eventOf(KEY, '$late', 500, { type: 'GO' })]);
  expect([at(700), at(1000)]).toEqual([undefined, 'off']);
});

it('one actor that cannot be looked at holds up no other, now or later', async () => {
  const { port, actors } = open();
  for (const id of ['a', 'b']) await actors.send(`bell/${id}`, { type: 'GO' }, { cause: cause(id, 1) });
  const again = new LiveActors(port);
  const provenance = port.provenance.bind(port);
  port.provenance = (kind, key) => {
    if (kind === 'base' && key === 'base:bell/a') throw new Error('unreadable');
    return provenance(kind, key);
  };
  const carried: string[] = [];
  again.register(machine);
  await again.ready();
  expect(port.lines).toMatchObject([{ level: 'error', about: { actor: 'bell/a' } }]);
  again.carryOut('bell', 'ring', (_, { actor }) => {
    carried.push(actor);
    return Promise.resolve();
  });
  await again.ready();
  await expect.poll(() => carried).toEqual(['bell/b']);
  await again.close();
});

it('one actor that cannot be taken in when something comes holds up no other, and stands right afterwards', async () => {
  const { port, actors } = open();
  const told: unknown[] = [];
  actors.get('bell/b').subscribe(({ to }) => told.push(to.value));
  const provenance = port.provenance.bind(port);
  port.provenance = (kind, key) => {
    if (kind === 'base' && key === 'base:bell/a') throw new Error('unreadable');
    return provenance(kind, key);
  };
  port.merge([eventOf('bell/a', '$a', 1, { type: 'GO' }), eventOf('bell/b', '$b', 1, { type: 'GO' })]);
  await expect.poll(() => told).toEqual(['on']);
  expect(failedActors(port)).toEqual(['bell/a']);
  port.provenance = provenance;
  expect(actors.get('bell/a').snapshot().value).toBe('on');
  await actors.close();
});

it('what one actor owes and nobody can say whose turn it is holds up no other, and is looked at again', async () => {
  const { port, actors } = open();
  let isBroken = true;
  port.turn = (actor?: string) => {
    if (isBroken && actor === 'bell/a') throw new Error('no order');
    return 0;
  };
  const carried: string[] = [];
  actors.carryOut('bell', 'ring', (_, { actor }) => {
    carried.push(actor);
    return Promise.resolve();
  });
  for (const id of ['a', 'b']) await actors.send(`bell/${id}`, { type: 'GO' }, { cause: cause(id, 1) });
  await expect.poll(() => carried, { timeout: 30_000 }).toEqual(['bell/b']);
  expect(failedActors(port)).toEqual(['bell/a']);
  isBroken = false;
  await expect.poll(() => carried, { timeout: 30_000 }).toEqual(['bell/b', 'bell/a']);
  await actors.close();
}, 70_000);

it('an actor that was read anew and goes on is named as standing still no more', () => {
  const { port, actors } = open();
  const lamp = (version: number) =>
    createMachine({
      id: 'lamp',
      initial: 'on',
      states: { on: { on: { GO: 'on' } } },
      version: String(version),
    });
  actors.register(lamp(2));
  port.merge([eventOf('lamp/1', '$1', 5, { type: 'GO' })]);
  expect(actors.snapshot('lamp/1')).toMatchObject({
    status: 'quarantined',
    reason: { code: 'unknown-machine' },
  });
  expect([...actors.quarantined()]).toEqual(['lamp/1']);
  const { hash } = actors.register(lamp(1));
  expect([...actors.quarantined()]).toEqual([]);

  const base = {
    ...{ version: 1, hash, stamp: 9, timers: [], effects: [], absorbed: [] },
    quarantined: { code: 'transition-failed', reason: 'x', event: '$1' },
  };
  port.merge([{ kind: 'base', key: 'base:lamp/2', fields: { base }, stamp: 1 }]);
  actors.reload();
  expect(actors.snapshot('lamp/2').status).toBe('quarantined');
  const { quarantined: _, ...rest } = base;
  const goesOn = { ...rest, snapshot: { status: 'active', value: 'on', context: {}, historyValue: {} } };
  port.merge([{ kind: 'base', key: 'base:lamp/2', fields: { base: goesOn }, stamp: 2 }]);
  actors.reload();
  expect([...actors.quarantined()]).toEqual([]);
});
