import { createMachine } from 'xstate';
import { expect, it } from 'vitest';
import { FoldedActors } from '../../src/actors/folded.js';
import { Machines } from '../../src/actors/machines.js';
import { eventOf, MemoryPort } from './memory-port.js';

const machine = createMachine({ id: 'bell', initial: 'off', states: { off: { on: { GO: 'on' } }, on: {} } });
const long = (id: number, at: number) =>
  eventOf(`bell/${id}`, `$${at}`, at + 1, { type: 'GO', data: { text: 'x'.repeat(900) } });

/** Twenty actors with ten events of a kilobyte each, and room for five of them. */
function folded(wanted: (key: string) => boolean = () => false): { port: MemoryPort; folded: FoldedActors } {
  const port = new MemoryPort();
  const machines = new Machines();
  machines.register(machine);
  for (let id = 0; id < 20; id += 1) port.merge(Array.from({ length: 10 }, (_, at) => long(id, at)));
  return { port, folded: new FoldedActors(port, machines, wanted, { most: 5000, bytes: 70_000 }) };
}

const keys = Array.from({ length: 20 }, (_, id) => `bell/${id}`);

it('actors that nobody watches leave memory when they take too much of it, and are read again', () => {
  const { folded: actors } = folded();
  for (const key of keys) expect(actors.log(key).position()).toMatchObject({ status: 'active' });
  const kept = keys.filter((key) => actors.loaded(key) !== undefined);
  expect(kept).toEqual(keys.slice(-5));
  expect(actors.log('bell/0').events).toHaveLength(10);
});

it('actors that are watched stay, whatever they take', () => {
  const { folded: actors } = folded((key) => key === 'bell/1');
  for (const key of keys) actors.log(key);
  expect(keys.filter((key) => actors.loaded(key) !== undefined)).toEqual(['bell/1', ...keys.slice(-4)]);
});

it('what came for an actor since it was read counts', () => {
  const { port, folded: actors } = folded();
  for (const key of keys.slice(0, 5)) actors.log(key);
  const more = Array.from({ length: 40 }, (_, at) => long(4, at + 100));
  port.merge(more);
  for (const { key } of more) actors.loaded('bell/4')?.insert(actors.read('bell/4', key.split(' ')[1]!)!);
  expect(actors.loaded('bell/4')?.events).toHaveLength(50);
  actors.log('bell/5');
  expect(keys.filter((key) => actors.loaded(key) !== undefined)).toEqual(['bell/5']);
});
