import fc from 'fast-check';
import { cutId, type Cut } from '../../src/node/generations/cut.js';

export function cut(parent: Cut | undefined, at: number, name: string, settled = false): Cut {
  const content = { parent: parent?.id ?? '', heads: [name], bytesHash: name };
  const generation = (parent?.generation ?? 0) + 1;
  return {
    ...content,
    id: cutId(content),
    index: 0,
    generation,
    at,
    settledTo: 0,
    settled,
    moved: new Map(),
  };
}

/** A forest of cuts: each follows one of those before it, or none. */
export const forests = fc
  .array(fc.record({ parent: fc.nat(), at: fc.nat(3), settled: fc.boolean() }), { maxLength: 12 })
  .map((steps) => {
    const cuts: Cut[] = [];
    for (const [number, { parent, at, settled }] of steps.entries()) {
      cuts.push(cut(cuts[parent % (cuts.length + 1)], at, `h${number}`, settled));
    }
    return cuts;
  });
