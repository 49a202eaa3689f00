import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinAll, joinRecords } from '../../src/documents/merge/join.js';
import { compareEntries } from '../../src/documents/merge/order.js';
import { mergeRules, type MergeRule } from '../../src/documents/merge/rules.js';
import { decodeRecord, encodeRecord, type Entry } from '../../src/documents/record.js';
import { kindNames, ruleOf, tableOf } from '../../src/documents/schemas/kinds.js';
import { entry, recordOf } from './arbitraries.js';

const at = (stamp: number, value: Entry['value'], cause = '$c'): Entry => ({ value, stamp, cause });
const same = (a: Entry, b: Entry) => compareEntries(a, b) === 0;

describe.each(Object.keys(mergeRules) as MergeRule[])('merge rule %s', (name) => {
  const rule = mergeRules[name];
  it('is commutative', () => {
    fc.assert(fc.property(entry, entry, (a, b) => same(rule(a, b), rule(b, a))));
  });
  it('is associative', () => {
    fc.assert(fc.property(entry, entry, entry, (a, b, c) => same(rule(rule(a, b), c), rule(a, rule(b, c)))));
  });
  it('is idempotent', () => {
    fc.assert(
      fc.property(entry, entry, (a, b) => same(rule(a, a), a) && same(rule(rule(a, b), b), rule(a, b))),
    );
  });
  it('yields one of the two', () => {
    fc.assert(fc.property(entry, entry, (a, b) => [a, b].includes(rule(a, b))));
  });
});

describe('what each rule prefers', () => {
  it('higherStampWins: the stamp, then the cause, then the value’s text', () => {
    expect(mergeRules.higherStampWins(at(2, 'a'), at(1, 'z')).value).toBe('a');
    expect(mergeRules.higherStampWins(at(1, 'a', '$2'), at(1, 'z', '$1')).value).toBe('a');
    expect(mergeRules.higherStampWins(at(1, 'a'), at(1, 'b')).value).toBe('b');
  });
  it('lowestNumberWins: the number, whatever the stamps (C5)', () => {
    expect(mergeRules.lowestNumberWins(at(9, 100), at(1, 50)).value).toBe(50);
    expect(mergeRules.lowestNumberWins(at(1, 50), at(9, 100)).value).toBe(50);
    expect(mergeRules.lowestNumberWins(at(9, null), at(1, 100)).value).toBe(100);
  });
  it('highestNumberWins: the number, whatever the stamps', () => {
    expect(mergeRules.highestNumberWins(at(1, 4), at(9, 3)).value).toBe(4);
    expect(mergeRules.highestNumberWins(at(9, 'x'), at(1, 3)).value).toBe(3);
  });
  it('neverCleared: a settled mark stays, whoever clears it later', () => {
    expect(mergeRules.neverCleared(at(1, 'done'), at(9, null)).value).toBe('done');
    expect(mergeRules.neverCleared(at(1, 'done'), at(9, 'failed')).value).toBe('failed');
  });
});

describe.each(kindNames)('records of kind %s', (kind) => {
  const record = recordOf([...Object.keys(tableOf(kind).fields), 'of_a_later_version', 'constructor']);
  const text = (versions: ReadonlyMap<string, Entry>[]) =>
    encodeRecord(joinAll(versions, ruleOf(kind)) ?? new Map());

  it('join to the same in any order, grouping and repetition', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.nat()),
        (versions, picks) => {
          const pick = () => picks.next().value as number;
          const shuffled = [...versions, ...versions]
            .map((version) => [pick(), version] as const)
            .sort(([a], [b]) => a - b)
            .map(([, version]) => version);
          const cut = pick() % shuffled.length;
          const [left, right] = [shuffled.slice(0, cut), shuffled.slice(cut)];
          const grouped = [left, right]
            .filter((part) => part.length > 0)
            .map((part) => joinAll(part, ruleOf(kind))!);
          expect(text(grouped)).toBe(text(versions));
        },
      ),
    );
  });

  it('join to themselves', () => {
    fc.assert(
      fc.property(record, (a) => {
        expect(encodeRecord(joinRecords(a, a, ruleOf(kind)))).toBe(encodeRecord(a));
      }),
    );
  });

  it('survive encoding, unknown fields included', () => {
    fc.assert(
      fc.property(record, (a) => {
        const decoded = decodeRecord(encodeRecord(a), () => expect.unreachable())!;
        expect(encodeRecord(decoded)).toBe(encodeRecord(a));
        expect(decoded.size).toBe(a.size);
      }),
    );
  });
});
