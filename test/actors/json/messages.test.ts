import { describe, expect, it } from 'vitest';
import { describeProblem, MachineFileError } from '../../../src/actors/json/errors.js';
import { parseMachineFiles } from '../../../src/actors/json/machine-file.js';
import { file, problems } from './files.js';

type Content = Record<string, unknown>;

/** A machine with one nested state, and nothing wrong with it but what the test puts in. */
const order = (card: Content, rest: Content = {}): Content => ({
  id: 'order',
  version: 1,
  context: { paid: false, sum: 0, note: 'x' },
  events: { PAID: ['amount'] },
  initial: 'paying',
  states: {
    paying: {
      initial: 'card',
      states: { card: { on: { PAID: 'paid' }, ...card }, paid: {} },
      on: { PAID: 'closed' },
    },
    closed: { type: 'final' },
  },
  ...rest,
});

const said = (content: unknown): string[] => problems(file(content, 'order.json')).map(describeProblem);
const codes = (content: unknown): string[] => problems(file(content)).map(({ code }) => code);

/** What stands in the state `paying.card`, and the one message that follows. */
const inCard: [about: string, card: Content, code: string, message: string][] = [
  [
    'a target that is not there, with what was meant',
    { on: { PAID: 'payed' } },
    'unknown-target',
    'field "on.PAID.target": there is no state "payed" here; did you mean "paid"?',
  ],
  [
    'a target that is somewhere else',
    { on: { PAID: 'closed' } },
    'unknown-target',
    'field "on.PAID.target": there is no state "closed" here; did you mean "#order.closed"?',
  ],
  [
    'a target of another machine',
    { on: { PAID: '#invoice.closed' } },
    'unknown-target',
    'field "on.PAID.target": there is no state "#invoice.closed" here',
  ],
  [
    'a target in the second of two transitions',
    { on: { PAID: [{ target: 'paid', guard: true }, { target: 'nowhere' }] } },
    'unknown-target',
    'field "on.PAID.1.target": there is no state "nowhere" here',
  ],
  [
    'an event that is not declared',
    { on: { PAYD: 'paid' } },
    'unknown-event',
    'field "on.PAYD": is no event of "events"; did you mean "PAID"?',
  ],
  [
    'a wildcard',
    { on: { '*': 'paid' } },
    'bad-name',
    'field "on.*": "*" is no name: it begins with a letter and has only letters, digits, "_", "-" and "."',
  ],
  [
    'an event of our own',
    { on: { 'understudy.timer': 'paid' } },
    'reserved-name',
    'field "on.understudy.timer": "understudy.timer" is reserved: names may not begin with "understudy." or "xstate."',
  ],
  [
    'an effect named like an action of XState',
    { entry: { type: 'xstate.raise', params: {} } },
    'reserved-name',
    'field "entry.type": "xstate.raise" is reserved: names may not begin with "understudy." or "xstate."',
  ],
  [
    'an effect in short whose name is none',
    { exit: ['a b'] },
    'bad-name',
    'field "exit.0": "a b" is no name: it begins with a letter and has only letters, digits, "_", "-" and "."',
  ],
  [
    'a delay that is none',
    { after: { '5 seconds': 'paid' } },
    'bad-delay',
    'field "after.5 seconds": "5 seconds" is no delay: "250ms", "5s", "10m", "2h", "7d", up to ten years',
  ],
  [
    'no delay at all',
    { after: { '0': 'paid' } },
    'bad-delay',
    'field "after.0": "0" is no delay: "250ms", "5s", "10m", "2h", "7d", up to ten years',
  ],
  [
    'a delay beyond all bounds',
    { after: { '4000d': 'paid' } },
    'bad-delay',
    'field "after.4000d": "4000d" is no delay: "250ms", "5s", "10m", "2h", "7d", up to ten years',
  ],
  [
    'one delay written in two ways',
    { after: { '1s': 'paid', '1000ms': 'paid' } },
    'bad-delay',
    'field "after.1000ms": is the same time as "1s": make one list of both',
  ],
  [
    'a field of the event that is not declared',
    { on: { PAID: { assign: { sum: { event: 'amont' } } } } },
    'unknown-field',
    'field "on.PAID.assign.sum": "amont" is no field of this event, as "events" declares it; did you mean "amount"?',
  ],
  [
    'a field of the event added that is not declared',
    { on: { PAID: { assign: { sum: { subtract: { event: 'price' } } } } } },
    'unknown-field',
    'field "on.PAID.assign.sum": "price" is no field of this event, as "events" declares it',
  ],
  [
    'a field of the context that is not there',
    { on: { PAID: { assign: { paied: { set: true } } } } },
    'unknown-field',
    'field "on.PAID.assign.paied": "paied" is no field of the context: give it a first value there; did you mean "paid"?',
  ],
  [
    'counting what is no number',
    { on: { PAID: { assign: { note: { add: 1 } } } } },
    'bad-assign',
    'field "on.PAID.assign.note": only a number can be counted: its first value in "context" is none',
  ],
  [
    'an assignment of no kind',
    { on: { PAID: { assign: { sum: 5 } } } },
    'bad-shape',
    'field "on.PAID.assign.sum": must be {"set": value}, {"event": "field"}, or {"add": …} or {"subtract": …} with a number or {"event": "field"}',
  ],
  [
    'reading the event of an eventless transition',
    { always: { target: 'paid', assign: { sum: { event: 'amount' } } } },
    'bad-assign',
    'field "always.assign.sum": there is no event to read here: read it in a transition under "on" and keep it in the context',
  ],
  [
    'a guard over the event of an eventless transition',
    { always: { target: 'paid', guard: { event: { required: ['amount'] } } } },
    'bad-guard',
    'field "always.guard.event": there is no event to read here: read it in a transition under "on" and keep it in the context',
  ],
  [
    'a guard over a field of the context that is not there',
    { on: { PAID: { target: 'paid', guard: { properties: { payd: { const: true } } } } } },
    'unknown-field',
    'field "on.PAID.guard.properties.payd": "payd" is no field of the context; did you mean "paid"?',
  ],
  [
    'a guard over a field of the event that is not declared',
    { on: { PAID: { target: 'paid', guard: { context: true, event: { anyOf: [{ required: ['sum'] }] } } } } },
    'unknown-field',
    'field "on.PAID.guard.event.anyOf.0.required.0": "sum" is no field of this event',
  ],
  [
    'a keyword that a guard may not use',
    { on: { PAID: { target: 'paid', guard: { properties: { note: { pattern: '(a+)+$' } } } } } },
    'bad-guard',
    'field "on.PAID.guard.properties.note.pattern": "pattern" is no keyword that a guard may use',
  ],
  [
    'a keyword of a guard misspelled',
    { on: { PAID: { target: 'paid', guard: { properties: { sum: { minium: 3 } } } } } },
    'bad-guard',
    'field "on.PAID.guard.properties.sum.minium": "minium" is no keyword that a guard may use; did you mean "minimum"?',
  ],
  [
    'a keyword of a guard with a value of the wrong type',
    { on: { PAID: { target: 'paid', guard: { properties: { sum: { minimum: '3' } } } } } },
    'bad-guard',
    'field "on.PAID.guard.properties.sum.minimum": must be of type number',
  ],
  [
    'a type of JSON Schema that is none',
    { on: { PAID: { target: 'paid', guard: { type: 'objekt' } } } },
    'bad-guard',
    'field "on.PAID.guard.type": must be one of "null", "boolean", "object", "array", "number", "integer", "string"',
  ],
  [
    'a guard that is no schema',
    { on: { PAID: { target: 'paid', guard: 'isPaid' } } },
    'bad-guard',
    'field "on.PAID.guard": must be a JSON Schema: an object, true or false',
  ],
  [
    'a guard that is too long',
    { on: { PAID: { target: 'paid', guard: { properties: { note: { const: 'x'.repeat(5000) } } } } } },
    'bad-guard',
    'field "on.PAID.guard": is longer than 4096 characters',
  ],
  [
    'a transition behind one without a guard',
    { on: { PAID: ['paid', { target: 'card', guard: true }] } },
    'never-taken',
    'field "on.PAID.1": on.PAID.0 has no guard, so it is always taken first',
  ],
  [
    'an eventless transition in a circle',
    { always: 'card' },
    'endless',
    'field "always": would be taken for ever: give it a guard, or a target outside of this state',
  ],
  [
    'reenter without a target',
    { on: { PAID: { reenter: true } } },
    'bad-state',
    'field "on.PAID.reenter": means nothing without a target',
  ],
  [
    'a field that does not exist',
    { onn: {} },
    'bad-shape',
    'field "onn": "onn" is no field that may stand here; did you mean "on"?',
  ],
  [
    'a field of a transition that does not exist',
    { on: { PAID: [{ target: 'paid', guards: true }] } },
    'bad-shape',
    'field "on.PAID.0.guards": "guards" is no field that may stand here; did you mean "guard"?',
  ],
  [
    'a type of state that does not exist',
    { type: 'atomic' },
    'bad-shape',
    'field "type": must be parallel, final or history',
  ],
  ['an effect without a name', { entry: { params: {} } }, 'bad-shape', 'field "entry.type": is missing'],
  [
    'parameters that are no object',
    { entry: { type: 'write', params: 5 } },
    'bad-shape',
    'field "entry.params": must be of type record',
  ],
  [
    'parameters that are too long',
    { entry: { type: 'write', params: { a: 'x'.repeat(5000) } } },
    'bad-shape',
    'field "entry.params": is longer than 4096 characters',
  ],
  [
    'an empty list of transitions',
    { on: { PAID: [] } },
    'bad-shape',
    'field "on.PAID": must have at least 1 entries',
  ],
  [
    'initial without states',
    { initial: 'x' },
    'bad-state',
    'field "initial": may not stand in a state without states of its own',
  ],
  ['states that are empty', { states: {} }, 'bad-state', 'field "states": is empty'],
  [
    'history in a state that is none',
    { history: 'deep' },
    'bad-state',
    'field "history": may not stand in a state without states of its own',
  ],
  [
    'a parallel state without states',
    { type: 'parallel' },
    'bad-state',
    'field "states": is missing: a parallel state is made of states',
  ],
  [
    'a parallel state that begins in one',
    { type: 'parallel', initial: 'a', states: { a: {} } },
    'bad-state',
    'field "initial": may not stand in a parallel state, which is in all of its states',
  ],
  [
    'a final state with a transition',
    { type: 'final' },
    'bad-state',
    'field "on": may not stand in a final state, which nothing leaves',
  ],
  [
    'an initial state that is not there',
    { initial: 'opn', states: { open: {} } },
    'unknown-initial',
    'field "initial": there is no state "opn" here; did you mean "open"?',
  ],
  [
    'no initial state',
    { states: { open: {}, shut: {} } },
    'unknown-initial',
    'field "initial": is missing; one of open, shut',
  ],
  [
    'a history state to begin in',
    { initial: 'last', states: { open: {}, last: { type: 'history' } } },
    'unknown-initial',
    'field "initial": "last" is a history state: name the state to begin in',
  ],
  [
    'onDone without a final state',
    { initial: 'open', states: { open: {} }, onDone: 'paid' },
    'never-taken',
    'field "onDone": none of the states here is final',
  ],
];

describe('a message about a machine file names file, state and field', () => {
  it('and the machine of these tests has nothing wrong with it', () => {
    expect(said(order({}))).toEqual([]);
  });

  it.each(inCard)('%s', (_about, card, code, message) => {
    const content = order(card);
    expect(said(content)).toEqual([`order.json: state "paying.card", ${message}`]);
    expect(codes(content)).toEqual([code]);
  });

  const inHistory: [string, Content, string, string][] = [
    [
      'a default that is not there',
      { target: 'crd' },
      'unknown-target',
      'field "target": there is no state "crd" here; did you mean "card"?',
    ],
    [
      'a default outside',
      { target: '#order.closed' },
      'bad-history',
      'field "target": "#order.closed" is no state inside "paying"',
    ],
    [
      'a transition',
      { on: { PAID: 'card' } },
      'bad-state',
      'field "on": may not stand in a history state, in which no actor ever is',
    ],
    ['a kind that is none', { history: 'flat' }, 'bad-shape', 'field "history": must be shallow or deep'],
  ];
  it.each(inHistory)('a history state with %s', (_about, fields, code, message) => {
    const content = order({}) as { states: { paying: { states: Content } } };
    content.states.paying.states['last'] = { type: 'history', ...fields };
    expect(said(content)).toEqual([`order.json: state "paying.last", ${message}`]);
    expect(codes(content)).toEqual([code]);
  });

  const inMachine: [string, Content, string, string][] = [
    ['no id', { id: undefined }, 'bad-shape', 'field "id": is missing'],
    [
      'an id with a slash',
      { id: 'a/b' },
      'bad-name',
      'field "id": "a/b" is no name: it begins with a letter and has only letters, digits, "_" and "-"',
    ],
    [
      'a version that is no number',
      { version: '1' },
      'bad-shape',
      'field "version": must be a whole number from 1',
    ],
    [
      'a version below the first',
      { version: 0 },
      'bad-shape',
      'field "version": must be a whole number from 1',
    ],
    [
      'an initial state that is not there',
      { initial: 'payin' },
      'unknown-initial',
      'field "initial": there is no state "payin" here; did you mean "paying"?',
    ],
    ['a context that is no object', { context: [] }, 'bad-shape', 'field "context": must be of type record'],
    [
      'a context that is too long',
      { context: { paid: 'x'.repeat(20_000) } },
      'bad-shape',
      'field "context": is longer than 16384 characters',
    ],
    [
      'an event for nothing',
      { events: { PAID: [], LOST: [] } },
      'unused-event',
      'field "events.LOST": no state has a transition for it that does anything',
    ],
    [
      'an event with a field that every event has',
      { events: { PAID: ['ts'] } },
      'reserved-name',
      'field "events.PAID.0": "ts" is in every event: it is not declared',
    ],
    [
      'an event with a field twice',
      { events: { PAID: ['a', 'a'] } },
      'bad-shape',
      'field "events.PAID.1": "a" stands twice',
    ],
    [
      'an event with a field that is no name',
      { events: { PAID: ['a b'] } },
      'bad-name',
      'field "events.PAID.0": "a b" is no name: it begins with a letter and has only letters, digits, "_" and "-"',
    ],
    [
      'onDone',
      { onDone: '.closed' },
      'bad-state',
      'field "onDone": may not stand in the machine itself: its actors are done then',
    ],
    [
      'a migration of the first version',
      { migrate: {} },
      'bad-migration',
      'field "migrate": version 1 has no version before it',
    ],
    [
      'a migration to a state that is not there',
      { version: 2, migrate: { state: { old: 'paying.crd' } } },
      'bad-migration',
      'field "migrate.state.old": there is no state "paying.crd"; did you mean "paying.card"?',
    ],
    [
      'a migration to a state that has states',
      { version: 2, migrate: { state: { old: 'paying' } } },
      'bad-migration',
      'field "migrate.state.old": "paying" has states of its own: name the innermost one',
    ],
    [
      'a migration of a field that is not there',
      { version: 2, migrate: { context: { summ: { set: 1 } } } },
      'bad-migration',
      'field "migrate.context.summ": "summ" is no field of the context; did you mean "sum"?',
    ],
    [
      'a migration of no kind',
      { version: 2, migrate: { context: { sum: 1 } } },
      'bad-shape',
      'field "migrate.context.sum": must be {"set": value} or {"from": "field of the version before"}',
    ],
  ];
  it.each(inMachine)('a machine with %s', (_about, fields, code, message) => {
    const content = order({}, fields);
    expect(said(content)).toEqual([`order.json: ${message}`]);
    expect(codes(content)).toEqual([code]);
  });

  it('a machine without states, and a history state with nothing around it', () => {
    expect(said({ id: 'm', version: 1 })).toEqual([
      'order.json: field "states": is missing: a machine needs states',
    ]);
    const last = { id: 'm', version: 1, initial: 'a', states: { a: {}, last: { type: 'history' } } };
    expect(said(last)).toEqual([
      'order.json: state "last", field "type": a history state needs a state around it that can be left and come back to',
    ]);
    expect(said({ id: 'm', version: 1, type: 'history' })[0]).toContain(
      'field "type": a history state needs',
    );
  });
});

describe('the text of a machine file', () => {
  it.each([
    ['is not JSON', '{"id": }', 'unreadable', 'order.json: is not JSON: '],
    [
      'is bigger than it may be',
      ' '.repeat(256 * 1024 + 1),
      'unreadable',
      'order.json: is bigger than 256 KB',
    ],
    [
      'is nested too deep',
      '['.repeat(40) + ']'.repeat(40),
      'unreadable',
      'order.json: is nested more than 32 levels deep',
    ],
    [
      'holds a number beyond all bounds',
      '{"version": 1e999}',
      'unreadable',
      'order.json: is nested more than 32 levels deep, or holds a number beyond all bounds',
    ],
    [
      'names one key twice',
      '{"id": "m",\n "states": {"a": {}, "a": {}}}',
      'duplicate-key',
      'order.json: line 2, column 22: this key stands twice in one object',
    ],
    [
      'names what every object has',
      '{"states": {"constructor": {}}}',
      'bad-name',
      'order.json: field "states.constructor": "constructor" may not be used: every JavaScript object has one',
    ],
    [
      'names the prototype',
      '{"context": {"__proto__": {"a": 1}}}',
      'bad-name',
      'order.json: field "context.__proto__": "__proto__"',
    ],
    ['is no object', '[]', 'bad-shape', 'order.json: must be of type object'],
  ])('that %s is refused', (_about, text, code, message) => {
    const [first, ...rest] = problems(file(text, 'order.json'));
    expect(rest).toEqual([]);
    expect(first?.code).toBe(code);
    expect(first && describeProblem(first)).toContain(message);
  });

  it('that is not UTF-8 is refused', () => {
    const [problem] = problems({ file: 'm.json', bytes: new Uint8Array([0x7b, 0xff, 0x7d]) });
    expect(problem).toMatchObject({ code: 'unreadable', what: 'is not UTF-8' });
  });

  it('whatever it holds, ends in problems and in no other error', () => {
    for (const value of [
      null,
      5,
      'x',
      {},
      { id: [] },
      { states: [] },
      { states: { a: [] } },
      { on: { A: [[[]]] } },
    ]) {
      expect(problems(file(value)).length).toBeGreaterThan(0);
    }
  });
});

describe('several problems', () => {
  it('are all told, of one file and of many, in the order of the files', () => {
    const one = order({ on: { PAID: 'payed' }, after: { soon: 'paid' } }, { initial: 'x' });
    const files = [file('{', 'a.json'), file(one, 'b.json'), file(order({}, { id: 'other' }), 'c.json')];
    expect(problems(...files).map(({ file: name, code }) => `${name} ${code}`)).toEqual([
      'a.json unreadable',
      'b.json unknown-initial',
      'b.json unknown-target',
      'b.json bad-delay',
    ]);
  });

  it('are one line each in the message of the error, which has a code', () => {
    const parse = () => parseMachineFiles([file(order({ on: { PAID: 'x' }, always: 'card' }), 'b.json')]);
    expect(parse).toThrow(MachineFileError);
    expect(parse).toThrow(/^b\.json: state "paying\.card", .*\nb\.json: state "paying\.card", .*$/u);
    expect(parse).toThrow(expect.objectContaining({ code: 'invalid-machine-file' }));
  });
});

describe('several files', () => {
  it('may hold versions of one machine, and not the same version twice', () => {
    const second = order({}, { version: 2 });
    expect(problems(file(order({}), 'a.json'), file(second, 'b.json'))).toEqual([]);
    expect(problems(file(second, 'a.json'), file(second, 'b.json')).map(describeProblem)).toEqual([
      'b.json: field "id": machine order version 2 is in a.json already: raise the version',
    ]);
  });

  it('must fit together where one migrates from another', () => {
    const migrate = { state: { 'paying.crd': 'closed' }, context: { sum: { from: 'summ' } } };
    const second = order({}, { version: 2, migrate });
    expect(problems(file(order({}), 'a.json'), file(second, 'b.json')).map(describeProblem)).toEqual([
      'b.json: field "migrate.state.paying.crd": version 1 has no innermost state "paying.crd"; did you mean "paying.card"?',
      'b.json: field "migrate.context.sum": version 1 has no field "summ" in its context; did you mean "sum"?',
    ]);
  });

  it('that XState or the registry refuses say so', () => {
    const circle = {
      ...{ id: 'm', version: 1, initial: 'a' },
      states: { a: { always: 'b' }, b: { always: 'a' } },
    };
    expect(problems(file(circle))).toMatchObject([{ code: 'refused', file: 'm.json' }]);
  });
});
