import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Machines } from '../../../src/actors/machines.js';
import { step, type Step } from '../../../src/actors/fold.js';
import type { LoggedEvent } from '../../../src/actors/event.js';
import type { Position } from '../../../src/actors/position.js';
import { parseMachineFiles } from '../../../src/actors/json/machine-file.js';
import type { Json } from '../../../src/documents/json.js';
import { file, machine } from './files.js';

const example = (name: string): string =>
  readFileSync(new URL(`../../../data/machines/${name}.json`, import.meta.url), 'utf8');

/** An actor of the only machine of a file, at the events that it is given. */
function actor(content: unknown) {
  const loaded = machine(content);
  const machines = new Machines();
  machines.register(loaded.machine, loaded.options);
  const key = `${loaded.id}/1`;
  let position: Position = { status: 'unbegun', machine: loaded.id };
  let count = 0;
  const take = (event: Pick<LoggedEvent, 'type' | 'data'>, stamp = (count + 1) * 1000): Step => {
    count += 1;
    const taken = step(key, machines, position, { id: `$${count}`, ts: stamp, stamp, ...event });
    ({ position } = taken);
    return taken;
  };
  const active = () => {
    if (position.status !== 'active') throw new Error(`the actor is ${JSON.stringify(position)}`);
    return position;
  };
  return {
    /** The effects of an event, by name and parameters. */
    send: (type: string, data?: Record<string, Json>): string[] =>
      take({ type, ...(data && { data }) }).effects.map(
        ({ name, params }) => `${name} ${JSON.stringify(params)}`,
      ),
    /** Fires the timer that is due next. */
    wait: (): string[] => {
      const [next] = [...active().timers.values()].sort((a, b) => a.due - b.due);
      if (next === undefined) throw new Error('no timer runs');
      const taken = take(
        { type: 'understudy.timer', data: { name: next.name, entry: next.entry } },
        next.due,
      );
      return taken.effects.map(({ name, params }) => `${name} ${JSON.stringify(params)}`);
    },
    delays: () => [...active().timers.values()].map(({ due }) => due - count * 1000).sort((a, b) => a - b),
    state: () => active().snapshot.value as Json,
    context: () => active().snapshot.context as Record<string, Json>,
    status: () => position.status,
  };
}

describe('the traffic light of data/machines', () => {
  it('goes round by its timers, and counts', () => {
    const light = actor(example('traffic-light'));
    expect(light.send('DAY')).toEqual(['show {"light":"red"}']);
    expect(light.delays()).toEqual([20_000]);
    expect(light.wait()).toEqual(['show {"light":"green"}']);
    expect(light.wait()).toEqual(['show {"light":"yellow"}']);
    expect(light.wait()).toEqual(['show {"light":"red"}']);
    expect(light.context()).toEqual({ waiting: 0, cycles: 1 });
  });

  it('turns yellow early when two people wait', () => {
    const light = actor(example('traffic-light'));
    light.send('DAY');
    light.wait();
    expect(light.send('PRESS')).toEqual([]);
    expect(light.send('PRESS')).toEqual(['show {"light":"yellow"}']);
    light.wait();
    expect(light.context()).toMatchObject({ waiting: 0 });
  });

  it('is repaired to the light that it broke at', () => {
    const light = actor(example('traffic-light'));
    light.send('DAY');
    light.wait();
    expect(light.send('BREAK')).toEqual(['alarm null', 'show {"light":"blinking"}']);
    expect(light.send('REPAIR')).toEqual(['show {"light":"green"}']);
    expect(light.state()).toEqual({ working: 'green' });
  });
});

describe('the order of data/machines', () => {
  it('is paid in parts, packed, sent and closed', () => {
    const order = actor(example('order'));
    expect(order.send('PLACED', { total: 30 })).toEqual(['ask-for-payment null']);
    expect(order.context()).toEqual({ due: 30, paid: 0, placed_at: 1000, tracking: null });
    expect(order.send('PAID', { amount: 10 })).toEqual([]);
    expect(order.state()).toBe('paying');
    expect(order.send('PAID', { amount: 20 })).toEqual([
      'write {"letter":"paid"}',
      'tell-the-warehouse null',
    ]);
    order.send('PACKED');
    expect(order.send('SENT', { tracking: 'X1' })).toEqual(['write {"letter":"sent"}']);
    expect(order.state()).toBe('closed');
    expect(order.context()).toMatchObject({ due: 0, paid: 30, tracking: 'X1' });
  });

  it('takes no sum that is none', () => {
    const order = actor(example('order'));
    for (const data of [{}, { total: 0 }, { total: '30' }, { total: null }]) order.send('PLACED', data);
    expect(order.state()).toBe('open');
    order.send('PLACED', { total: 5 });
    order.send('PAID', { amount: -5 });
    expect(order.context()).toMatchObject({ due: 5, paid: 0 });
  });

  it('pays back what was paid, and only that', () => {
    const [paid, unpaid] = [actor(example('order')), actor(example('order'))];
    for (const order of [paid, unpaid]) order.send('PLACED', { total: 5 });
    paid.send('PAID', { amount: 2 });
    expect(paid.send('CANCELLED')).toEqual(['pay-back null']);
    expect(unpaid.wait()).toEqual(['write {"letter":"too-late"}']);
    expect([paid.state(), unpaid.state()]).toEqual(['cancelled', 'cancelled']);
  });
});

describe('a machine from a file', () => {
  const counter = (transition: object, context: Record<string, Json> = { n: 0, m: 5 }): object => ({
    ...{ id: 'm', version: 1, context, events: { GO: ['by'] }, initial: 'a' },
    states: { a: { on: { GO: transition } } },
  });

  it('reads the context as it was before in every part of an assignment', () => {
    const one = actor(counter({ assign: { n: { add: 1 }, m: { subtract: { event: 'by' } } } }));
    one.send('GO', { by: 2 });
    expect(one.context()).toEqual({ n: 1, m: 3 });
  });

  it('leaves the context as it is where the event lacks a field', () => {
    const one = actor(counter({ assign: { n: { event: 'by' }, m: { add: { event: 'by' } } } }));
    one.send('GO');
    expect(one.context()).toEqual({ n: 0, m: 5 });
  });

  it.each([['text'], [null], [true], [[1]]])('quarantines an actor that is to count %j', (by) => {
    const one = actor(counter({ assign: { n: { add: { event: 'by' } } } }));
    one.send('GO', { by });
    expect(one.status()).toBe('quarantined');
  });

  it('quarantines an actor that counts beyond all bounds', () => {
    const one = actor(counter({ assign: { n: { add: 1e308 } } }, { n: 1e308 }));
    one.send('GO');
    expect(one.status()).toBe('quarantined');
  });

  it('does nothing in a guard of false, and everything in one of true', () => {
    const one = actor(
      counter([
        { guard: false, assign: { n: { set: 1 } } },
        { guard: true, assign: { n: { set: 2 } } },
      ]),
    );
    one.send('GO');
    expect(one.context()).toMatchObject({ n: 2 });
  });

  it('asks both schemas of a guard over context and event', () => {
    const guard = {
      context: { properties: { m: { const: 5 } } },
      event: { properties: { by: { const: 1 } } },
    };
    const one = actor(counter({ guard, assign: { n: { add: 1 } } }));
    one.send('GO', { by: 2 });
    expect(one.context()).toMatchObject({ n: 0 });
    one.send('GO', { by: 1 });
    expect(one.context()).toMatchObject({ n: 1 });
  });

  it('has regions, and a history of them', () => {
    const one = actor({
      ...{ id: 'm', version: 1, events: { GO: [], OUT: [], BACK: [] }, initial: 'both' },
      states: {
        both: {
          type: 'parallel',
          on: { OUT: 'out' },
          states: {
            left: { initial: 'a', states: { a: { on: { GO: 'b' } }, b: {} } },
            right: { initial: 'c', states: { c: { on: { GO: 'd' } }, d: {} } },
            last: { type: 'history', history: 'deep' },
          },
        },
        out: { on: { BACK: 'both.last' } },
      },
    });
    one.send('GO');
    expect(one.state()).toEqual({ both: { left: 'b', right: 'd' } });
    one.send('OUT');
    one.send('BACK');
    expect(one.state()).toEqual({ both: { left: 'b', right: 'd' } });
  });

  it('has another definition hash when a guard or an assignment says something else', () => {
    const hashOf = (transition: object): string => {
      const { machine: logic, options } = machine(counter(transition));
      return new Machines().register(logic, options).hash;
    };
    const of = (minimum: number, add: number) =>
      hashOf({ guard: { properties: { n: { minimum } } }, assign: { n: { add } } });
    expect(of(1, 1)).toBe(of(1, 1));
    expect(new Set([of(1, 1), of(2, 1), of(1, 2)]).size).toBe(3);
    expect(hashOf({ description: 'words', assign: { n: { add: 1 } } })).toBe(
      hashOf({ assign: { n: { add: 1 } } }),
    );
  });

  it('migrates the context of the version before: what the file says, else what was, else the first value', () => {
    const second = {
      ...{
        id: 'm',
        version: 2,
        context: { n: 0, total: 7, kind: 'x', added: null },
        initial: 'b',
        states: { b: {} },
      },
      migrate: { state: { a: 'b' }, context: { total: { from: 'm' }, kind: { set: 'old' } } },
    };
    const loaded = parseMachineFiles([
      file(counter({ assign: { n: { add: 1 } } }), 'a.json'),
      file(second, 'b.json'),
    ]);
    const migrate = loaded[1]?.options.migrate;
    expect(migrate?.state).toEqual({ a: 'b' });
    expect(migrate?.context?.({ n: 3, m: 9, gone: true })).toEqual({
      n: 3,
      total: 9,
      kind: 'old',
      added: null,
    });
    expect(migrate?.context?.({})).toEqual({ n: 0, total: 7, kind: 'old', added: null });
    expect(loaded[0]?.options.migrate).toBeUndefined();
  });

  it('says what it holds', () => {
    expect(machine(example('traffic-light'))).toMatchObject({
      ...{ id: 'traffic-light', version: 1, effects: ['alarm', 'show'] },
      states: [
        'working',
        'working.red',
        'working.green',
        'working.yellow',
        'working.last',
        'blinking',
        'broken',
      ],
    });
  });
});
