import * as A from '@automerge/automerge';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { putRecord, readRecord, touchedRecords, type Document } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { joinAll } from '../../src/documents/merge/join.js';
import { encodeRecord, type Entry, type FieldMap } from '../../src/documents/record.js';
import { ruleOf } from '../../src/documents/schemas/kinds.js';
import { applyWrite, type Write } from '../../src/documents/write.js';

const never = () => expect.unreachable();
const open = (kind: 'cluster' | 'routing' = 'routing') =>
  A.loadIncremental(A.init<Record<string, unknown>>(), genesisBytes({ kind, index: 0, generation: 0 }));

function write(
  document: Document,
  change: Write,
  cause: { id: string; ts: number },
  now = cause.ts,
): Document {
  const next = applyWrite(change, readRecord(document, change.kind, change.key, never), cause, now);
  if (next === undefined) return document;
  return A.change(document, (draft) => putRecord(draft, change.kind, change.key, next));
}

function show(document: Document, kind: 'room' | 'cluster', key: string): string {
  return encodeRecord(readRecord(document, kind, key, never) ?? new Map());
}

type Step =
  | {
      do: 'write';
      replica: number;
      field: 'display_name' | 'agent_id' | 'room_type';
      value: string;
      ts: number;
    }
  | { do: 'merge'; from: number; to: number };

const replica = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      replica,
      field: fc.constantFrom('display_name' as const, 'agent_id' as const, 'room_type' as const),
      value: fc.constantFrom('a', 'b', 'c'),
      ts: fc.nat(5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('merge' as const), from: replica, to: replica }) },
);

describe('three replicas over real Automerge documents', () => {
  it('read the same records once they hold the same changes, whoever merged with whom and when', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const documents = [open(), open(), open()];
        const written: FieldMap[] = [];
        for (const [index, current] of steps.entries()) {
          if (current.do === 'merge') {
            if (current.from === current.to) continue;
            documents[current.to] = A.merge(documents[current.to]!, A.clone(documents[current.from]!));
          } else if (current.do === 'write') {
            const { field, value, ts } = current;
            const change: Write = { kind: 'room', key: 'matrix_room:!r', fields: { [field]: value } };
            const cause = { id: `$${index}`, ts };
            const next = applyWrite(
              change,
              readRecord(documents[current.replica]!, 'room', 'matrix_room:!r', never),
              cause,
              ts,
            );
            if (next !== undefined) written.push(next);
            documents[current.replica] = write(documents[current.replica]!, change, cause);
          }
        }
        const merged = [0, 1, 2].map((first) =>
          [0, 1, 2].reduce(
            (into, other) => A.merge(into, A.clone(documents[other]!)),
            A.clone(documents[first]!),
          ),
        );
        const texts = merged.map((document) => show(document, 'room', 'matrix_room:!r'));
        expect(new Set(texts).size).toBe(1);
        expect(texts[0]).toBe(encodeRecord(joinAll(written, ruleOf('room')) ?? new Map<string, Entry>()));
      }),
      { numRuns: 60 },
    );
  });

  it('keep what was caused after its cause, whatever the clocks say', () => {
    let left = write(
      open(),
      { kind: 'room', key: 'matrix_room:!r', fields: { agent_id: 'echo' } },
      { id: '$1', ts: 5000 },
    );
    left = write(
      left,
      { kind: 'room', key: 'matrix_room:!r', fields: { agent_id: 'drill' } },
      { id: '$2', ts: 1000 },
    );
    expect(readRecord(left, 'room', 'matrix_room:!r', never)!.get('agent_id')).toEqual({
      value: 'drill',
      stamp: 5001,
      cause: '$2',
    });
  });

  it('let a concurrent older wish lose also when the newer one only repeats the value', () => {
    const base = write(
      open(),
      { kind: 'user', key: 'matrix_user:@a:x', fields: { selected_agent_id: 'A' } },
      { id: '$0', ts: 10 },
    );
    const one = write(
      A.clone(base),
      { kind: 'user', key: 'matrix_user:@a:x', fields: { selected_agent_id: 'B' } },
      { id: '$1', ts: 20 },
    );
    const two = write(
      A.clone(base),
      { kind: 'user', key: 'matrix_user:@a:x', fields: { selected_agent_id: 'A' } },
      { id: '$2', ts: 30 },
    );
    const merged = A.merge(one, two);
    expect(readRecord(merged, 'user', 'matrix_user:@a:x', never)!.get('selected_agent_id')!.value).toBe('A');
  });

  it('C5: founded twice apart, the lower genesis stands, also where it was written first', () => {
    const found = (ts: number) =>
      write(
        open('cluster'),
        { kind: 'cluster', key: 'cluster', fields: { genesis_ts: ts, shards: 64 } },
        { id: 'genesis', ts },
      );
    const [early, late] = [found(100), found(900)];
    for (const merged of [A.merge(A.clone(early), A.clone(late)), A.merge(A.clone(late), A.clone(early))]) {
      expect(readRecord(merged, 'cluster', 'cluster', never)!.get('genesis_ts')!.value).toBe(100);
    }
  });

  it('see every record that a change touched, also a third concurrent value that gives no patch', () => {
    const at = (actor: string) =>
      A.change(
        A.loadIncremental(
          A.init<Record<string, unknown>>({ actor: actor.repeat(16) }),
          genesisBytes({ kind: 'routing', index: 0, generation: 0 }),
        ),
        (draft) =>
          putRecord(
            draft,
            'room',
            'matrix_room:!r',
            new Map([['chat_id', { value: actor, stamp: 1, cause: actor }]]),
          ),
      );
    const two = A.merge(at('ff'), at('ee'));
    const before = A.getHeads(two);
    const three = A.merge(A.clone(two), at('01'));
    expect(A.diff(three, before, A.getHeads(three))).toEqual([]);
    expect(touchedRecords('routing', A.getChangesSince(three, before))).toEqual([
      { kind: 'room', key: 'matrix_room:!r' },
    ]);
  });

  it('join all concurrent values also in a clone, for which `getConflicts` answers with the original’s', () => {
    const at = (actor: string, field: string) =>
      A.change(
        A.loadIncremental(
          A.init<Record<string, unknown>>({ actor: actor.repeat(16) }),
          genesisBytes({ kind: 'routing', index: 0, generation: 0 }),
        ),
        (draft) =>
          putRecord(
            draft,
            'room',
            'matrix_room:!r',
            new Map([[field, { value: 'x', stamp: 1, cause: actor }]]),
          ),
      );
    const two = A.merge(at('ff', 'chat_id'), at('ee', 'agent_id'));
    const three = A.merge(A.clone(two), at('01', 'room_type'));
    expect([...readRecord(three, 'room', 'matrix_room:!r', never)!.keys()].sort()).toEqual([
      'agent_id',
      'chat_id',
      'room_type',
    ]);
  });
});
