import * as A from '@automerge/automerge';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorshipOf } from '../../src/actors/authorship.js';
import { encodeChangeMessage } from '../../src/documents/change-message.js';
import { putRecord, readRecord, type Document } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';

const ACTOR = 'light/1';
const ignore = (): void => {};
const all = (): boolean => true;

/** A copy of a shard at one replica. */
class Copy {
  document: Document = A.loadIncremental(
    A.init<Record<string, unknown>>(),
    genesisBytes({ kind: 'actors', index: 0, generation: 0 }),
  );

  constructor(
    readonly replica: string,
    readonly epoch = 0,
  ) {}

  put(id: string, stamp: number, actor = ACTOR): this {
    const key = `event:${actor} ${id}`;
    const record = new Map([['event', { value: { type: 'GO', ts: stamp }, stamp, cause: id }]]);
    const message = encodeChangeMessage({ cause: id, replica: this.replica, epoch: this.epoch });
    this.document = A.change(this.document, { message, time: 0 }, (draft) => {
      const known = readRecord(this.document, 'event', key, ignore);
      const counts = known !== undefined && (known.get('event')?.stamp ?? 0) <= stamp ? known : record;
      putRecord(draft, 'event', key, counts);
    });
    return this;
  }

  take(other: Copy): this {
    this.document = A.merge(this.document, A.clone(other.document));
    return this;
  }

  said(actor = ACTOR): Record<string, string> {
    const authors = authorshipOf(A.getAllChanges(this.document), all, ignore).get(actor) ?? new Map();
    return Object.fromEntries(
      [...authors].map(([id, { replica, epoch, late }]) => [id, `${replica}/${epoch}${late ? ' late' : ''}`]),
    );
  }
}

describe('who put an event, and whether it came late', () => {
  it('an event that the next one was written after is not late', () => {
    const a = new Copy('a', 3).put('$1', 100);
    const b = new Copy('b', 4).take(a).put('$2', 200);
    expect(b.said()).toEqual({ $1: 'a/3', $2: 'b/4' });
  });

  it('an event before one that was written without it is late, on both sides alike', () => {
    const a = new Copy('a').put('$1', 100);
    const b = new Copy('b').take(a);
    a.put('$2', 200);
    b.put('$3', 300).put('$4', 400);
    a.take(b).put('$5', 500);
    b.take(a);
    expect(a.said()).toEqual({ $1: 'a/0', $2: 'a/0 late', $3: 'b/0', $4: 'b/0', $5: 'a/0' });
    expect(b.said()).toEqual(a.said());
  });

  it('an event of another actor makes none late', () => {
    const a = new Copy('a').put('$1', 100);
    const b = new Copy('b').put('$2', 200, 'light/2');
    expect(a.take(b).said()).toEqual({ $1: 'a/0' });
  });

  it('an event that two wrote counts at its lowest stamp, and whoever had either knew it', () => {
    const a = new Copy('a').put('$1', 100);
    const b = new Copy('b').put('$1', 101).put('$2', 200);
    expect(a.take(b).said()).toEqual({ $1: 'a/0', $2: 'b/0' });
  });

  it('a change that says nothing of its author leaves it open', () => {
    const a = new Copy('a');
    a.document = A.change(a.document, { message: 'by hand', time: 0 }, (draft) => {
      const event = { value: { type: 'GO', ts: 1 }, stamp: 1, cause: '$1' };
      putRecord(draft, 'event', `event:${ACTOR} $1`, new Map([['event', event]]));
    });
    expect(a.said()).toEqual({ $1: 'undefined/undefined' });
  });

  it('replicas that hold the same changes say the same, in whatever order these came', () => {
    const step = fc.record({
      by: fc.nat(2),
      from: fc.nat(2),
      id: fc.nat(8),
      stamp: fc.nat(20),
      merge: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const copies = [new Copy('a'), new Copy('b'), new Copy('c')];
        for (const { by, from, id, stamp, merge } of steps) {
          if (merge) copies[by]!.take(copies[from]!);
          else copies[by]!.put(`$${id}`, stamp);
        }
        for (const one of copies) for (const other of copies) one.take(other);
        for (const one of copies) for (const other of [...copies].reverse()) one.take(other);
        for (const one of copies) expect(one.said()).toEqual(copies[0]!.said());
        expect(copies[0]!.said()).toEqual(judgedPlainly(copies[0]!.document));
      }),
      { numRuns: 150 },
    );
  });
});

/** The definition, word by word: over the graph of changes, pair by pair. */
function judgedPlainly(document: Document): Record<string, string> {
  const changes = A.getAllChanges(document).map((bytes) => A.decodeChange(bytes));
  const byHash = new Map(changes.map((change) => [change.hash, change]));
  const ancestors = (hash: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(hash)) return seen;
    seen.add(hash);
    for (const dep of byHash.get(hash)?.deps ?? []) ancestors(dep, seen);
    return seen;
  };
  const puts = new Map<string, { hash: string; stamp: number; message: string }[]>();
  for (const { hash, message, ops } of changes) {
    for (const op of ops as { action: string; key?: string; value?: unknown }[]) {
      if (op.action !== 'set' || op.key?.startsWith('event:') !== true) continue;
      const id = op.key.slice(op.key.indexOf(' ') + 1);
      const { event } = JSON.parse(String(op.value)) as { event: [unknown, number, string] };
      puts.set(id, [...(puts.get(id) ?? []), { hash, stamp: event[1], message: message ?? '' }]);
    }
  }
  const chosen = [...puts].map(([id, all]) => {
    const stamp = Math.min(...all.map((put) => put.stamp));
    const lowest = all.filter((put) => put.stamp === stamp);
    const first = lowest.filter((put) => lowest.every((o) => o === put || !ancestors(put.hash).has(o.hash)));
    first.sort((x, y) => (x.hash < y.hash ? -1 : 1));
    return { id, stamp, put: first[0]!, all };
  });
  return Object.fromEntries(
    chosen.map(({ id, stamp, put, all }) => {
      const behind = chosen.filter((o) => o.stamp > stamp || (o.stamp === stamp && o.id > id));
      const late = behind.some((o) => {
        const knew = ancestors(o.put.hash);
        return !all.some(({ hash }) => knew.has(hash));
      });
      const { replica, epoch } = JSON.parse(put.message) as { replica: string; epoch: number };
      return [id, `${replica}/${epoch}${late ? ' late' : ''}`];
    }),
  );
}
