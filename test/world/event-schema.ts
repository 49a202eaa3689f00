import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Schema, Validator } from '@cfworker/json-schema';
import { htmlProblems } from './matrix-html.js';
import { publishedSchemas } from './published-schemas.js';

const folder = join(import.meta.dirname, '..', 'schemas', 'matrix');
const validators = new Map(
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => {
      const schema = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Schema;
      return [file.replace(/\.json$/, ''), new Validator(schema, '2020-12', false)];
    }),
);
const published = publishedSchemas();

/** A PDU takes 65,536 bytes with all that a homeserver adds (PROTOCOL D3). */
const MOST_BYTES = 60_000;

/** What is wrong with the content of an event (or body of a request) that a replica sends; empty when nothing is. */
export function eventProblems(type: string, content: unknown): string[] {
  const bytes = Buffer.byteLength(JSON.stringify(content) ?? '');
  const size = bytes > MOST_BYTES ? [`${type}: ${bytes} bytes`] : [];
  const validator = validators.get(type);
  if (validator === undefined) return [...size, `${type}: no schema is known of it`];
  const { errors } = validator.validate(content ?? null);
  const last = errors.at(-1);
  const unfit = last === undefined ? [] : [`${type}: ${last.instanceLocation} ${last.error}`];
  return [
    ...size,
    ...unfit,
    ...bodiesOf(content)
      .flatMap(htmlProblems)
      .map((what) => `${type}: ${what}`),
    ...(isRemoval(type, content) ? [] : (published?.problems(type, content) ?? [])),
  ];
}

/** A state event is taken back by content that says nothing to others; what is published describes those that stand. */
const isRemoval = (type: string, content: unknown): boolean =>
  type.startsWith('m.space.') && Object.keys(content ?? {}).every((key) => key.startsWith('dev.understudy.'));

/** What a request to make a room says of itself and of its first events. */
export function roomProblems(body: unknown): string[] {
  const said = (body ?? {}) as Record<string, unknown>;
  const { creation_content, power_level_content_override, initial_state, name, topic } = said;
  const first = Array.isArray(initial_state)
    ? (initial_state as { type?: unknown; content?: unknown }[])
    : [];
  return [
    ...eventProblems('create-room-request', body),
    ...eventProblems('m.room.create', creation_content ?? {}),
    ...eventProblems('m.room.power_levels', power_level_content_override ?? {}),
    ...(name === undefined ? [] : eventProblems('m.room.name', { name })),
    ...(topic === undefined ? [] : eventProblems('m.room.topic', { topic })),
    ...first.flatMap((event) => eventProblems(String(event?.type), event?.content)),
  ];
}

/** An edit's first body begins with a star. */
function bodiesOf(content: unknown): string[] {
  const { formatted_body, 'm.new_content': edited } = (content ?? {}) as Record<string, unknown>;
  const own = typeof formatted_body === 'string' ? [formatted_body] : [];
  return edited === undefined ? own : [...own, ...bodiesOf(edited)];
}
