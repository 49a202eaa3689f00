import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createActor } from 'xstate';
import type { SimulatedClock } from '../../simulation/clock.js';
import { buildMachine, FIELDS } from './machine-build.js';
import { EVENTS, type MachineSpec, machineSpec, MINUTE } from './machine-spec.js';
import { of, Pair } from './pair.js';

const RUNS = Number(process.env['DIFFERENTIAL_RUNS'] ?? 1000);
const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 1_000_000_000);

interface Given {
  event: string;
  x: number;
  /** How long after it nothing comes, milliseconds: never as long as a delay to the millisecond. */
  pauseMs: number;
}
const given: fc.Arbitrary<Given> = fc.record({
  event: fc.constantFrom(...EVENTS),
  x: fc.nat(3),
  pauseMs: fc.constantFrom(7, 7, 7, 1007, 21 * MINUTE + 7, 46 * MINUTE + 7),
});

it(`with one writer an actor is what a plain XState actor is after the same ${RUNS} random lists of events (DIFFERENTIAL_SEED=${seed})`, async () => {
  let timers = 0;
  let failed = 0;
  const property = fc.asyncProperty(machineSpec, fc.array(given, { maxLength: 20 }), async (spec, list) => {
    const done = await compare(spec, list);
    timers += done.timers;
    failed += done.failed ? 1 : 0;
  });
  await fc.assert(property, { numRuns: RUNS, seed });
  process.stdout.write(
    `differential: lists ${RUNS}, timers fired ${timers}, machines that failed ${failed}\n`,
  );
}, 1_200_000);

async function compare(
  spec: MachineSpec,
  list: readonly Given[],
): Promise<{ timers: number; failed: boolean }> {
  const machine = buildMachine(spec, 'plain');
  machine.options.maxIterations = 1000;
  const known = machine.events.filter((type) => EVENTS.includes(type as string)) as string[];
  const pair = await oneReplica(machine, known);
  const plain = plainActor(machine, pair.clock);
  try {
    const actor = of(pair.a).actors.get('m/1');
    for (const [index, { event, x, pauseMs }] of list.entries()) {
      const type = known.includes(event) ? event : known[EVENTS.indexOf(event) % Math.max(1, known.length)];
      if (type === undefined || actor.snapshot().status === 'quarantined') break;
      const whole = { type, ...(FIELDS[type] !== undefined && { x }) };
      // What a transition runs into is thrown, and nothing is written: there plain XState stops.
      const refused = await actor.send(whole, { cause: { id: `$${index}` } }).then(
        () => false,
        (error: { code?: string }) => error.code === 'transition-failed' || Promise.reject(error as Error),
      );
      plain.begin();
      plain.send(whole);
      if (refused) {
        expect(plain.status()).toBe('error');
        return { timers: 0, failed: true };
      }
      await pair.clock.advance(pauseMs);
      const { value, context, status } = actor.snapshot();
      if (status === 'quarantined') expect(plain.status()).toBe('error');
      else expect({ value, context, status }).toEqual(plain.shown());
    }
    const fired = actor.history().filter(({ event }) => event.type === 'understudy.timer').length;
    return { timers: fired, failed: false };
  } finally {
    plain.stop();
    pair.close();
  }
}

async function oneReplica(machine: ReturnType<typeof buildMachine>, known: string[]): Promise<Pair> {
  const events = Object.fromEntries(Object.entries(FIELDS).filter(([type]) => known.includes(type)));
  const pair = new Pair((machines) => machines.register(machine, { events }), { replicas: ['a'] });
  pair.a.acts = true;
  return pair.start(pair.a);
}

/** Begins with its first event, as ours does. */
function plainActor(machine: ReturnType<typeof buildMachine>, clock: SimulatedClock) {
  const timeouts = new Map<number, () => void>();
  const actor = createActor(machine, {
    clock: {
      setTimeout: (run: () => void, ms: number) => {
        const id = timeouts.size;
        timeouts.set(id, clock.after(ms, run));
        return id;
      },
      clearTimeout: (id: number) => timeouts.get(id)?.(),
    },
  });
  let broke = false;
  actor.subscribe({
    error: () => {
      broke = true;
    },
  });
  let begun = false;
  return {
    begin: () => {
      if (!begun) actor.start();
      begun = true;
    },
    send: (event: { type: string }) => {
      if (actor.getSnapshot().status === 'active') actor.send(event);
    },
    status: () => (broke ? 'error' : actor.getSnapshot().status),
    shown: () => {
      const { value, context, status } = actor.getSnapshot() as {
        value: unknown;
        context: unknown;
        status: string;
      };
      return { value, context, status };
    },
    stop: () => {
      if (!broke) actor.stop();
      for (const cancel of timeouts.values()) cancel();
    },
  };
}
