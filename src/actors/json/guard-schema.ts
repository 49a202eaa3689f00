import { Validator, type Schema } from '@cfworker/json-schema';
import { z } from 'zod';
import { canonicalJson, type Json } from '../../documents/json.js';

/** A guard's schema is looked through at every event, on every replica. */
const MOST_CHARACTERS = 4_096;

const types = z.enum(['null', 'boolean', 'object', 'array', 'number', 'integer', 'string']);
const names = z.array(z.string()).max(100);
const count = z.int().nonnegative();
const inner: z.ZodType = z.lazy(() => schema);
const list = z.array(inner).min(1).max(50);

/**
 * The keywords of JSON Schema 2020-12 that a guard may use: those whose work is bounded by the size of schema and
 * value, and that mean the same in every validator. So no `pattern` (a regular expression can take for ever), no
 * `$ref` (so can a circle), no `format` (each validator has its own idea), no `uniqueItems` (it compares all pairs).
 */
const keywords = z.strictObject({
  type: z.union([types, z.array(types).min(1)]),
  const: z.json(),
  enum: z.array(z.json()).min(1).max(100),
  properties: z.record(z.string(), inner),
  required: names,
  dependentRequired: z.record(z.string(), names),
  ...each(['additionalProperties', 'items', 'contains', 'not', 'if', 'then', 'else'], inner),
  ...each(['allOf', 'anyOf', 'oneOf', 'prefixItems'], list),
  ...each(['minProperties', 'maxProperties', 'minItems', 'maxItems', 'minContains', 'maxContains'], count),
  ...each(['minLength', 'maxLength'], count),
  ...each(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'], z.number()),
  multipleOf: z.number().positive(),
  title: z.string(),
  description: z.string(),
});

export const keywordNames: readonly string[] = Object.keys(keywords.shape);

function each(keys: readonly string[], type: z.ZodType): Record<string, z.ZodType> {
  return Object.fromEntries(keys.map((key) => [key, type]));
}

const schema = z.union([z.boolean(), keywords.partial()], {
  error: 'must be a JSON Schema: an object, true or false',
});

/** A guard's schema as it may stand in a file. */
export const guardSchema = schema.refine((given) => canonicalJson(given as Json).length <= MOST_CHARACTERS, {
  error: `is longer than ${MOST_CHARACTERS} characters`,
});

export type GuardSchema = boolean | { readonly [keyword: string]: Json };

/** The predicate that a schema is. It interprets the schema: a file never becomes code. */
export function predicateOf(given: GuardSchema): (value: unknown) => boolean {
  // The validator writes marks into the schema that it is given.
  const validator = new Validator(structuredClone<Schema | boolean>(given), '2020-12');
  return (value) => validator.validate(value).valid;
}

/** Keywords whose schemas look at the same value. */
const SAME_VALUE = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'];

/** The members of the value that a schema names, with the place where it does: `properties.paid`, `required.0`. */
export function membersNamed(given: GuardSchema, at = ''): { name: string; at: string }[] {
  if (typeof given === 'boolean') return [];
  const {
    properties = {},
    required = [],
    dependentRequired = {},
  } = given as {
    properties?: object;
    required?: readonly string[];
    dependentRequired?: Record<string, readonly string[]>;
  };
  const here = [
    ...Object.keys(properties).map((name) => ({ name, at: `${at}properties.${name}` })),
    ...required.map((name, index) => ({ name, at: `${at}required.${index}` })),
    ...Object.entries(dependentRequired).flatMap(([name, others]) =>
      [name, ...others].map((one) => ({ name: one, at: `${at}dependentRequired.${name}` })),
    ),
  ];
  const inner = SAME_VALUE.flatMap((keyword) => {
    const value = given[keyword] as GuardSchema | readonly GuardSchema[] | undefined;
    if (value === undefined) return [];
    if (!isList(value)) return membersNamed(value, `${at}${keyword}.`);
    return value.flatMap((one, index) => membersNamed(one, `${at}${keyword}.${index}.`));
  });
  return [...here, ...inner];
}

const isList = <T>(value: T | readonly T[]): value is readonly T[] => Array.isArray(value);
