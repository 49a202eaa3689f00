import { setup } from 'xstate';
import { expect, it } from 'vitest';
import { LiveActors } from '../../src/actors/live-actors.js';
import { ActorLog } from '../../src/actors/log.js';
import { Machines } from '../../src/actors/machines.js';
import { OpenEffects } from '../../src/actors/open-effects.js';
import type { StateNode } from '../../src/index.js';
import { eventually, node, relay } from '../node/world.js';
import { eventOf, MemoryPort } from './memory-port.js';
import { watchStandstill } from './standstill.js';

const machine = setup({
  types: { events: {} as { type: 'PAY' | 'SPOIL' } },
  guards: {
    spoilt: () => {
      throw new Error('spoilt');
    },
  },
  actions: { pay: () => {} },
}).createMachine({
  id: 'order',
  initial: 'a',
  states: { a: { on: { PAY: { actions: 'pay' }, SPOIL: { guard: 'spoilt' } } } },
});
const KEY = 'order/1';
const cause = (id: string) => ({ id, ts: Date.now() });

function open(): { port: MemoryPort; actors: LiveActors } {
  const port = new MemoryPort();
  const actors = new LiveActors(port);
  actors.register(machine);
  return { port, actors };
}

/** A promise and who settles it. */
function held(): { until: Promise<void>; end: () => void } {
  let end = () => {};
  const until = new Promise<void>((resolve) => (end = resolve));
  return { until, end };
}

it('A1 an effect under way is not begun beside itself when its actor is quarantined and released', async () => {
  const { port, actors } = open();
  const { until, end } = held();
  let calls = 0;
  actors.carryOut('order', 'pay', () => {
    calls += 1;
    return until;
  });
  await actors.send(KEY, { type: 'PAY' }, { cause: cause('$1') });
  await eventually(() => calls === 1);
  port.merge([eventOf(KEY, '$bad', Date.now() + 10, { type: 'SPOIL' })]);
  expect(actors.snapshot(KEY).status).toBe('quarantined');
  await actors.release(KEY, { state: 'a', cause: cause('$release') });
  // Another effect of the same actor, begun later, is carried out: so the first had its chance to be begun again.
  let others = 0;
  actors.carryOut('order', 'pay', () => {
    others += 1;
    return Promise.resolve();
  });
  await actors.send(KEY, { type: 'PAY' }, { cause: cause('$2') });
  await eventually(() => actors.pending() === 1);
  expect([calls, others]).toEqual([1, 1]);
  end();
  await eventually(() => actors.pending() === 0);
  expect([calls, others]).toEqual([1, 1]);
  await actors.close();
});

it('a handler that does not end in time is told so, counted as failed, and called again', async () => {
  const { port, actors } = open();
  const signals: AbortSignal[] = [];
  const handle = async (_: unknown, { signal }: { signal: AbortSignal }) => {
    signals.push(signal);
    if (signals.length === 1) await held().until;
  };
  expect(() => actors.carryOut('order', 'pay', handle, { timeoutMs: 2 ** 31 })).toThrow(RangeError);
  actors.carryOut('order', 'pay', handle, { timeoutMs: 30 });
  await actors.send(KEY, { type: 'PAY' }, { cause: cause('$1') });
  await eventually(() => actors.pending() === 0);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(port.lines).toMatchObject([{ level: 'warn', message: 'effect pay failed', about: { failures: 1 } }]);
  await actors.close();
});

it('a handler may change the effect that it is given, and changes nothing by it', async () => {
  const { port, actors } = open();
  const params = { to: 'alice' };
  const definition = setup({ actions: { mail: () => {} } }).createMachine({
    id: 'mail',
    initial: 'a',
    states: { a: { on: { GO: { actions: { type: 'mail', params } } } } },
  });
  actors.register(definition);
  actors.carryOut('mail', 'mail', async (effect) => {
    (effect.params as { to: string }).to = 'mallory';
    await Promise.resolve();
  });
  await actors.send('mail/1', { type: 'GO' }, { cause: cause('$1') });
  await eventually(() => actors.pending() === 0);
  expect(params).toEqual({ to: 'alice' });
  expect([...port.keys('done')]).toHaveLength(1);
  await actors.close();
});

it('what is owed is read from new events alone, and from all of them where one comes late', () => {
  const machines = new Machines();
  machines.register(machine);
  const log = new ActorLog(KEY, machines, undefined);
  const open = new OpenEffects(log);
  let looked = 0;
  const done = (): boolean => {
    looked += 1;
    return true;
  };
  for (let at = 2; at <= 100; at += 1) {
    log.insert({ id: `$${at}`, type: 'PAY', stamp: at, ts: at });
    expect(open.all(done)).toEqual([]);
  }
  expect(looked).toBe(99);
  log.insert({ id: '$late', type: 'PAY', stamp: 1, ts: 1 });
  expect(open.all(() => false)).toHaveLength(100);
});

it('O3 an effect that takes long is not begun by another replica while the first says that it is at work', async () => {
  const { url } = await relay();
  const nodes: StateNode[] = [await node([{ url }], { found: true }), await node([{ url }])];
  for (const one of nodes) one.actors.register(machine);
  let calls: number[] = [];
  let stoodStillMs = Infinity;
  // What stands still says nothing, and is taken for gone: then nothing was tried.
  for (let attempt = 0; attempt < 8 && stoodStillMs > 1000; attempt += 1) {
    const standstill = watchStandstill();
    calls = await callsOfLongEffect(nodes, `order/${attempt}`);
    stoodStillMs = standstill();
    if (calls.length === 1) break;
  }
  expect(calls).toHaveLength(1);
}, 180_000);

/** Who of the nodes begins an effect that takes 7 s, until it is done. */
async function callsOfLongEffect(nodes: readonly StateNode[], key: string): Promise<number[]> {
  const { until, end } = held();
  const calls: number[] = [];
  for (const [index, one] of nodes.entries()) {
    one.actors.carryOut('order', 'pay', () => {
      calls.push(index);
      return until;
    });
  }
  await nodes[0]?.actors.send(key, { type: 'PAY' }, { cause: cause('$1') });
  await eventually(() => nodes.every(({ actors }) => actors.pending() === 1));
  await eventually(() => calls.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 7000));
  end();
  for (const one of nodes) await eventually(() => one.actors.pending() === 0);
  return calls;
}
