import { assign, createMachine, setup } from 'xstate';
import { describe, expect, it } from 'vitest';
import { ActorLog } from '../../src/actors/log.js';
import { type LoggedEvent, RELEASE, TIMER, UPGRADE } from '../../src/actors/event.js';
import { Machines } from '../../src/actors/machines.js';
import type { Active, Position } from '../../src/actors/position.js';

const doorSetup = setup({
  types: { context: {} as { opened: number }, events: {} as { type: string } },
  actions: {
    count: assign({ opened: ({ context }) => context.opened + 1 }),
    ring: () => {},
  },
  guards: { few: ({ context }) => context.opened < 3 },
});
const door = doorSetup.createMachine({
  id: 'door',
  context: { opened: 0 },
  initial: 'closed',
  states: {
    closed: { on: { OPEN: { target: 'open', guard: 'few', actions: 'count' } } },
    open: {
      entry: { type: 'ring', params: { loud: true } },
      on: { CLOSE: 'closed' },
      after: { 1000: 'closed' },
    },
  },
});

function logOf(...machines: Parameters<Machines['register']>[]) {
  const registry = new Machines();
  for (const [machine, options] of machines) registry.register(machine, options);
  return { registry, log: new ActorLog('door/1', registry, undefined) };
}
const at = (stamp: number, type: string, data?: LoggedEvent['data'], id = `$${stamp}`): LoggedEvent => ({
  id,
  type,
  stamp,
  ts: stamp,
  data,
});
const valueOf = (position: Position) => (position as Active).snapshot.value;

describe('folding the events of an actor', () => {
  it('A2 orders by stamp and then id, whatever the order of arrival', () => {
    const [first, second] = [logOf([door]).log, logOf([door]).log];
    const events = [at(1, 'OPEN'), at(2, 'CLOSE'), at(3, 'OPEN'), at(4, 'CLOSE')];
    for (const event of events) first.insert(event);
    for (const event of [...events].reverse()) {
      second.insert(event);
      second.position();
    }
    expect(valueOf(second.position())).toBe('closed');
    expect((second.position() as Active).snapshot.context).toEqual({ opened: 2 });
    expect([...second.effects()]).toEqual([...first.effects()]);
  });

  it('A2 counts an event once, at its lowest stamp', () => {
    const { log } = logOf([door]);
    expect(log.insert(at(5, 'OPEN', undefined, '$a'))).toEqual({ late: false, replaced: false });
    expect(log.insert(at(6, 'OPEN', undefined, '$a'))).toBeUndefined();
    log.insert(at(4, 'CLOSE', undefined, '$b'));
    expect(valueOf(log.position())).toBe('open');
    expect(log.insert(at(3, 'OPEN', undefined, '$a'))).toEqual({ late: true, replaced: true });
    expect(valueOf(log.position())).toBe('closed');
    expect((log.position() as Active).snapshot.context).toEqual({ opened: 1 });
  });

  it('A2 takes of two writes at one stamp the one that its record has now', () => {
    const { log } = logOf([door]);
    log.insert(at(1, 'CLOSE', undefined, '$a'));
    expect(valueOf(log.position())).toBe('closed');
    expect(log.insert(at(1, 'OPEN', undefined, '$a'))).toEqual({ late: false, replaced: true });
    expect(valueOf(log.position())).toBe('open');
    expect(log.insert(at(1, 'OPEN', undefined, '$a'))).toBeUndefined();
  });

  it('A1 gives one effect one id, whatever comes between', () => {
    const { log } = logOf([door]);
    log.insert(at(5, 'OPEN'));
    const [before] = [...log.effects()];
    log.insert(at(1, 'OPEN'));
    log.insert(at(2, 'CLOSE'));
    expect([...log.effects()].map(({ id }) => id)).toContain(before?.id);
    expect(before).toMatchObject({ name: 'ring', params: { loud: true }, cause: '$5' });
  });

  it('A4 fires a timer once, and drops that of an entry that is over', () => {
    const { log } = logOf([door]);
    log.insert(at(1, 'OPEN'));
    const [timer] = [...(log.position() as Active).timers.values()];
    expect(timer).toMatchObject({ due: 1001, entry: '$1' });
    log.insert(at(2, 'CLOSE'));
    log.insert(at(3, 'OPEN'));
    log.insert(at(1001, TIMER, { name: timer?.name ?? '', entry: timer?.entry ?? '' }, timer?.id));
    expect(valueOf(log.position())).toBe('open');
    const [again] = [...(log.position() as Active).timers.values()];
    log.insert(at(1003, TIMER, { name: again?.name ?? '', entry: again?.entry ?? '' }, again?.id));
    expect(valueOf(log.position())).toBe('closed');
    expect((log.position() as Active).timers.size).toBe(0);
  });

  it('A4 an upgrade maps state and context, and runs no entry action', () => {
    const next = setup({ actions: { ring: () => {} } }).createMachine({
      id: 'door',
      context: { count: 0 },
      initial: 'shut',
      states: { shut: {}, ajar: { entry: 'ring', after: { 500: 'shut' } } },
    });
    const { log } = logOf(
      [door],
      [
        next,
        {
          version: 2,
          migrate: {
            state: { open: 'ajar', closed: 'shut' },
            context: (old) => ({ count: (old as { opened: number }).opened }),
          },
        },
      ],
    );
    log.insert(at(1, 'OPEN'));
    log.insert(at(2, UPGRADE, { to: 2 }, 'upgrade/2'));
    const position = log.position() as Active;
    expect(position.machine.version).toBe(2);
    expect(position.snapshot.value).toBe('ajar');
    expect(position.snapshot.context).toEqual({ count: 1 });
    expect([...log.effects()]).toHaveLength(1);
    expect([...position.timers.values()]).toMatchObject([{ entry: 'upgrade/2', due: 502 }]);
  });

  it('A4 a version that is not registered here is left to others', () => {
    const { log } = logOf([door]);
    log.insert(at(1, 'OPEN'));
    log.insert(at(2, UPGRADE, { to: 2 }, 'upgrade/2'));
    expect(log.position()).toEqual({ status: 'newer', version: 2 });
  });

  it('a state without a migration quarantines this actor, until it is released', () => {
    const next = createMachine({ id: 'door', context: {}, initial: 'gone', states: { gone: {} } });
    const { log } = logOf([door], [next, { version: 2 }]);
    log.insert(at(1, 'OPEN'));
    log.insert(at(2, UPGRADE, { to: 2 }, 'upgrade/2'));
    expect(log.position()).toMatchObject({
      status: 'quarantined',
      code: 'unknown-state',
      last: { value: 'open' },
    });
    log.insert(at(3, RELEASE, { version: 2, state: 'gone' }));
    expect(valueOf(log.position())).toBe('gone');
  });

  it('an endless circle of eventless transitions quarantines, and does not hang', () => {
    const circle = createMachine({
      id: 'door',
      initial: 'a',
      states: { a: { on: { GO: 'b' } }, b: { always: 'c' }, c: { always: 'b' } },
    });
    const { log } = logOf([circle]);
    log.insert(at(1, 'GO'));
    expect(log.position()).toMatchObject({ status: 'quarantined', code: 'transition-failed' });
  });
});
