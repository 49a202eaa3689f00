import type { Json } from '../../documents/json.js';
import type { Amount, Operation } from './shape.js';

type Fields = Readonly<Record<string, Json | undefined>>;

/**
 * The fields of the context that an assignment changes. All read the context as it was before. A field that the
 * event does not carry changes nothing: where that matters, a guard requires it.
 *
 * @throws {TypeError} when what is added or subtracted is no number, or the result is none; the actor is then
 *   quarantined.
 */
export function assigned(
  operations: Readonly<Record<string, Operation>>,
  context: Fields,
  event: Fields,
): Record<string, Json> {
  const changes: Record<string, Json> = {};
  for (const [field, operation] of Object.entries(operations)) {
    const value = result(field, operation, context, event);
    if (value !== undefined) changes[field] = value;
  }
  return changes;
}

function result(field: string, operation: Operation, context: Fields, event: Fields): Json | undefined {
  if ('set' in operation) return operation.set;
  if ('event' in operation) return own(event, operation.event);
  const given = amountOf(operation);
  const amount = typeof given === 'number' ? given : own(event, given.event);
  if (amount === undefined) return undefined;
  const before = own(context, field);
  if (typeof before === 'number' && typeof amount === 'number') {
    const after = 'add' in operation ? before + amount : before - amount;
    if (Number.isFinite(after)) return after;
  }
  throw new TypeError(`"${field}" cannot be counted: it, or what is added to it, is no number within bounds`);
}

const amountOf = (operation: { add: Amount } | { subtract: Amount }): Amount =>
  'add' in operation ? operation.add : operation.subtract;

const own = (fields: Fields, name: string): Json | undefined =>
  Object.hasOwn(fields, name) ? fields[name] : undefined;
