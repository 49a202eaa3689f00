import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import {
  keysOf,
  putRecord,
  readRecord,
  touchedRecords,
  type Document,
} from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { documentId } from '../../src/documents/ids.js';
import type { Entry } from '../../src/documents/record.js';
import type { Kind } from '../../src/documents/schemas/kinds.js';
import { lateRecords } from '../../src/node/generations/late.js';
import { nextGeneration, RETIRED_AFTER_MS } from '../../src/node/generations/next-generation.js';
import { documentAt } from '../../src/node/generations/past.js';
import { atOnce } from '../../src/time/slices.js';
import { ACTOR, listingBases } from './bases.js';

const unreachable = () => expect.unreachable();
const entry = (value: Entry['value'], stamp = 1): Entry => ({ value, stamp, cause: '$' });
const empty = (): Document =>
  A.loadIncremental(
    A.init<Record<string, unknown>>(),
    genesisBytes({ kind: 'actors', index: 2, generation: 0 }),
  );

function put(document: Document, kind: Kind, key: string, fields: Record<string, Entry>): Document {
  return A.change(document, (draft) => putRecord(draft, kind, key, new Map(Object.entries(fields))));
}
const event = (document: Document, id: string, stamp: number) =>
  put(document, 'event', `event:${ACTOR} ${id}`, { event: entry({ type: 'GO', ts: stamp }, stamp) });
const next = (document: Document, at = 1000) =>
  atOnce(nextGeneration(document, { index: 2, generation: 1, at, settled: 0 }, listingBases, unreachable));
const load = (bytes: Uint8Array): Document => A.loadIncremental(A.init<Record<string, unknown>>(), bytes);

describe('the first bytes of the next generation', () => {
  it('A6-bytes: are the same wherever the same changes came together, in whatever order', () => {
    const common = event(empty(), '$1', 1);
    const [left, right] = [event(A.clone(common), '$2', 2), event(A.clone(common), '$3', 3)];
    const one = next(A.merge(A.clone(left), right));
    const two = next(A.merge(A.clone(right), left));
    expect(Buffer.from(one).equals(Buffer.from(two))).toBe(true);
    expect(Buffer.from(next(left)).equals(Buffer.from(one))).toBe(false);
  });

  it('A6-bytes: are pinned', () => {
    expect(A.decodeChange(next(event(empty(), '$1', 1))).hash).toBe(PINNED);
  });

  it('A6-bytes: are those of the heads of the cut, also where more has come since', () => {
    const document = event(empty(), '$1', 1);
    const heads = A.getHeads(document);
    const more = event(A.clone(document), '$2', 2);
    const past = documentAt(more, heads);
    expect(A.decodeChange(next(past.document)).hash).toBe(A.decodeChange(next(document)).hash);
    past.free();
    expect(keysOf(more, 'event', unreachable)).toHaveLength(2);
  });

  it('have all maps where they were, so that touched records are found, and no events', () => {
    const document = load(next(event(empty(), '$1', 1)));
    expect(document).toMatchObject({ schema: 1, kind: 'actors', index: 2, generation: 1, events: {} });
    const changed = event(document, '$2', 2);
    expect(touchedRecords('actors', A.getChangesSince(changed, A.getHeads(document)))).toEqual([
      { kind: 'event', key: `event:${ACTOR} $2` },
    ]);
  });

  it('carry marks, floors, states, attempts without a mark and done marks without a base, and nothing else', () => {
    const day = 24 * 3600_000;
    const at = 30 * day;
    let document = event(empty(), '$1', 1);
    const mark = (id: string, settled_at: number) => {
      document = put(document, 'mark', `mark:!r:x ${id}`, { settled_at: entry(settled_at) });
    };
    mark('$old', at - RETIRED_AFTER_MS - day);
    mark('$above', at - RETIRED_AFTER_MS - 1);
    mark('$young', at - day);
    document = put(document, 'floor', 'floor:!r:x', {
      event_id: entry('$f'),
      origin_server_ts: entry(at - RETIRED_AFTER_MS - day / 2),
    });
    document = put(document, 'attempt', 'attempt:!r:x $young', { a: entry('done') });
    document = put(document, 'attempt', 'attempt:!r:x $begun', { a: entry('begun') });
    document = put(document, 'done', `done:${ACTOR} e1`, { done_at: entry(5) });
    document = put(document, 'done', 'done:light/!other:x e2', { done_at: entry(5) });
    document = put(document, 'actor', `actor:${ACTOR}`, { current_state: entry('x') });
    const after = load(next(document, at));
    const keys = (['mark', 'floor', 'attempt', 'done', 'actor', 'base', 'event'] as const).flatMap((kind) =>
      keysOf(after, kind, unreachable),
    );
    expect(keys.sort()).toEqual(
      [
        'mark:!r:x $above',
        'mark:!r:x $young',
        'floor:!r:x',
        'attempt:!r:x $begun',
        'done:light/!other:x e2',
        `actor:${ACTOR}`,
        `base:${ACTOR}`,
      ].sort(),
    );
  });

  it('stand in a document whose id says cut and generation', () => {
    const ids = [undefined, 'a', 'b'].map((cut) =>
      documentId('c', { kind: 'actors', index: 2, generation: 1, ...(cut !== undefined && { cut }) }),
    );
    expect(new Set(ids).size).toBe(3);
  });
});

describe('late records', () => {
  const written = (kind: Kind, key: string, fields: Record<string, Entry>) => ({
    kind,
    key,
    record: new Map(Object.entries(fields)),
  });
  const lateEvent = (id: string, stamp: number) =>
    written('event', `event:${ACTOR} ${id}`, { event: entry({ type: 'GO', ts: stamp }, stamp) });

  it('A6-absorbed: an event that the base counts is none, another keeps id and stamp and is marked', () => {
    const document = load(next(event(empty(), '$1', 1)));
    const late = lateRecords([lateEvent('$1', 1), lateEvent('$2', 7)], document, listingBases, unreachable);
    expect(late.map(({ key }) => key)).toEqual([`event:${ACTOR} $2`]);
    expect(late[0]!.record.get('event')).toEqual(entry({ type: 'GO', ts: 7, late: true }, 7));
  });

  it('A6-again: applied a second time, or where the event was written anew, change nothing or take the lower stamp', () => {
    let document = load(next(empty()));
    const apply = () => {
      const late = lateRecords([lateEvent('$2', 7)], document, listingBases, unreachable);
      document = A.change(document, (draft) => {
        for (const { kind, key, record } of late) putRecord(draft, kind, key, record);
      });
      return late.length;
    };
    document = event(document, '$2', 9);
    expect([apply(), apply()]).toEqual([1, 0]);
    expect(readRecord(document, 'event', `event:${ACTOR} $2`, unreachable)!.get('event')).toEqual(
      entry({ type: 'GO', ts: 7, late: true }, 7),
    );
  });

  it('facts join; bases of another branch, states that stand, and attempts of settled sources are left', () => {
    let document = put(load(next(event(empty(), '$1', 1))), 'mark', 'mark:!r:x $m', { settled_at: entry(9) });
    document = put(document, 'actor', `actor:${ACTOR}`, { current_state: entry('here') });
    const late = lateRecords(
      [
        written('mark', 'mark:!r:x $m', { settled_at: entry(4) }),
        written('mark', 'mark:!r:x $n', { settled_at: entry(5) }),
        written('attempt', 'attempt:!r:x $m', { a: entry('begun') }),
        written('base', `base:${ACTOR}`, { base: entry('other') }),
        written('actor', `actor:${ACTOR}`, { current_state: entry('there', 99) }),
      ],
      document,
      listingBases,
      unreachable,
    );
    expect(late.map(({ key, record }) => [key, record.get('settled_at')?.value])).toEqual([
      ['mark:!r:x $m', 4],
      ['mark:!r:x $n', 5],
    ]);
  });
});

const PINNED = '2e236773c07674aa4a3c0b8e6d012b74ee31deb9fd71d248e513b71a20a5f970';
