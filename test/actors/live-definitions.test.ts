import { setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import { Machines } from '../../src/actors/machines.js';
import type { MachineOptions } from '../../src/index.js';
import { eventOf, MemoryPort } from './memory-port.js';

const door = (version: number, open: string, shut: string) =>
  setup({}).createMachine({
    id: 'door',
    version: String(version),
    initial: open,
    states: { [open]: { on: { TURN: shut } }, [shut]: { on: { TURN: open } } },
  });
const v1 = door(1, 'open', 'shut');
const v2 = door(2, 'opened', 'closed');
const migrate = { state: { open: 'opened', shut: 'closed' } };
const cause = (id: string) => ({ id, ts: Date.now() });

const hashWith = (options: MachineOptions): string => new Machines().register(v2, options).hash;

it('A4 a migration is part of the definition; in which order it is written is not', () => {
  const hash = hashWith({ migrate });
  expect(hashWith({ migrate: { state: { shut: 'closed', open: 'opened' } } })).toBe(hash);
  const others: MachineOptions['migrate'][] = [
    {},
    { state: { open: 'opened', shut: 'opened' } },
    { ...migrate, context: (old) => old },
  ];
  const hashes = others.map((other) => hashWith({ migrate: other ?? {} }));
  expect(new Set([hash, ...hashes]).size).toBe(4);
  expect(hashWith({ migrate: {} })).toBe(hashWith({}));
});

it('A4 another migration to a version that actors were moved by is another definition', async () => {
  const port = new MemoryPort();
  const first = new LiveActors(port);
  first.register(v1);
  first.register(v2, { migrate });
  await first.send('door/1', { type: 'TURN' }, { cause: cause('$1') });
  const again = () => first.register(v2, { migrate: { state: { open: 'closed', shut: 'opened' } } });
  expect(again).toThrow(expect.objectContaining({ code: 'duplicate-machine' }) as Error);
  const other = new LiveActors(port);
  other.register(v1);
  expect(() => other.register(v2)).toThrow(expect.objectContaining({ code: 'definition-changed' }) as Error);
  expect(other.register(v2, { migrate }).version).toBe(2);
});

it('A4 a machine that is not registered here is lacking, and takes nothing else from this replica', async () => {
  const port = new MemoryPort();
  const known = new LiveActors(port);
  known.register(v1);
  await known.send('door/1', { type: 'TURN' }, { cause: cause('$1') });
  port.merge([eventOf('lamp/1', '$2', 5, { type: 'ON' })]);
  expect(known.newer()).toEqual([]);
  expect(known.lacking()).toEqual(['lamp']);
  expect(known.lacking((key) => key === 'door/1')).toEqual([]);
  port.merge([
    eventOf('door/1', 'upgrade/2', Date.now() + 5, { type: 'understudy.upgrade', data: { to: 2 } }),
  ]);
  expect(known.newer()).toEqual(['door version 2']);
  expect(known.lacking()).toEqual(['door', 'lamp']);
  await known.close();
});
