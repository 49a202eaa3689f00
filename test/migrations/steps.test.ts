import * as A from '@automerge/automerge';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { putRecord, readRecord, type Document } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { joinRecords } from '../../src/documents/merge/join.js';
import { lowered, raised } from '../../src/documents/migrations/lens.js';
import { migrationChange } from '../../src/documents/migrations/migration-change.js';
import { migrationOf } from '../../src/documents/migrations/migration.js';
import { rollbackOf } from '../../src/documents/migrations/rollback.js';
import { productSchemas, Schemas } from '../../src/documents/migrations/schemas.js';
import { encodeRecord, type Entry, type FieldMap } from '../../src/documents/record.js';
import { schemaOf } from '../../src/documents/schema.js';
import { ruleOf } from '../../src/documents/schemas/kinds.js';
import { afterNext, next, second } from './next-release.js';

const count = (): void => {};

/** A record as any release may have left it: an old name, a new one, or both, made at any time. */
const arbitraryRecord: fc.Arbitrary<FieldMap> = fc
  .array(
    fc.record({
      stamp: fc.integer({ min: 0, max: 5 }),
      cause: fc.constantFrom('$a', '$b', '$c'),
      way: fc.constantFrom('old', 'new', 'both'),
      theme: fc.boolean(),
    }),
    { maxLength: 4 },
  )
  .map((writes) => {
    let record = new Map<string, Entry>();
    for (const { stamp, cause, way, theme } of writes) {
      // One cause at one time writes one value, as every writer of ours does.
      const text = `${stamp}${cause}`;
      const entry = (value: Entry['value']): Entry => ({ value, stamp, cause });
      const written = new Map<string, Entry>();
      if (way !== 'new') written.set('display_name', entry(text));
      if (way !== 'old') written.set('title', entry({ text }));
      if (theme) written.set('theme', entry(text));
      record = new Map(joinRecords(record, written, ruleOf('room')));
    }
    return record;
  });

const text = (record: FieldMap): string => encodeRecord(record);
const up = (record: FieldMap): FieldMap => raised('room', record, next);

describe('a step', () => {
  it('V-join: taken before or after records are joined, in any order and any number of times, comes to the same', () => {
    fc.assert(
      fc.property(arbitraryRecord, arbitraryRecord, (a, b) => {
        const join = (x: FieldMap, y: FieldMap): FieldMap => joinRecords(x, y, ruleOf('room'));
        expect(text(up(up(a)))).toBe(text(up(a)));
        const joined = text(up(join(a, b)));
        expect(text(up(join(up(a), b)))).toBe(joined);
        expect(text(up(join(up(a), up(b))))).toBe(joined);
        expect(text(up(join(up(b), a)))).toBe(joined);
      }),
      { numRuns: 2000 },
    );
  });

  it('V-both: is written under both names, and read back the same, while the document has the earlier schema', () => {
    fc.assert(
      fc.property(arbitraryRecord, (record) => {
        const seen = up(record);
        const written = lowered('room', seen, { schemas: next, schema: 1, stored: record });
        expect(text(up(written))).toBe(text(seen));
        expect(written.get('display_name')?.value).toBe((seen.get('title')?.value as { text: string })?.text);
        const after = lowered('room', seen, { schemas: next, schema: 2, stored: record });
        expect(text(after)).toBe(text(seen));
      }),
    );
  });

  it('never reads the poorer words of a moment over the richer ones that they were made from', () => {
    const rich: Entry = { value: { text: 'Hof', lang: 'de' }, stamp: 7, cause: '$7' };
    const written = lowered('room', new Map([['title', rich]]), {
      schemas: next,
      schema: 1,
      stored: undefined,
    });
    expect(written.get('display_name')).toEqual({ value: 'Hof', stamp: 7, cause: '$7' });
    expect(up(written).get('title')).toEqual(rich);
  });

  it('leaves what it cannot say under its old name', () => {
    const odd = new Map([['display_name', { value: 7, stamp: 1, cause: '$1' }]]);
    expect(text(up(odd))).toBe(text(odd));
    const cleared = new Map([['display_name', { value: null, stamp: 1, cause: '$1' }]]);
    expect(up(cleared).get('title')?.value).toBeNull();
  });
});

describe('the registry', () => {
  const [move] = second.moves;
  it.each([
    ['a step that is not the next one', { steps: [{ ...second, to: 3 }] }, /stands at the place of 2/],
    [
      'V-retype: a field that takes another form',
      { steps: [{ ...second, moves: [{ ...move!, field: 'chat_id' }] }] },
      /another form takes another name/,
    ],
    [
      'a field in no document of the step',
      { steps: [{ ...second, documents: ['actors' as const] }] },
      /not in its documents/,
    ],
    [
      'a field that does not merge by stamp',
      { steps: [{ ...second, moves: [{ ...move!, kind: 'user' as const, from: 'next_chat_index' }] }] },
      /cannot move/,
    ],
    [
      'a field of what cuts are made of',
      { added: [{ kind: 'base' as const, field: 'x', schema: move!.schema }] },
      /a new kind/,
    ],
  ])('refuses %s', (_, given, message) => {
    expect(() => new Schemas(given)).toThrow(message);
  });

  it('of this release has no step: documents are at schema 1', () => {
    expect(productSchemas.known).toBe(1);
    expect(productSchemas.steps).toEqual([]);
  });
});

const first = (): Document =>
  A.load<Record<string, unknown>>(genesisBytes({ kind: 'routing', index: 0, generation: 0 }));
const write = (
  document: Document,
  key: string,
  field: string,
  value: Entry['value'],
  stamp: number,
): Document =>
  A.change(document, (draft) =>
    putRecord(
      draft,
      'room',
      `matrix_room:${key}`,
      new Map([
        ...(readRecord(document, 'room', `matrix_room:${key}`, count) ?? []),
        [field, { value, stamp, cause: `$${stamp}` }],
      ]),
    ),
  );
const migrate = (document: Document, schemas = next): Uint8Array =>
  migrationChange(document, 'routing', migrationOf(document, 'routing', schemas, count)!, schemas);
const applied = (document: Document, bytes: Uint8Array): Document =>
  A.applyChanges(A.clone(document), [bytes])[0];
const records = (document: Document): string =>
  JSON.stringify(
    ['!a', '!b', '!c'].map((key) => {
      const record = readRecord(document, 'room', `matrix_room:${key}`, count);
      return record && text(up(record));
    }),
  );

describe('a migration', () => {
  it('V-same: made twice of the same heads is the same change, so that it counts once', () => {
    const document = write(write(first(), '!a', 'display_name', 'one', 1), '!b', 'display_name', 'two', 2);
    // Another replica has loaded the same changes in another way.
    const other = A.applyChanges(A.init<Record<string, unknown>>(), A.getAllChanges(document))[0];
    const [one, two] = [migrate(document), migrate(other)];
    expect(Buffer.from(one).equals(Buffer.from(two))).toBe(true);
    const both = A.applyChanges(applied(document, one), [two])[0];
    expect(A.getHeads(both)).toHaveLength(1);
    expect(schemaOf(both)).toBe(2);
    expect(migrationOf(both, 'routing', next, count)).toBeUndefined();
  });

  it('V-apart: made of other heads merges to what one of them would have made, and what is left is taken up', () => {
    const base = write(first(), '!a', 'display_name', 'one', 1);
    const left = write(A.clone(base), '!a', 'display_name', 'left', 5);
    const right = write(write(A.clone(base), '!a', 'display_name', 'right', 7), '!b', 'theme', 'dark', 3);
    const both = A.merge(applied(left, migrate(left)), applied(right, migrate(right)));
    // A release before wrote while it was apart.
    const late = write(A.clone(base), '!c', 'display_name', 'late', 9);
    const all = A.merge(both, late);
    expect(schemaOf(all)).toBe(2);
    const whole = A.merge(A.merge(A.clone(left), right), late);
    expect(records(all)).toBe(records(applied(whole, migrate(whole))));
    const swept = applied(all, migrate(all));
    expect(migrationOf(swept, 'routing', next, count)).toBeUndefined();
    expect(readRecord(swept, 'room', 'matrix_room:!c', count)?.get('title')?.value).toEqual({ text: 'late' });
    expect(readRecord(swept, 'room', 'matrix_room:!c', count)?.has('display_name')).toBe(false);
  });

  it('V-highest: of concurrent versions the highest counts', () => {
    const document = first();
    const two = A.change(A.clone(document), (draft) => void (draft['schema'] = 2));
    const three = A.change(A.clone(document), (draft) => void (draft['schema'] = 3));
    const [merged, other] = [A.merge(A.clone(two), three), A.merge(A.clone(three), two)];
    expect([schemaOf(merged), schemaOf(other)]).toEqual([3, 3]);
    const lower = Array.from({ length: 8 }, () =>
      A.change(A.clone(document), (draft) => void (draft['schema'] = 2)),
    );
    expect(lower.map((one) => schemaOf(A.merge(A.clone(three), one)))).toEqual(lower.map(() => 3));
  });

  it('V-sound: is refused, and the document left as it is, when what it made is not what it must be', () => {
    const document = write(write(first(), '!a', 'display_name', 'one', 1), '!a', 'theme', 'dark', 2);
    const [lossy] = [migrationOf(document, 'routing', next, count)!].map((migration) => ({
      ...migration,
      records: migration.records.map((one) => ({
        ...one,
        record: new Map([...one.record].filter(([name]) => name !== 'theme')),
      })),
    }));
    const heads = A.getHeads(document);
    expect(() => migrationChange(document, 'routing', lossy!, next)).toThrow(/loses its field theme/);
    expect(A.getHeads(document)).toEqual(heads);
    const step = {
      ...second,
      moves: [
        {
          ...second.moves[0]!,
          up: () => {
            throw new Error('no');
          },
        },
      ],
    };
    expect(() => migrationOf(document, 'routing', new Schemas({ steps: [step] }), count)).toThrow(
      /a step threw/,
    );
  });
});

describe('a rollback', () => {
  const roll = (document: Document, backup: Document) => {
    const rollback = rollbackOf(document, 'routing', { to: 1, schemas: next, backup }, count)!;
    return {
      rollback,
      after: applied(document, migrationChange(document, 'routing', rollback.migration, next, 'down')),
    };
  };

  it('V-back: gives what was not changed since exactly as it was, keeps what was, and lists what cannot be said', () => {
    const user = (document: Document, fields: [string, Entry][]): Document =>
      A.change(document, (draft) =>
        putRecord(
          draft,
          'user',
          'matrix_user:@a:x',
          new Map([...(readRecord(document, 'user', 'matrix_user:@a:x', count) ?? []), ...fields]),
        ),
      );
    let document = write(write(first(), '!a', 'display_name', 'one', 1), '!b', 'display_name', 'two', 2);
    document = user(document, [['selected_agent_id', { value: 'echo', stamp: 3, cause: '$3' }]]);
    const backup = A.clone(document);
    document = applied(document, migrate(document));
    document = write(document, '!b', 'title', { text: 'zwei', lang: 'de' }, 8);
    document = user(document, [['agents', { value: ['echo', 'drill'], stamp: 9, cause: '$9' }]]);
    const { rollback, after } = roll(document, backup);
    expect(schemaOf(after)).toBe(1);
    const field = (key: string, name: string, kind: 'room' | 'user' = 'room') =>
      readRecord(after, kind, key, count)?.get(name);
    expect(field('matrix_room:!a', 'display_name')).toEqual({ value: 'one', stamp: 1, cause: '$1' });
    expect(field('matrix_room:!b', 'display_name')).toEqual({ value: 'zwei', stamp: 8, cause: '$8' });
    expect(field('matrix_user:@a:x', 'selected_agent_id', 'user')?.value).toBe('echo');
    expect(rollback.kept).toBe(1);
    expect(rollback.inexpressible).toEqual([
      { kind: 'user', key: 'matrix_user:@a:x', field: 'agents', cause: '$9', instead: 'echo' },
    ]);
    // Nothing is gone: the same migration again finds what was said since.
    const again = applied(after, migrate(after));
    expect(readRecord(again, 'user', 'matrix_user:@a:x', count)?.get('agents')?.value).toEqual([
      'echo',
      'drill',
    ]);
    expect(readRecord(again, 'room', 'matrix_room:!b', count)?.get('title')?.value).toEqual({
      text: 'zwei',
      lang: 'de',
    });
    expect(rollbackOf(after, 'routing', { to: 1, schemas: next, backup }, count)).toBeUndefined();
  });

  it('is a new fact: a copy that only has the migration takes it over, and does not undo it', () => {
    const document = write(first(), '!a', 'display_name', 'one', 1);
    const migrated = applied(document, migrate(document));
    const { after } = roll(migrated, document);
    const met = A.merge(A.clone(migrated), after);
    expect(schemaOf(met)).toBe(1);
    expect(A.getHeads(met)).toEqual(A.getHeads(after));
  });
});

describe('two releases at once', () => {
  it('a document that is two schemas behind comes to the last one, and back step by step', () => {
    const document = write(first(), '!a', 'display_name', 'one', 1);
    const migrated = applied(document, migrate(document, afterNext));
    expect(schemaOf(migrated)).toBe(3);
    const record = readRecord(migrated, 'room', 'matrix_room:!a', count);
    expect([...(record?.keys() ?? [])]).toEqual(['heading']);
    expect(record?.get('heading')).toEqual({ value: { text: 'one', upper: false }, stamp: 1, cause: '$1' });
    let back = migrated;
    for (const to of [2, 1]) {
      const rollback = rollbackOf(back, 'routing', { to, schemas: afterNext, backup: undefined }, count)!;
      back = applied(back, migrationChange(back, 'routing', rollback.migration, afterNext, 'down'));
      expect(schemaOf(back)).toBe(to);
    }
    const old = readRecord(back, 'room', 'matrix_room:!a', count)?.get('display_name');
    expect(old).toEqual({ value: 'one', stamp: 1, cause: '$1' });
  });
});
