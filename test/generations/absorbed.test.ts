import * as A from '@automerge/automerge';
import { assign, setup } from 'xstate';
import { describe, expect, it } from 'vitest';
import { ABSORBED_MS, MOST_ABSORBED, storedBase, type StoredBase } from '../../src/actors/base.js';
import { Machines } from '../../src/actors/machines.js';
import { putRecord, readRecord, type Document } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { actorBases } from '../../src/node/generations/actor-bases.js';
import { lateRecords } from '../../src/node/generations/late.js';
import { nextGeneration } from '../../src/node/generations/next-generation.js';
import { atOnce } from '../../src/time/slices.js';

const ACTOR = 'counter/1';
const machines = new Machines();
machines.register(
  setup({
    types: { context: {} as { n: number }, events: {} as { type: 'GO' } },
    actions: { count: assign({ n: ({ context }) => context.n + 1 }) },
  }).createMachine({
    id: 'counter',
    context: { n: 0 },
    initial: 'on',
    states: { on: { on: { GO: { actions: 'count' } } } },
  }),
);
const unreachable = (): never => expect.unreachable();
let belowHorizon = 0;
const bases = actorBases(
  () => machines,
  unreachable,
  () => void (belowHorizon += 1),
);
const NOW = Date.now();

const load = (bytes: Uint8Array): Document => A.loadIncremental(A.init<Record<string, unknown>>(), bytes);
const first = (): Document => load(genesisBytes({ kind: 'actors', index: 0, generation: 0 }));

function withEvents(document: Document, from: number, count: number, start = NOW): Document {
  return A.change(A.clone(document), (draft) => {
    for (let at = from; at < from + count; at += 1) {
      const entry = { value: { type: 'GO', ts: start }, stamp: start + at, cause: `$${at}` };
      putRecord(draft, 'event', `event:${ACTOR} $${at}`, new Map([['event', entry]]));
    }
  });
}

function cut(document: Document, generation: number, settled: number, at = NOW): Document {
  const inputs = { index: 0, generation, at, settled };
  return load(atOnce(nextGeneration(document, inputs, bases, unreachable)));
}

const baseOf = (document: Document): StoredBase =>
  storedBase.parse(readRecord(document, 'base', `base:${ACTOR}`, unreachable)?.get('base')?.value);
const countOf = (document: Document): unknown => (baseOf(document).snapshot as { context: unknown }).context;
const lateOnes = (document: Document, from: number, count: number): number => {
  const events = Array.from({ length: count }, (_, at) => ({
    kind: 'event' as const,
    key: `event:${ACTOR} $${from + at}`,
    record: new Map([['event', { value: { type: 'GO', ts: NOW }, stamp: NOW + from + at, cause: 'x' }]]),
  }));
  return lateRecords(events, document, bases, unreachable).length;
};

describe('ids that a base took in', () => {
  it('A6-ids: are all kept while the cut that took them in is not settled, however many and old', () => {
    const old = NOW - ABSORBED_MS - 100_000;
    let document = cut(withEvents(first(), 0, MOST_ABSORBED + 500), 1, 0);
    document = cut(withEvents(document, MOST_ABSORBED + 500, 10), 2, 0);
    expect(baseOf(document).absorbed).toHaveLength(MOST_ABSORBED + 510);
    expect(baseOf(document).horizon).toBeUndefined();
    expect(lateOnes(document, 0, 600)).toBe(0);
    expect(baseOf(cut(withEvents(first(), 0, 5, old), 1, 0)).absorbed).toHaveLength(5);
  });

  it('A6-ids: are dropped when it is settled, and what comes at or below the highest of them counts already', () => {
    let document = cut(withEvents(first(), 0, MOST_ABSORBED + 500), 1, 0);
    document = cut(withEvents(document, MOST_ABSORBED + 500, 10), 2, 1);
    // Those of the second cut are kept whatever there are of others.
    expect(baseOf(document).absorbed).toHaveLength(MOST_ABSORBED);
    expect(baseOf(document).horizon).toBe(NOW + 509);
    belowHorizon = 0;
    expect(lateOnes(document, 0, 600)).toBe(0);
    expect(belowHorizon).toBe(510);
    // Nor does it count in a fold.
    const again = cut(withEvents(document, 0, 510), 3, 2);
    expect(countOf(again)).toEqual({ n: MOST_ABSORBED + 510 });
    // What is new stands above.
    expect(lateOnes(document, MOST_ABSORBED + 510, 1)).toBe(1);
    expect(countOf(cut(withEvents(document, MOST_ABSORBED + 510, 1), 3, 2))).toEqual({
      n: MOST_ABSORBED + 511,
    });
  });

  it('A6-ids: the same document with another word of what is settled gives other bytes', () => {
    const document = cut(withEvents(first(), 0, 3), 1, 0);
    expect(A.getHeads(cut(document, 2, 1))).toEqual(A.getHeads(cut(document, 2, 1)));
    expect(A.getHeads(cut(document, 2, 1))).not.toEqual(A.getHeads(cut(document, 2, 0)));
  });
});
