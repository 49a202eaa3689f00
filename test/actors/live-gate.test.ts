import { setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import { MemoryPort } from './memory-port.js';

const machine = setup({}).createMachine({
  id: 'door',
  initial: 'a',
  states: { a: { on: { ONE: 'b' } }, b: { on: { TWO: 'c' } }, c: { on: { THREE: 'd' } }, d: {} },
});
const KEY = 'door/1';
const ts = Date.now();

/** Actors whose shard waits for its next generation until `open` is called. */
function gated(): { port: MemoryPort; actors: LiveActors; open: () => void } {
  const port = new MemoryPort();
  const actors = new LiveActors(port);
  actors.register(machine);
  let go = () => {};
  port.gate = new Promise((resolve) => (go = resolve));
  const open = () => {
    port.gate = undefined;
    go();
  };
  return { port, actors, open };
}

const current = (port: MemoryPort): unknown =>
  port.provenance('actor', `actor:${KEY}`)?.['current_state']?.value;

it('A2 events sent one after the other keep their order where the shard waits for its next generation', async () => {
  const { port, actors, open } = gated();
  const sent = [
    actors.send(KEY, { type: 'ONE' }, { cause: { id: '$z', ts } }),
    actors.send(KEY, { type: 'TWO' }, { cause: { id: '$m', ts } }),
  ];
  const writes = actors.writes(KEY, [{ event: { type: 'THREE' } }], { id: '$a', ts });
  sent.push(actors.change(writes, { id: '$a', ts }).then(() => actors.snapshot(KEY)));
  expect(actors.exists(KEY)).toBe(false);
  open();
  await Promise.all(sent);
  expect(actors.snapshot(KEY).value).toBe('d');
  expect(current(port)).toMatchObject({ value: 'd' });
});

it('A1 the same event again resolves when the first stands, and counts once', async () => {
  const { actors, open } = gated();
  const send = () => actors.send(KEY, { type: 'ONE' }, { cause: { id: '$1', ts } });
  const first = send();
  let again: unknown;
  const second = send().then((snapshot) => (again = snapshot));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(again).toBeUndefined();
  open();
  await Promise.all([first, second]);
  expect(again).toMatchObject({ value: 'b' });
  expect(actors.get(KEY).history()).toHaveLength(1);
});

it('an actor whose first event waits is there for one that must exist; after a write that failed it is not', async () => {
  const { port, actors } = gated();
  port.change = () => Promise.reject(new Error('disk'));
  const first = actors.send(KEY, { type: 'ONE' }, { cause: { id: '$1', ts } });
  const second = actors.send(KEY, { type: 'TWO' }, { cause: { id: '$2', ts }, existing: true });
  await expect(first).rejects.toThrow('disk');
  await expect(second).rejects.toThrow('disk');
  const third = actors.send(KEY, { type: 'TWO' }, { cause: { id: '$3', ts }, existing: true });
  await expect(third).rejects.toMatchObject({ code: 'missing-actor' });
});

it('A2 the same id twice in one call is one event', async () => {
  const { port, actors, open } = gated();
  open();
  const cause = { id: '$1', ts };
  const writes = actors.writes(KEY, [{ event: { type: 'ONE' } }, { event: { type: 'TWO' } }], cause);
  expect(writes.filter(({ kind }) => kind === 'event')).toHaveLength(1);
  await actors.change(writes, cause);
  expect(actors.snapshot(KEY).value).toBe('b');
  expect(current(port)).toMatchObject({ value: 'b' });
});
