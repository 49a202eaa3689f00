import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainOf } from '../../src/node/generations/chain.js';
import { cutId, cutKey, readCut } from '../../src/node/generations/cut.js';
import { encodeRecord, decodeRecord, type Entry } from '../../src/documents/record.js';
import { cut, forests } from './forests.js';

describe('the chain of cuts', () => {
  it('A6-order: is the same for every order and repetition of the same records', () => {
    fc.assert(
      fc.property(
        forests.chain((cuts) =>
          fc.tuple(fc.constant(cuts), fc.shuffledSubarray(cuts, { minLength: cuts.length })),
        ),
        ([cuts, shuffled]) => {
          expect(chainOf([...shuffled, ...shuffled])).toEqual(chainOf(cuts));
        },
      ),
    );
  });

  it('A6-order: goes from generation to generation, each resting on the one before, to one that nothing follows', () => {
    fc.assert(
      fc.property(forests, (cuts) => {
        const chain = chainOf(cuts);
        let parent = '';
        for (const [at, one] of chain.entries()) {
          expect(one).toMatchObject({ parent, generation: at + 1 });
          parent = one.id;
        }
        expect(cuts.some((one) => one.parent === parent && one.generation === chain.length + 1)).toBe(false);
      }),
    );
  });

  it('A6-order: takes the earlier of two, then the lower id, and a record that came late may change it', () => {
    const [early, late, other] = [cut(undefined, 1, 'b'), cut(undefined, 2, 'a'), cut(undefined, 1, 'c')];
    const next = cut(late, 3, 'd');
    expect(chainOf([late, next]).map(({ id }) => id)).toEqual([late.id, next.id]);
    expect(chainOf([late, next, early]).map(({ id }) => id)).toEqual([early.id]);
    const lower = early.id < other.id ? early : other;
    expect(chainOf([other, early])).toEqual([lower]);
    expect(chainOf([early, other])).toEqual([lower]);
  });

  it('A6-settled: nothing takes the place of a settled cut, nor of one that it rests on', () => {
    const [first, earlier] = [cut(undefined, 5, 'a'), cut(undefined, 1, 'b')];
    const second = cut(first, 6, 'c', true);
    expect(chainOf([first, earlier, second]).map(({ id }) => id)).toEqual([first.id, second.id]);
    expect(chainOf([first, earlier, { ...second, settled: false }])).toEqual([earlier]);
  });
});

describe('a cut whose record stands under another generation too', () => {
  it('A6-order: counts where it follows its parent, whichever record came first', () => {
    const [first, other] = [cut(undefined, 1, 'a'), cut(undefined, 2, 'b', true)];
    const misplaced = { ...first, generation: 4, settled: true };
    expect(chainOf([first, misplaced, other])).toEqual([other]);
    expect(chainOf([misplaced, first, other])).toEqual([other]);
  });
});

describe('a cut record', () => {
  const content = { parent: '', heads: ['b', 'a'], bytesHash: 'x' };
  const key = cutKey(3, 1, cutId(content));
  const entry = (value: Entry['value']): Entry => ({ value, stamp: 1, cause: 'c' });
  const fields: [string, Entry][] = [
    ['parent', entry('')],
    ['heads', entry(['b', 'a'])],
    ['bytes_hash', entry('x')],
    ['at', entry(7)],
    ['settled_to', entry(2)],
    ['replica', entry('one')],
    ['moved:one', entry({ at: 8, heads: ['h1'] })],
    ['moved:two', entry(8)],
  ];

  it('is read as it was written', () => {
    const record = decodeRecord(encodeRecord(new Map(fields)), () => expect.unreachable())!;
    expect(readCut(key, record)).toEqual({
      ...content,
      heads: ['a', 'b'],
      id: cutId(content),
      index: 3,
      generation: 1,
      at: 7,
      settledTo: 2,
      settled: false,
      moved: new Map([['one', ['h1']]]),
    });
  });

  it('is none while a part is missing, and none whose key is not the hash of what it says', () => {
    for (const missing of ['parent', 'heads', 'bytes_hash', 'at']) {
      expect(readCut(key, new Map(fields.filter(([field]) => field !== missing)))).toBeUndefined();
    }
    expect(readCut(key, new Map([...fields, ['bytes_hash', entry('y')]]))).toBeUndefined();
    expect(readCut('cut:actors/3/0/x', new Map(fields))).toBeUndefined();
    expect(readCut(cutKey(99999, 1, cutId(content)), new Map(fields))).toBeUndefined();
  });
});
