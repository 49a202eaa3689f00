import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Line } from '../../src/node/generations/line.js';
import { cut, forests } from './forests.js';

describe('the line of generations', () => {
  it('awaits something of the generation before the last, and of none that was replaced', () => {
    fc.assert(
      fc.property(forests, (cuts) => {
        const line = new Line(cuts);
        const { end } = line;
        if (end !== undefined) expect(line.isAwaited(line.before(end))).toBe(!end.settled);
        for (const one of line.generations) {
          expect(line.isAwaited(one) && line.isSuperseded(one)).toBe(false);
        }
      }),
    );
  });

  it('A6-keep: replaces nothing that counts now, nor anything while no cut is settled', () => {
    fc.assert(
      fc.property(forests, (cuts) => {
        const line = new Line(cuts);
        expect(line.isSuperseded(line.end)).toBe(false);
        const unsettled = new Line(cuts.map((one) => ({ ...one, settled: false })));
        for (const one of unsettled.generations) expect(unsettled.isSuperseded(one)).toBe(false);
      }),
    );
  });

  it('replaces what a settled cut followed, and all that parted from the line before it', () => {
    const [first, lost] = [cut(undefined, 1, 'a'), cut(undefined, 2, 'b')];
    const second = cut(first, 3, 'c', true);
    const [afterLost, third] = [cut(lost, 4, 'd'), cut(second, 5, 'e')];
    const line = new Line([first, lost, second, afterLost, third]);
    for (const one of [undefined, first, lost, afterLost]) expect(line.isSuperseded(one)).toBe(true);
    for (const one of [second, third]) expect(line.isSuperseded(one)).toBe(false);
    expect(line.isAwaited(second)).toBe(true);
  });

  it('A6-keep: awaits something of a losing generation, and of the one that it followed', () => {
    const [first, lost] = [cut(undefined, 1, 'a'), cut(undefined, 2, 'b')];
    const second = cut(first, 3, 'c');
    const line = new Line([first, lost, second]);
    for (const one of [undefined, first, lost]) expect(line.isAwaited(one)).toBe(true);
    expect(line.after(lost)).toBeUndefined();
    expect(line.after(first)).toBe(second);
  });
});
