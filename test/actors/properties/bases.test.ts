import fc from 'fast-check';
import { expect, it } from 'vitest';
import { assign, setup } from 'xstate';
import { readBase } from '../../../src/actors/base.js';
import { savedSnapshot } from '../../../src/actors/cut.js';
import { step } from '../../../src/actors/fold.js';
import { Machines } from '../../../src/actors/machines.js';
import type { Active, Position } from '../../../src/actors/position.js';
import { canonicalJson, type Json } from '../../../src/documents/json.js';
import { buildMachine, FIELDS } from './machine-build.js';
import { EVENTS, type MachineSpec, machineSpec } from './machine-spec.js';

const RUNS = 3000;
const sent = fc.record({ event: fc.constantFrom(...EVENTS), x: fc.nat(3) });

it('a base leads on exactly as its actor would have gone on, after every event of random lists', () => {
  fc.assert(fc.property(machineSpec, fc.array(sent, { maxLength: 12 }), compare), { numRuns: RUNS });
}, 300_000);

it('a region that XState has left out stays out', () => {
  const machines = new Machines();
  machines.register(
    setup({
      types: { context: {} as { taken: number }, events: {} as { type: 'A' | 'B' | 'C' } },
      actions: { take: assign({ taken: ({ context }) => context.taken + 1 }) },
    }).createMachine({
      id: 'm',
      context: { taken: 0 },
      type: 'parallel',
      states: {
        one: { on: { A: { actions: 'take' } } },
        before: { type: 'history', history: 'deep' },
        two: {
          type: 'parallel',
          on: { A: { actions: 'take' } },
          states: {
            back: { type: 'history' },
            left: { on: { A: { actions: 'take' }, B: '#m.two.back' } },
            right: { on: { A: { actions: 'take' }, C: { target: '#m.before', reenter: true } } },
          },
        },
      },
    }),
  );
  compareOn(
    machines,
    ['B', 'C', 'A', 'A'].map((event) => ({ event, x: 0 })),
  );
});

function compare(spec: MachineSpec, list: readonly { event: string; x: number }[]): void {
  compareOn(machinesOf(spec), list);
}

function compareOn(machines: Machines, list: readonly { event: string; x: number }[]): void {
  let position: Position = { status: 'unbegun', machine: 'm' };
  for (const [at, { event, x }] of list.entries()) {
    const logged = { id: `$${at}`, stamp: at + 1, ts: at + 1, type: event, data: { x } };
    const before: Position = position;
    const { position: after, effects } = step('m/1', machines, before, logged);
    if (before.status === 'active') {
      const base = readBase('m', machines, stored(before));
      const led = step('m/1', machines, base.position, logged);
      expect(led.position.status).toBe(after.status);
      expect(led.effects).toEqual(effects);
      if (led.position.status === 'active') expect(stored(led.position)).toEqual(stored(after as Active));
    }
    if (after.status !== 'active') return;
    position = after;
  }
}

function machinesOf(spec: MachineSpec): Machines {
  const logic = buildMachine(spec);
  logic.options.maxIterations = 1000;
  const known = logic.events as string[];
  const events = Object.fromEntries(Object.entries(FIELDS).filter(([type]) => known.includes(type)));
  const machines = new Machines();
  machines.register(logic, { events });
  return machines;
}

/** As it comes out of a document. */
function stored(position: Active): Json {
  const { hash, version } = position.machine;
  const base = {
    version,
    hash,
    stamp: 0,
    snapshot: savedSnapshot(position),
    timers: [...position.timers.values()],
    effects: [],
    absorbed: [],
  };
  return JSON.parse(canonicalJson(JSON.parse(JSON.stringify(base)) as Json)) as Json;
}
