import { isJson } from '../documents/json.js';
import { ActorError } from './errors.js';
import type { LoggedEvent } from './event.js';
import type { Machine } from './machines.js';

/** Of the declared fields together, as JSON, bytes (PROTOCOL A2). */
const MOST_BYTES = 1024;
/** Of an event's id; Matrix allows 255 bytes. */
const MOST_ID_LENGTH = 512;

/**
 * What a caller gives as an event, held to what its machine declares.
 *
 * @throws {ActorError} `unknown-event`, `invalid-event`.
 */
export function checkedEvent(machine: Machine, event: unknown): Pick<LoggedEvent, 'type' | 'data'> {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw new ActorError('invalid-event', `an event of machine ${machine.id} is an object with a \`type\``);
  }
  const { type, ...given } = event as Record<string, unknown>;
  const declared = typeof type === 'string' ? machine.events.get(type) : undefined;
  if (typeof type !== 'string' || declared === undefined) {
    const name = typeof type === 'string' ? JSON.stringify(type) : `of type ${typeof type}`;
    const known = [...machine.events.keys()].join(', ');
    throw new ActorError('unknown-event', `machine ${machine.id} takes no event ${name}; it takes: ${known}`);
  }
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  const stranger = fields.find(([name]) => !declared.includes(name));
  if (stranger !== undefined) {
    throw new ActorError(
      'invalid-event',
      `event ${type} of machine ${machine.id} has a field ${JSON.stringify(stranger[0])} that is not declared: name it in \`events\` when the machine is registered, if a guard or an assignment reads it`,
    );
  }
  const data: unknown = Object.fromEntries(fields);
  if (!isJson(data))
    throw new ActorError('invalid-event', `event ${type} has fields that are not plain JSON`);
  const text = JSON.stringify(data);
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new ActorError('invalid-event', `event ${type} has more than ${MOST_BYTES} bytes of fields`);
  }
  // A copy, as it will be read: what the caller keeps stays the caller's.
  return { type, data: fields.length === 0 ? undefined : (JSON.parse(text) as LoggedEvent['data']) };
}

/**
 * An event's id, which is the id of what caused it.
 *
 * @throws {ActorError} `invalid-event`.
 */
export function checkedId(id: unknown): string {
  if (typeof id !== 'string' || id === '' || id.length > MOST_ID_LENGTH) {
    throw new ActorError(
      'invalid-event',
      `an event needs the id of what caused it, of 1 to ${MOST_ID_LENGTH} characters: the event counts once per id`,
    );
  }
  // Else an upgrade of that actor would count as made already.
  if (id.startsWith('upgrade/')) {
    throw new ActorError(
      'invalid-event',
      `the id ${JSON.stringify(id)} is reserved for upgrades of a machine`,
    );
  }
  return id;
}
