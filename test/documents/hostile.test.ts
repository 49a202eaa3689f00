import * as A from '@automerge/automerge';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertWritable, keysOf, readRecord } from '../../src/documents/document.js';
import type { DocumentError, Malformed } from '../../src/documents/errors.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { toPlain } from '../../src/documents/plain.js';
import { decodeRecord } from '../../src/documents/record.js';
import { decodeChangeMessage, encodeChangeMessage } from '../../src/documents/change-message.js';

const open = (kind: 'cluster' | 'routing' = 'routing') =>
  A.loadIncremental(A.init<Record<string, unknown>>(), genesisBytes({ kind, index: 0, generation: 0 }));

function counting() {
  const seen: Malformed[] = [];
  return { seen, count: (what: Malformed) => void seen.push(what) };
}

describe('a peer’s bytes', () => {
  it('never throw past decoding, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((json) => `{"a":[${json},1,"$c"]}`),
        ),
        (text) => {
          const { seen, count } = counting();
          const record = decodeRecord(text, count);
          if (record === undefined) expect(seen.length).toBe(1);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['no tuple', '{"a":1}'],
    ['a short tuple', '{"a":[1,2]}'],
    ['a stamp that is no integer', '{"a":[1,1.5,"$c"]}'],
    ['a negative stamp', '{"a":[1,-1,"$c"]}'],
    ['a stamp past the end of time', '{"a":[1,9007199254740991,"$c"]}'],
    ['a cause that is no string', '{"a":[1,1,{}]}'],
    ['an endless cause', `{"a":[1,1,"${'c'.repeat(2000)}"]}`],
    ['a value nested without end', `{"a":[${'['.repeat(5000)}${']'.repeat(5000)},1,"$c"]}`],
    ['the name __proto__', '{"__proto__":[1,1,"$c"]}'],
  ])('leave out and count an entry with %s, and keep its neighbour', (_, text) => {
    const { seen, count } = counting();
    const record = decodeRecord(text.replace('{', '{"ok":[7,7,"$7"],'), count);
    expect([...record!.keys()]).toEqual(['ok']);
    expect(seen).toEqual(['field']);
  });

  it('that are too long are not even parsed', () => {
    const { seen, count } = counting();
    expect(decodeRecord(`{"a":["${'x'.repeat(300_000)}",1,"$c"]}`, count)).toBeUndefined();
    expect(seen).toEqual(['size']);
  });

  it('of another type at a record’s key hide none of the concurrent good ones', () => {
    const base = open();
    const good = A.change(A.clone(base), (draft) => {
      (draft['rooms'] as Record<string, unknown>)['matrix_room:!r'] = new A.ImmutableString(
        '{"chat_id":["C1",1,"$1"]}',
      );
    });
    const bad = A.change(A.clone(base), (draft) => {
      (draft['rooms'] as Record<string, unknown>)['matrix_room:!r'] = { chat_id: 'C9' };
    });
    for (const merged of [A.merge(A.clone(good), bad), A.merge(A.clone(bad), good)]) {
      const { seen, count } = counting();
      expect(toPlain('room', readRecord(merged, 'room', 'matrix_room:!r', count)!, count)).toEqual({
        chat_id: 'C1',
      });
      expect(seen).toEqual(['value']);
    }
  });

  it('that replace a whole map are counted, read as nothing, and stop our writes with a typed error', () => {
    const broken = A.change(open(), (draft) => {
      draft['rooms'] = 5;
    });
    const { seen, count } = counting();
    expect(readRecord(broken, 'room', 'matrix_room:!r', count)).toBeUndefined();
    expect(keysOf(broken, 'room', count)).toEqual([]);
    expect(seen).toEqual(['map', 'map']);
    expect(() => assertWritable(broken, 'room', 'routing/0')).toThrow(
      expect.objectContaining({ code: 'damaged' }) as DocumentError,
    );
  });

  it('with a key of every object’s prototype find nothing', () => {
    expect(readRecord(open('cluster'), 'cluster', 'constructor', () => expect.unreachable())).toBeUndefined();
  });

  it('whose field has not the form of its table are left out of the plain record', () => {
    const { seen, count } = counting();
    const record = decodeRecord(
      '{"chat_id":[7,1,"$1"],"agent_id":["echo",1,"$1"],"later":[1,1,"$1"]}',
      count,
    )!;
    expect(toPlain('room', record, count)).toEqual({ agent_id: 'echo', later: 1 });
    expect(seen).toEqual(['field']);
  });
});

describe('a document of a newer version', () => {
  it('is never written', () => {
    const newer = A.change(open(), (draft) => {
      draft['schema'] = 2;
    });
    expect(() => assertWritable(newer, 'room', 'routing/0')).toThrow(/schema 2.*update this replica/);
  });
});

describe('change messages', () => {
  it('survive encoding; a stranger’s message is none', () => {
    const message = { cause: '$1', replica: 'one', epoch: 3 };
    expect(decodeChangeMessage(encodeChangeMessage(message))).toEqual(message);
    for (const text of [null, undefined, '', 'genesis', '{}', '{"cause":1}', '[]']) {
      expect(decodeChangeMessage(text)).toBeUndefined();
    }
  });
});
