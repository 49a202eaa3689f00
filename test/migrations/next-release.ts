import { z } from 'zod';
import { Schemas } from '../../src/documents/migrations/schemas.js';
import type { AddedField, FieldMove, SchemaStep } from '../../src/documents/migrations/step.js';

/**
 * What a build of the next release would bring: some fields that it adds, and schema 2, in which some go on under
 * another name and in another form, one of them (`user.agent`) without an inverse for all that it can say.
 */
const title: FieldMove = {
  kind: 'room',
  from: 'display_name',
  field: 'title',
  schema: z.object({ text: z.string(), lang: z.string().optional() }),
  up: (value) => (typeof value === 'string' ? { text: value } : undefined),
  down: (value) => (value as { text: string }).text,
};

const agents: FieldMove = {
  kind: 'user',
  from: 'selected_agent_id',
  field: 'agents',
  schema: z.array(z.string()),
  up: (value) => [value],
  down: (value) => ((value as string[]).length === 1 ? (value as string[])[0] : undefined),
};

const since: FieldMove = {
  kind: 'floor',
  from: 'origin_server_ts',
  field: 'since',
  schema: z.object({ ms: z.number() }),
  up: (value) => ({ ms: value }),
  down: (value) => (value as { ms: number }).ms,
};

const device: FieldMove = {
  kind: 'cluster',
  from: 'device_id',
  field: 'devices',
  schema: z.array(z.string()),
  up: (value) => [value],
  down: (value) => (value as string[])[0],
};

const text = z.string();
export const added: readonly AddedField[] = [
  { kind: 'room', field: 'theme', schema: text },
  { kind: 'user', field: 'locale', schema: text },
  { kind: 'chat', field: 'topic', schema: text },
  { kind: 'mark', field: 'channel', schema: text },
  { kind: 'floor', field: 'seen_by', schema: text },
  { kind: 'member', field: 'zone', schema: text },
  { kind: 'cluster', field: 'region', schema: text },
];

export const second: SchemaStep = {
  to: 2,
  what: 'titles have a language, a person has several agents',
  documents: ['cluster', 'routing', 'actors'],
  moves: [title, agents, since, device],
};

export const next = new Schemas({ added, steps: [second] });

/** The release after that one. */
export const afterNext = new Schemas({
  added,
  steps: [
    second,
    {
      to: 3,
      what: 'titles are cased',
      documents: ['routing'],
      moves: [
        {
          kind: 'room',
          from: 'title',
          field: 'heading',
          schema: z.object({ text: z.string(), lang: z.string().optional(), upper: z.boolean() }),
          up: (value) => ({ ...(value as object), upper: false }),
          down: (value) => {
            const { text: words, lang } = value as { text: string; lang?: string };
            return { text: words, ...(lang !== undefined && { lang }) };
          },
        },
      ],
    },
  ],
});

/** Few file calls: of a folder with one shard it is one document that is migrated. */
export const routingOnly = new Schemas({
  added,
  steps: [{ ...second, documents: ['routing'], moves: [title, agents] }],
});
