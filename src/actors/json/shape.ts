import { z } from 'zod';
import { canonicalJson, type Json } from '../../documents/json.js';
import { guardSchema, type GuardSchema } from './guard-schema.js';
import { nameFault } from './names.js';

const MOST_CONTEXT = 16_384;
const MOST_PARAMS = 4_096;

/** Where an assigned value comes from. */
export type Operation =
  | { readonly set: Json }
  | { readonly event: string }
  | { readonly add: Amount }
  | { readonly subtract: Amount };

export type Amount = number | { readonly event: string };

export interface Guard {
  readonly context?: GuardSchema | undefined;
  readonly event?: GuardSchema | undefined;
}

export interface NamedEffect {
  readonly type: string;
  readonly params?: Readonly<Record<string, Json>> | undefined;
}

/** One transition: taken when it is the first of its list whose guard lets it. */
export interface Branch {
  readonly target?: string | undefined;
  readonly guard?: Guard | undefined;
  readonly assign?: Readonly<Record<string, Operation>> | undefined;
  readonly actions?: readonly NamedEffect[] | undefined;
  readonly reenter?: boolean | undefined;
}

export interface StateShape {
  readonly type?: 'parallel' | 'final' | 'history' | undefined;
  readonly initial?: string | undefined;
  readonly states?: Readonly<Record<string, StateShape>> | undefined;
  readonly on?: Readonly<Record<string, readonly Branch[]>> | undefined;
  readonly after?: Readonly<Record<string, readonly Branch[]>> | undefined;
  readonly always?: readonly Branch[] | undefined;
  readonly onDone?: readonly Branch[] | undefined;
  readonly entry?: readonly NamedEffect[] | undefined;
  readonly exit?: readonly NamedEffect[] | undefined;
  readonly history?: 'shallow' | 'deep' | undefined;
  readonly target?: string | undefined;
}

export interface MachineShape extends StateShape {
  readonly id: string;
  readonly version: number;
  readonly context: Readonly<Record<string, Json>>;
  readonly events: Readonly<Record<string, readonly string[]>>;
  readonly migrate?:
    | {
        readonly state?: Readonly<Record<string, string>> | undefined;
        readonly context?: Readonly<Record<string, { set: Json } | { from: string }>> | undefined;
      }
    | undefined;
}

/** A name whose fault says what is wrong with it; `params.code` carries the code of the problem. */
const name = (kind: 'identifier' | 'dotted') =>
  z.string().superRefine((given, context) => {
    const fault = nameFault(kind, given);
    if (fault) context.addIssue({ code: 'custom', message: fault.what, params: { code: fault.code } });
  });
const identifier = name('identifier');
const dotted = name('dotted');
const field = z.string().min(1).max(100);
const smallJson = (most: number) =>
  z.record(z.string(), z.json()).refine((value) => canonicalJson(value as Json).length <= most, {
    error: `is longer than ${most} characters`,
  });

/** What may stand alone where a list is meant. */
const listOf = <T extends z.ZodType>(one: T) =>
  z.preprocess(
    (given) => (Array.isArray(given) ? (given as unknown[]) : [given]),
    z.array(one).min(1).max(50),
  );

const effect = z.preprocess(
  (given) => (typeof given === 'string' ? { type: given } : given),
  z.strictObject({ type: dotted, params: smallJson(MOST_PARAMS).optional() }),
);

const OPERATION =
  'must be {"set": value}, {"event": "field"}, or {"add": …} or {"subtract": …} with a number or {"event": "field"}';
const fromEvent = z.strictObject({ event: field });
const amount = z.union([z.number(), fromEvent], { error: OPERATION });
const operation = z.union(
  [
    z.strictObject({ set: z.json() }),
    fromEvent,
    z.strictObject({ add: amount }),
    z.strictObject({ subtract: amount }),
  ],
  { error: OPERATION },
);

/** A schema over the context; or two schemas, of which no keyword of JSON Schema is named `context` or `event`. */
const guard = z.preprocess(
  (given) => (isSplit(given) ? given : { context: given }),
  z.strictObject({ context: guardSchema.optional(), event: guardSchema.optional() }),
);

const branch = z.preprocess(
  (given) => (typeof given === 'string' ? { target: given } : given),
  z.strictObject({
    description: z.string().optional(),
    target: z.string().min(1).optional(),
    guard: guard.optional(),
    assign: z.record(field, operation).optional(),
    actions: listOf(effect).optional(),
    reenter: z.boolean().optional(),
  }),
);
const branches = listOf(branch);

const state: z.ZodType = z.lazy(() => z.strictObject(stateFields));
const stateFields = {
  description: z.string().optional(),
  type: z.enum(['parallel', 'final', 'history'], { error: 'must be parallel, final or history' }).optional(),
  initial: z.string().optional(),
  states: z.record(identifier, state).optional(),
  on: z.record(dotted, branches).optional(),
  after: z.record(z.string(), branches).optional(),
  always: branches.optional(),
  onDone: branches.optional(),
  entry: listOf(effect).optional(),
  exit: listOf(effect).optional(),
  history: z.enum(['shallow', 'deep'], { error: 'must be shallow or deep' }).optional(),
  target: z.string().optional(),
};

const MIGRATION = 'must be {"set": value} or {"from": "field of the version before"}';

/** The content of a machine file. What no single field can show, `check.ts` looks at. */
export const machineFile = z.strictObject({
  ...stateFields,
  id: identifier,
  version: z.int({ error: 'must be a whole number from 1' }).min(1, 'must be a whole number from 1'),
  context: smallJson(MOST_CONTEXT).default({}),
  events: z.record(dotted, z.array(field).max(50)).default({}),
  migrate: z
    .strictObject({
      state: z.record(z.string(), z.string()).optional(),
      context: z
        .record(
          field,
          z.union([z.strictObject({ set: z.json() }), z.strictObject({ from: field })], { error: MIGRATION }),
        )
        .optional(),
    })
    .optional(),
});

function isSplit(given: unknown): boolean {
  return typeof given === 'object' && given !== null && ('context' in given || 'event' in given);
}
