import { describe, expect, it } from 'vitest';
import { shardIndex } from '../../src/documents/placement.js';
import { MAX_AHEAD_MS, MAX_STAMP, nextStamp } from '../../src/documents/stamp.js';
import { applyWrite, type Write } from '../../src/documents/write.js';

describe('stamps', () => {
  it('are Matrix’s time, unless that is more than 5 minutes ahead of the writer’s clock', () => {
    expect(nextStamp(500, 1000, undefined)).toBe(500);
    expect(nextStamp(1e15, 1000, undefined)).toBe(1000 + MAX_AHEAD_MS);
  });
  it('come after the highest seen at the key', () => {
    expect(nextStamp(500, 1000, 700)).toBe(701);
    expect(nextStamp(500, 1000, 100)).toBe(500);
  });
  it.each([NaN, -5, Infinity, -Infinity])('take a homeserver’s time %d for none', (ts) => {
    expect(nextStamp(ts, 1000, 7)).toBe(8);
  });
  it('never leave the range that others accept', () => {
    expect(nextStamp(0, 0, MAX_STAMP)).toBe(MAX_STAMP);
  });
});

describe('a write', () => {
  const cause = { id: '$1', ts: 100 };
  const room: Write = { kind: 'room', key: 'matrix_room:!r', fields: { chat_id: 'C1', agent_id: 'echo' } };

  it('sets its fields with stamp and cause', () => {
    const record = applyWrite(room, undefined, cause, 200)!;
    expect(record.get('chat_id')).toEqual({ value: 'C1', stamp: 100, cause: '$1' });
  });
  it('that says what stands there changes nothing', () => {
    const record = applyWrite(room, undefined, cause, 200);
    expect(applyWrite(room, record, cause, 300)).toBeUndefined();
  });
  it('repeats a choice for another cause, not a fact', () => {
    const record = applyWrite(room, undefined, cause, 200);
    const again = applyWrite(room, record, { id: '$2', ts: 150 }, 300)!;
    expect(again.get('agent_id')).toEqual({ value: 'echo', stamp: 150, cause: '$2' });
    expect(again.get('chat_id')!.cause).toBe('$1');
  });
  it('cannot raise what merges by minimum', () => {
    const write = (genesis_ts: number): Write => ({
      kind: 'cluster',
      key: 'cluster',
      fields: { genesis_ts },
    });
    const record = applyWrite(write(5), undefined, cause, 1);
    expect(applyWrite(write(9), record, { id: '$9', ts: 9 }, 9)).toBeUndefined();
    expect(applyWrite(write(3), record, { id: '$9', ts: 9 }, 9)!.get('genesis_ts')!.value).toBe(3);
  });
  it('cannot clear a settled mark', () => {
    const write = (reason: string | null): Write => ({ kind: 'mark', key: 'mark:!r $1', fields: { reason } });
    const record = applyWrite(write('done'), undefined, cause, 1);
    expect(applyWrite(write(null), record, { id: '$9', ts: 9 }, 9)).toBeUndefined();
  });
  it('takes attempt ids as fields', () => {
    const record = applyWrite(
      { kind: 'attempt', key: 'attempt:!r $1', fields: { a1: 'begun' } },
      undefined,
      cause,
      1,
    )!;
    expect(record.get('a1')!.value).toBe('begun');
  });
  it.each([
    ['an unknown field', { kind: 'room', key: 'matrix_room:!r', fields: { colour: 'red' } }],
    ['a value of the wrong form', { kind: 'room', key: 'matrix_room:!r', fields: { chat_id: 7 } }],
  ])('with %s throws a typed error', (_, write) => {
    expect(() => applyWrite(write as unknown as Write, undefined, cause, 1)).toThrow(
      expect.objectContaining({ code: 'invalid-write' }) as Error,
    );
  });
  it.each([
    ['a key without its prefix', { kind: 'room', key: '!r', fields: {} }],
    ['nothing after the prefix', { kind: 'room', key: 'matrix_room:', fields: {} }],
    ['an unknown kind', { kind: 'planet', key: 'x', fields: {} }],
    ['another key for the cluster’s record', { kind: 'cluster', key: 'x', fields: {} }],
  ])('with %s throws a typed error', (_, write) => {
    expect(() => applyWrite(write as unknown as Write, undefined, cause, 1)).toThrow(
      expect.objectContaining({ code: 'bad-key' }) as Error,
    );
  });
});

describe('placement', () => {
  it('is pinned: it is part of the data format', () => {
    expect(
      ['@alice:example.org', '@bob:example.org', '!r:example.org'].map((key) => shardIndex(key, 64)),
    ).toEqual([52, 53, 45]);
  });
  it('spreads evenly', () => {
    const counts = Array.from({ length: 64 }, () => 0);
    for (let i = 0; i < 6400; i++) counts[shardIndex(`!${i}:example.org`, 64)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(160);
  });
});
