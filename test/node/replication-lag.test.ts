import { expect, it } from 'vitest';
import { systemClock, type Clock, type Relay, type StateNode } from '../../src/index.js';
import { eventually, MemoryStorage, node, relay } from './world.js';

let looks = 0;

/** Looks are taken every 20 ms. */
const clock: Clock = {
  ...systemClock,
  every: (ms, run) =>
    systemClock.every(ms === 5_000 ? 20 : ms, () => {
      if (ms === 5_000) looks += 1;
      run();
    }),
};

/**
 * Waits until there was nothing to ask for, ten looks long: some of what a first start writes may come when all before
 * it is stored. Gives how many answers there were.
 */
async function atRest(one: StateNode, hub: Relay): Promise<number> {
  let answers = -1;
  await eventually(async () => {
    answers = hub.stats().headsAnswered;
    const from = looks;
    await eventually(() => looks >= from + 10);
    return one.replication()?.documents === 0 && hub.stats().headsAnswered === answers;
  });
  return answers;
}

const write = (one: StateNode, chat_id: string): Promise<void> =>
  one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { chat_id } }], { id: `$${chat_id}` });

it('is nothing while a relay has stored all, grows while none is in reach, and ends when one is back', async () => {
  const storage = new MemoryStorage();
  const first = await relay({ storage });
  const one = await node([first], { clock });
  await write(one, 'C1');
  await atRest(one, first);
  expect(one.replication()).toEqual({ documents: 0, oldestSeconds: 0 });
  await first.close();
  // Out of reach alone is no lag: nothing stands here that is not stored there.
  await eventually(() => one.relays()[0]?.state !== 'open');
  expect(one.replication()).toEqual({ documents: 0, oldestSeconds: 0 });
  await write(one, 'C2');
  await eventually(() => (one.replication()?.oldestSeconds ?? 0) > 0.2);
  expect(one.replication()?.documents).toBe(1);
  await write(one, 'C3');
  await relay({ port: Number(new URL(first.url).port), storage });
  await eventually(() => one.replication()?.documents === 0);
  expect(one.replication()?.oldestSeconds).toBe(0);
});

it('asks a relay only for what has changed', async () => {
  const hub = await relay();
  const one = await node([hub], { clock });
  await write(one, 'C1');
  const asked = await atRest(one, hub);
  await write(one, 'C2');
  await eventually(() => hub.stats().headsAnswered > asked && one.replication()?.documents === 0);
});

it('is not told of a node without relays', async () => {
  expect((await node([], { found: true })).replication()).toBeUndefined();
});
