import {
  and,
  assign,
  createMachine,
  emit,
  enqueueActions,
  fromPromise,
  sendTo,
  setup,
  spawnChild,
  stateIn,
} from 'xstate';
import type { AnyStateMachine } from 'xstate';
import { describe, expect, it } from 'vitest';
import { ActorError, type ActorEvent, type MachineOptions, type StateNode } from '../../src/index.js';
import { folder, node } from '../node/world.js';

const states = { a: { on: { GO: 'b' } }, b: {} };

/** What a typed machine would not let through: these come from plain JavaScript, or from files. */
const machine = (config: object, implementations: object = {}) =>
  createMachine({ id: 'bad', ...config } as never, implementations as never) as AnyStateMachine;
const made = (actions: object, config: object = {}) =>
  machine(
    { initial: 'a', states: { a: { on: { GO: { target: 'b', actions: 'act' } } }, b: {} }, ...config },
    { actions },
  );

function deep(levels: number): object {
  let value: object = {};
  for (let level = 0; level < levels; level += 1) value = { value };
  return value;
}
const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;
const hostileValues: [string, unknown][] = [
  ['undefined', undefined],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['a function', () => 1],
  ['a Date', new Date(0)],
  ['a Map', new Map([['a', 1]])],
  ['a symbol', Symbol('a')],
  ['a bigint', 1n],
  ['a cycle', cyclic],
  ['what is nested too deep', deep(64)],
  ['a list with a hole', Array(1)],
];

function codeOf(error: unknown): string {
  if (!(error instanceof ActorError)) throw error;
  return error.code;
}

describe('a machine that no replica could repeat', () => {
  const cases: [string, () => AnyStateMachine, RegExp, MachineOptions?][] = [
    ['an unknown initial state', () => machine({ initial: 'nowhere', states }), /nowhere/],
    [
      'a target that every object has',
      () => machine({ initial: 'a', states: { a: { on: { GO: 'constructor' } } } }),
      /state "a": on\.GO has an unknown target/,
    ],
    [
      'an initial state that every object has',
      () => machine({ initial: 'constructor', states }),
      /initial has an unknown target/,
    ],
    [
      'an inline action',
      () => machine({ initial: 'a', states: { a: { entry: () => {} } } }),
      /state "a".*entry/,
    ],
    [
      'an inline assignment',
      () => machine({ initial: 'a', states: { a: { entry: assign({}) } } }),
      /state "a".*entry/,
    ],
    [
      'an inline guard',
      () =>
        machine({ initial: 'a', states: { a: { on: { GO: { target: 'b', guard: () => true } } }, b: {} } }),
      /state "a".*on\.GO\.guard/,
    ],
    [
      'a guard that looks at other states',
      () =>
        machine({ initial: 'a', states: { a: { on: { GO: { target: 'b', guard: stateIn('a') } } }, b: {} } }),
      /guard/,
    ],
    [
      'an inline guard inside another',
      () =>
        machine({
          initial: 'a',
          states: { a: { on: { GO: { target: 'b', guard: and([() => true]) } } }, b: {} },
        }),
      /guard/,
    ],
    [
      'an inline action of a nested state',
      () => machine({ initial: 'a', states: { a: { initial: 'in', states: { in: { exit: [() => {}] } } } } }),
      /state "a\.in".*exit/,
    ],
    [
      'an inline action of the machine itself',
      () => machine({ initial: 'a', states, on: { X: { actions: () => {} } } }),
      /on\.X\.actions/,
    ],
    [
      'an initial transition with an inline action',
      () => machine({ initial: { target: 'a', actions: () => {} }, states }),
      /initial/,
    ],
    [
      'an invoked actor',
      () =>
        machine({ initial: 'a', states: { a: { invoke: { src: fromPromise(() => Promise.resolve()) } } } }),
      /state "a".*invoke/,
    ],
    [
      'a spawned actor',
      () => made({ act: spawnChild(fromPromise(() => Promise.resolve())) }),
      /action "act"/,
    ],
    ['sendTo', () => made({ act: sendTo('other', { type: 'X' }) }), /action "act"/],
    ['emit', () => made({ act: emit({ type: 'X' }) }), /action "act"/],
    ['enqueueActions', () => made({ act: enqueueActions(() => {}) }), /action "act"/],
    ['a context made by a function', () => machine({ context: () => ({}), initial: 'a', states }), /context/],
    ['an output', () => machine({ initial: 'a', states, output: () => 1 }), /output/],
    [
      'a guard without implementation',
      () => machine({ initial: 'a', states: { a: { on: { GO: { target: 'b', guard: 'may' } } }, b: {} } }),
      /"may"/,
    ],
    [
      'a delay without implementation',
      () => machine({ initial: 'a', states: { a: { after: { soon: 'b' } }, b: {} } }),
      /"soon"/,
    ],
    [
      'a delay made by a function',
      () =>
        machine(
          { initial: 'a', states: { a: { after: { soon: 'b' } }, b: {} } },
          { delays: { soon: () => 1 } },
        ),
      /"soon"/,
    ],
    [
      'params made by a function',
      () => machine({ initial: 'a', states: { a: { entry: { type: 'ring', params: () => ({}) } } } }),
      /params/,
    ],
    [
      'params that are no JSON',
      () => machine({ initial: 'a', states: { a: { entry: { type: 'ring', params: { at: new Date() } } } } }),
      /params/,
    ],
    ['no id', () => createMachine({ initial: 'a', states } as never) as AnyStateMachine, /id/],
    ['an id with white space', () => machine({ id: 'a b', initial: 'a', states }), /id/],
    ['an id with a slash', () => machine({ id: 'a/b', initial: 'a', states }), /id/],
    ['version 0', () => machine({ initial: 'a', states }), /version/, { version: 0 }],
    ['version 1.5', () => machine({ initial: 'a', states }), /version/, { version: 1.5 }],
    ['a version that is no number', () => machine({ initial: 'a', states, version: 'new' }), /version/],
    [
      'fields of an event that no state takes',
      () => machine({ initial: 'a', states }),
      /NOPE/,
      { events: { NOPE: ['x'] } },
    ],
    [
      'a reserved event',
      () => machine({ initial: 'a', states: { a: { on: { 'understudy.timer': 'b' } }, b: {} } }),
      /understudy\.timer/,
    ],
    [
      'an endless loop at its start',
      () => machine({ initial: 'a', states: { a: { always: 'b' }, b: { always: 'a' } } }),
      /begin/,
    ],
  ];

  it.each(cases)('%s is refused, and the message says where', async (_, make, message, options) => {
    const one = await node([], { found: true });
    const heads = JSON.stringify(one.heads());
    let caught: unknown;
    try {
      one.actors.register(make(), options);
    } catch (error) {
      caught = error;
    }
    expect(codeOf(caught)).toBe('invalid-machine');
    expect((caught as Error).message).toMatch(message);
    expect(one.actors.machines.all()).toEqual([]);
    expect(JSON.stringify(one.heads())).toBe(heads);
  });

  it.each(hostileValues)('with %s in its context is refused', async (_, value) => {
    const one = await node([], { found: true });
    const register = () => one.actors.register(machine({ context: { value }, initial: 'a', states }));
    expect(register).toThrow(
      expect.objectContaining({ name: 'ActorError', code: 'invalid-context' }) as Error,
    );
    expect(one.actors.machines.all()).toEqual([]);
  });

  it('of the same id and version, and another definition, is refused, and the first stays', async () => {
    const one = await node([], { found: true });
    const first = one.actors.register(machine({ initial: 'a', states }));
    const register = () => one.actors.register(machine({ initial: 'b', states }));
    expect(register).toThrow(expect.objectContaining({ code: 'duplicate-machine' }) as Error);
    expect(one.actors.machines.latest('bad')).toBe(first);
    expect(one.actors.register(machine({ initial: 'a', states }))).toBe(first);
  });
});

const target = setup({
  types: { context: {} as { value: unknown }, events: {} as { type: string } },
  actions: {
    spoil: assign({ value: ({ event }) => hostileValues[(event as { which?: number }).which ?? 0]?.[1] }),
    swell: assign({ value: () => 'x'.repeat(300_000) }),
    fail: assign({ value: () => JSON.parse('{') as unknown }),
    ring: () => {},
  },
  guards: { throws: () => JSON.parse('{') as boolean },
}).createMachine({
  id: 'target',
  context: { value: null },
  initial: 'idle',
  states: {
    idle: {
      on: {
        GO: 'busy',
        SPOIL: { actions: 'spoil' },
        SWELL: { actions: 'swell' },
        FAIL: { actions: 'fail' },
        GUARDED: { target: 'busy', guard: 'throws' },
        SPIN: 'round',
        '*': 'busy',
      },
    },
    busy: { on: { BACK: 'idle' } },
    round: { always: 'about' },
    about: { always: 'round' },
  },
});
const OPTIONS: MachineOptions = { events: { GO: ['by'], SPOIL: ['which'] } };
const KEY = 'target/1';

/** An actor with one event, and a way to see that nothing of it changes. */
async function standing(): Promise<{ one: StateNode; untouched: () => void }> {
  const one = await node([], { found: true, dataDir: await folder() });
  one.actors.register(target, OPTIONS);
  await one.actors.get(KEY).send({ type: 'GO', by: 1 }, { cause: { id: '$first', ts: 1 } });
  await one.actors.get(KEY).send({ type: 'BACK' }, { cause: { id: '$idle', ts: 2 } });
  const look = () => JSON.stringify([one.heads(), one.actors.get(KEY).snapshot(), [...one.actors.keys()]]);
  const before = look();
  return { one, untouched: () => expect(look()).toBe(before) };
}

describe('an event that an actor cannot take', () => {
  const cause = { id: '$bad', ts: Date.now() };
  type Given = { event: unknown; options?: object; key?: string };
  const cases: [string, string, Given, RegExp?][] = [
    ['of a type that no state takes', 'unknown-event', { event: { type: 'NOPE' } }, /GO, SPOIL/],
    ['of a type that every object has', 'unknown-event', { event: { type: 'constructor' } }],
    ['of no type', 'unknown-event', { event: {} }],
    ['of a type that is no text', 'unknown-event', { event: { type: 7 } }],
    ['that is the wildcard', 'unknown-event', { event: { type: '*' } }],
    ['that is null', 'invalid-event', { event: null }],
    ['that is undefined', 'invalid-event', { event: undefined }],
    ['that is a text', 'invalid-event', { event: 'GO' }],
    ['that is a list', 'invalid-event', { event: ['GO'] }],
    ['reserved for timers', 'unknown-event', { event: { type: 'understudy.timer', name: 'x', entry: 'y' } }],
    ['reserved for upgrades', 'unknown-event', { event: { type: 'understudy.upgrade', to: 9 } }],
    [
      'reserved for releases',
      'unknown-event',
      { event: { type: 'understudy.release', version: 1, state: 'busy' } },
    ],
    ['reserved by XState', 'unknown-event', { event: { type: 'xstate.init' } }],
    [
      'with a field that is not declared',
      'invalid-event',
      { event: { type: 'GO', text: 'x' } },
      /"text".*declared/,
    ],
    [
      'with a field that every object has',
      'invalid-event',
      { event: JSON.parse('{"type":"GO","__proto__":1}') },
    ],
    [
      'with more than 1 KB of fields',
      'invalid-event',
      { event: { type: 'GO', by: 'x'.repeat(1100) } },
      /1024 bytes/,
    ],
    ...hostileValues
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string, Given] => [
        `with ${name}`,
        'invalid-event',
        { event: { type: 'GO', by: value } },
      ]),
    ...hostileValues.map(([name], which): [string, string, Given] => [
      `that leaves ${name} in the context`,
      'invalid-context',
      { event: { type: 'SPOIL', which } },
    ]),
    [
      'that leaves a context too large to be saved',
      'invalid-context',
      { event: { type: 'SWELL' } },
      /64 KB|bytes/,
    ],
    ['whose assignment throws', 'transition-failed', { event: { type: 'FAIL' } }],
    ['whose guard throws', 'transition-failed', { event: { type: 'GUARDED' } }],
    ['that leads into an endless loop', 'transition-failed', { event: { type: 'SPIN' } }],
    [
      'for an actor that does not exist',
      'missing-actor',
      { event: { type: 'GO' }, key: 'target/none', options: { existing: true } },
      /target\/none/,
    ],
    ['under an empty id', 'invalid-event', { event: { type: 'GO' }, options: { id: '' } }],
    [
      'without the id of its cause',
      'invalid-event',
      { event: { type: 'GO' }, options: { cause: { id: '', ts: 1 } } },
    ],
    [
      'under an id longer than any',
      'invalid-event',
      { event: { type: 'GO' }, options: { cause: { id: `$${'x'.repeat(5000)}`, ts: 1 } } },
    ],
    ['under the id of an upgrade', 'invalid-event', { event: { type: 'GO' }, options: { id: 'upgrade/2' } }],
  ];

  it.each(cases)(
    '%s is a typed error (%s), and nothing changes',
    async (_, code, { event, options, key }, message) => {
      const { one, untouched } = await standing();
      let caught: unknown;
      try {
        await one.actors.get(key ?? KEY).send(event as ActorEvent, { cause, ...options });
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(ActorError);
      expect(codeOf(caught)).toBe(code);
      if (message !== undefined) expect((caught as Error).message).toMatch(message);
      untouched();
      // It is none the worse for it.
      const next = await one.actors.get(KEY).send({ type: 'GO' }, { cause: { id: '$good', ts: Date.now() } });
      expect(next).toMatchObject({ status: 'active', value: 'busy' });
    },
  );

  it.each([NaN, Infinity, -1, 1e300, 'soon'])(
    'whose time is %s counts, and its time is one that JSON can carry',
    async (ts) => {
      const { one } = await standing();
      await one.actors.get(KEY).send({ type: 'GO' }, { cause: { id: '$odd', ts: ts as number } });
      const { event } = one.actors.get(KEY).history().at(-1) ?? {};
      expect(event?.id).toBe('$odd');
      expect(Number.isSafeInteger(event?.ts)).toBe(true);
      expect(one.actors.get(KEY).snapshot().value).toBe('busy');
    },
  );

  it('takes a field that is undefined for one that is not there', async () => {
    const { one } = await standing();
    await one.actors.get(KEY).send({ type: 'GO', by: undefined as never }, { cause });
    expect(one.actors.get(KEY).history().at(-1)?.event.data).toBeUndefined();
  });
});

describe('a key that names no actor', () => {
  it.each([
    ['', 'bad-key'],
    ['target', 'bad-key'],
    ['target/', 'bad-key'],
    ['/1', 'bad-key'],
    ['target/a b', 'bad-key'],
    ['target/a\nb', 'bad-key'],
    [`target/${'x'.repeat(600)}`, 'bad-key'],
    ['constructor/1', 'unknown-machine'],
    ['__proto__/1', 'unknown-machine'],
    ['other/1', 'unknown-machine'],
  ])('%j is a typed error (%s)', async (key, code) => {
    const { one, untouched } = await standing();
    const cause = { id: '$1', ts: 1 };
    expect(() => one.actors.get(key)).toThrow(expect.objectContaining({ name: 'ActorError', code }) as Error);
    await expect(one.actors.send(key, { type: 'GO' }, { cause })).rejects.toMatchObject({ code });
    await expect(one.actors.release(key, { cause })).rejects.toMatchObject({ code });
    untouched();
  });

  it.each(['', 'upgrade/2'])('is not released under the id %j', async (id) => {
    const { one, untouched } = await standing();
    const released = one.actors.release(KEY, { cause: { id, ts: 1 } });
    await expect(released).rejects.toMatchObject({ name: 'ActorError', code: 'invalid-event' });
    untouched();
  });

  it('of an actor without events has nothing to release', async () => {
    const { one, untouched } = await standing();
    const released = one.actors.release('target/none', { cause: { id: '$1', ts: 1 } });
    await expect(released).rejects.toMatchObject({ code: 'missing-actor' });
    untouched();
  });
});
