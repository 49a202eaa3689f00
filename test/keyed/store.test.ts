import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { KeyedStoreError } from '../../src/index.js';
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../src/keyed/bounds.js';
import { settle } from '../simulation/clock.js';
import { One } from './one.js';

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const shape = z.number();

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    if (error instanceof KeyedStoreError) return error.code;
    throw error;
  }
  return undefined;
};

describe('a keyed store', () => {
  it.each([
    { namespace: 'With Spaces' },
    { namespace: '' },
    { maxEntries: 0 },
    { maxEntries: 1.5 },
    { ttl: 10 },
    { ttl: 365 * DAY },
    { class: 'claim' as 'cache' },
  ])('is not opened with %o', async (wrong) => {
    await expect(new One().open({ shape, ...wrong })).rejects.toMatchObject({ code: 'bad-options' });
  });

  it('is open once in a process, and again after it was closed', async () => {
    const one = new One();
    const store = await one.open({ shape });
    store.register('k', 1);
    await expect(one.open({ shape })).rejects.toMatchObject({ code: 'already-open' });
    await store.close();
    expect((await one.open({ shape })).lookup('k')).toBe(1);
  });

  it.each([true, false])('has bounds for keys and values (persistent: %s)', async (persistent) => {
    const store = await new One().open({ shape: z.string(), persistent });
    expect(codeOf(() => store.register('', 'v'))).toBe('bad-key');
    expect(codeOf(() => store.lookup('é'.repeat(MAX_KEY_BYTES / 2 + 1)))).toBe('bad-key');
    expect(codeOf(() => store.consume('half a character: \uD800'))).toBe('bad-key');
    expect(codeOf(() => store.register('k', 'v'.repeat(MAX_VALUE_BYTES)))).toBe('bad-value');
    expect(codeOf(() => store.register('k', 1 as unknown as string))).toBe('bad-value');
    expect(store.register('é'.repeat(MAX_KEY_BYTES / 2), 'v'.repeat(MAX_VALUE_BYTES - 2))).toBe(true);
    expect(store.size).toBe(1);
  });

  it.each([true, false])('takes no key for a property of objects (persistent: %s)', async (persistent) => {
    const store = await new One().open({ shape, persistent });
    for (const key of ['constructor', '__proto__', 'toString', 'a b', ' ', '1 2']) {
      expect(store.lookup(key)).toBeUndefined();
      store.register(key, 7);
      expect(store.consume(key)).toBe(7);
      expect(store.lookup(key)).toBeUndefined();
    }
  });

  it('shows by lookup what it lists, also when an entry that takes the place of one that is over pushes another out', async () => {
    const one = new One();
    const store = await one.open({ shape, ttl: HOUR, maxEntries: 2 });
    const now = one.clock.now();
    store.register('1st', 1);
    store.register('again', 2);
    one.clock.suspend(1);
    store.register('third', 3);
    // Of the key that it is said of again, the earlier time counts now, so that the first is in view once more.
    store.register('again', 4, { at: now - 0.9 * HOUR });
    expect(store.lookup('1st')).toBe(1);
    one.clock.suspend(0.2 * HOUR);
    expect(store.entries().map(({ key }) => key)).toEqual(['again', 'third']);
    expect(store.lookup('1st')).toBeUndefined();
    expect(store.lookup('again')).toBe(2);
  });

  it('in memory alone keeps nothing, writes nothing, and evicts the oldest', async () => {
    const one = new One();
    const store = await one.open({ shape, persistent: false, maxEntries: 2, ttl: HOUR });
    const now = one.clock.now();
    store.register('new', 1, { at: now });
    store.register('old', 2, { at: now - 1000 });
    store.register('older', 3, { at: now - 2000 });
    expect(store.entries().map(({ key }) => key)).toEqual(['old', 'new']);
    expect(one.counters.evictions).toBe(1);
    expect(store.delete('old')).toBe(true);
    expect(store.delete('old')).toBe(false);
    one.clock.suspend(HOUR);
    expect(store.size).toBe(0);
    expect(await store.flush()).toBe(true);
    expect([...one.documents.all()]).toEqual([]);
    expect(one.known.all()).toEqual([]);
  });

  it.each([true, false])(
    'of class durable warns near its limit, refuses more, and takes them again (persistent: %s)',
    async (persistent) => {
      const one = new One();
      const store = await one.open({ shape, class: 'durable', maxEntries: 10, persistent, ttl: DAY });
      for (let index = 0; index < 8; index += 1) store.register(`k${index}`, index);
      expect(one.warnings()).toEqual([]);
      store.register('k8', 8);
      store.register('k9', 9);
      expect(one.warnings()).toHaveLength(1);
      expect(codeOf(() => store.register('k10', 10))).toBe('full');
      expect(one.counters.refusedFull).toBe(1);
      expect(store.register('k3', 33)).toBe(true);
      expect(store.entries()).toHaveLength(10);
      expect(store.consume('k0')).toBe(0);
      expect(store.register('k10', 10)).toBe(true);
      one.clock.suspend(DAY);
      expect(store.register('k11', 11)).toBe(true);
      expect(one.counters.evictions).toBe(0);
    },
  );

  it('counts hits, misses, and what only the documents had', async () => {
    const one = new One();
    const store = await one.open({ shape });
    store.register('k', 1);
    store.lookup('k');
    store.lookup('k');
    store.lookup('none');
    expect(one.counters).toMatchObject({ hits: 2, misses: 1, restored: 0, registered: 1 });
    await store.flush();
    const again = one.restarted();
    const after = await again.open({ shape });
    after.lookup('k');
    after.lookup('k');
    expect(again.counters).toMatchObject({ hits: 2, misses: 0, restored: 1 });
  });

  it('writes nothing when the same thing is registered again', async () => {
    const one = new One();
    const store = await one.open({ shape });
    const at = one.clock.now() - 1000;
    store.register('k', 1, { at });
    const heads = JSON.stringify([...one.documents.all()].map(({ handle }) => A.getHeads(handle.doc())));
    store.register('k', 1, { at });
    expect(JSON.stringify([...one.documents.all()].map(({ handle }) => A.getHeads(handle.doc())))).toBe(
      heads,
    );
  });
});

describe('consumed stays consumed', () => {
  it('for a registration made by someone who had not heard of it, also in a later window', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const [left, right] = [
      await one.open({ shape, ttl: 5 * HOUR }),
      await two.open({ shape, ttl: 5 * HOUR }),
    ];
    left.register('k', 1);
    expect(left.consume('k')).toBe(1);
    two.clock.suspend(4 * HOUR);
    await two.stores.tend();
    right.register('k', 2);
    one.clock.suspend(4 * HOUR);
    await one.stores.tend();
    two.hear(one);
    expect(right.lookup('k')).toBeUndefined();
    one.hear(two);
    expect(left.lookup('k')).toBeUndefined();
    expect(left.entries()).toEqual([]);
    // Who has heard of it makes a new one.
    left.register('k', 3);
    two.hear(one);
    expect(right.lookup('k')).toBe(3);
  });

  it('and is counted when two took it while apart, once', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const [left, right] = [await one.open({ shape }), await two.open({ shape })];
    left.register('k', 1);
    two.hear(one);
    expect([left.consume('k'), right.consume('k')]).toEqual([1, 1]);
    one.hear(two);
    one.hear(two);
    two.hear(one);
    expect([one.counters.consumedTwice, two.counters.consumedTwice]).toEqual([1, 1]);
    expect([left.lookup('k'), right.lookup('k')]).toEqual([undefined, undefined]);
    await left.flush();
    const again = one.restarted();
    await again.open({ shape });
    expect(again.counters.consumedTwice).toBe(0);
  });

  it('but what was registered after the first would have been over is new, whoever had heard of what', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const [left, right] = [await one.open({ shape, ttl: HOUR }), await two.open({ shape, ttl: HOUR })];
    left.register('k', 1);
    left.consume('k');
    for (const each of [one, two]) {
      each.clock.suspend(HOUR + 1);
      await each.stores.tend();
    }
    right.register('k', 2);
    one.hear(two);
    two.hear(one);
    expect([left.lookup('k'), right.lookup('k')]).toEqual([2, 2]);
  });

  it('for every copy that stands, of whichever round: the mark is beside the latest of them', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const ttl = 6 * HOUR;
    const [left, right] = [await one.open({ shape, ttl }), await two.open({ shape, ttl })];
    const pass = async (ms: number): Promise<void> => {
      for (const each of [one, two]) {
        each.clock.suspend(ms);
        await each.stores.tend();
      }
    };
    left.register('k', 1);
    left.consume('k');
    await pass(3 * HOUR);
    left.register('k', 2);
    await pass(4 * HOUR);
    // Of the first round, and later than its mark reaches.
    right.register('k', 3);
    one.hear(two);
    expect(left.lookup('k')).toBe(2);
    expect(left.consume('k')).toBe(2);
    expect(left.lookup('k')).toBeUndefined();
    two.hear(one);
    expect(right.lookup('k')).toBeUndefined();
    const marked = [...one.documents.all()].filter(({ handle }) =>
      Object.keys(handle.doc()['entries'] as object).includes('keyed:test 2 k'),
    );
    expect(Math.max(...marked.map(({ name }) => name.index))).toBe(Math.floor(one.clock.now() / ttl));
  });

  it('while its entry is over and its window still open, and after the window has gone', async () => {
    const one = new One();
    const late = new One('late');
    const store = await one.open({ shape, ttl: HOUR });
    const theirs = await late.open({ shape, ttl: HOUR });
    store.register('k', 1);
    late.hear(one);
    store.consume('k');
    await store.flush();
    const before = one.known.all().length;
    one.clock.suspend(2 * DAY);
    await one.stores.tend();
    await settle();
    expect(one.known.all().length).toBeLessThanOrEqual(before);
    expect([...one.known.ever].filter((id) => one.disk.has(id)).sort()).toEqual(
      one.known
        .all()
        .map(({ id }) => id)
        .filter((id) => one.disk.has(id))
        .sort(),
    );
    // The late one still shows it by its own clock; of its document nothing is taken in.
    expect(theirs.lookup('k')).toBe(1);
    one.hear(late);
    expect(store.lookup('k')).toBeUndefined();
  });

  it('unless the process died before that was on its disk', async () => {
    const one = new One();
    const store = await one.open({ shape });
    store.register('k', 1);
    await store.flush();
    one.disk.stall();
    expect(store.consume('k')).toBe(1);
    await settle();
    expect((await one.restarted().open({ shape })).lookup('k')).toBe(1);
  });
});

describe('windows', () => {
  it('an entry without a ttl goes on for as long as somebody looks after it, and is renewed twice a year', async () => {
    const one = new One();
    const store = await one.open({ shape, class: 'durable' });
    store.register('k', 1);
    for (let day = 0; day < 3 * 365; day += 30) {
      one.clock.suspend(30 * DAY);
      await one.stores.tend();
      expect(store.lookup('k')).toBe(1);
    }
    await settle();
    expect(one.known.all().length).toBeLessThan(15);
    await store.flush();
    expect((await one.restarted().open({ shape, class: 'durable' })).lookup('k')).toBe(1);
  });

  it('a renewal does not win over a newer value that it had not heard of', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const [left, right] = [await one.open({ shape }), await two.open({ shape })];
    left.register('k', 1);
    two.hear(one);
    for (const each of [one, two]) {
      each.clock.suspend(181 * DAY);
      await each.stores.tend();
    }
    right.register('k', 2);
    for (const each of [one, two]) {
      each.clock.suspend(2 * DAY);
      await each.stores.tend();
    }
    one.hear(two);
    two.hear(one);
    expect([left.lookup('k'), right.lookup('k')]).toEqual([2, 2]);
  });

  it('a replica that slept over its windows keeps what it is told, and writes it once they are open', async () => {
    const one = new One();
    const store = await one.open({ shape, ttl: HOUR });
    one.clock.suspend(3 * DAY);
    store.register('k', 1);
    expect(store.lookup('k')).toBe(1);
    expect(store.unsaved).toBe(1);
    await one.stores.tend();
    expect(store.unsaved).toBe(0);
    expect(await store.flush()).toBe(true);
    expect((await one.restarted().open({ shape, ttl: HOUR })).lookup('k')).toBe(1);
  });

  it('of a clock that is ahead is there before it begins here', async () => {
    const [one, two] = [new One('a'), new One('b')];
    const [left, right] = [await one.open({ shape, ttl: HOUR }), await two.open({ shape, ttl: HOUR })];
    for (const each of [one, two]) each.clock.suspend(5.5 * HOUR);
    two.clock.suspend(HOUR);
    for (const each of [one, two]) await each.stores.tend();
    right.register('k', 1);
    one.hear(two);
    expect(left.lookup('k')).toBe(1);
    expect(left.consume('k')).toBe(1);
    two.hear(one);
    expect(right.lookup('k')).toBeUndefined();
  });

  it('a disk that stands still holds nobody up, and no window back', async () => {
    const one = new One();
    const store = await one.open({ shape, ttl: HOUR });
    store.register('k', 1);
    await store.flush();
    one.disk.stall();
    store.register('k', 2);
    let written = false;
    const flush = store.flush().then((done) => void (written = done));
    for (let day = 0; day < 3; day += 1) {
      one.clock.suspend(DAY);
      await one.stores.tend();
      store.register(`day ${day}`, day);
      expect(store.lookup(`day ${day}`)).toBe(day);
      expect(store.unsaved).toBe(0);
    }
    expect(written).toBe(false);
    one.disk.thaw();
    await flush;
    expect(written).toBe(true);
    await settle();
    await one.stores.tend();
    await settle();
    const left = [...one.known.ever].filter((id) => one.disk.has(id));
    expect(one.known.all().map(({ id }) => id)).toEqual(expect.arrayContaining(left));
    expect(await store.flush()).toBe(true);
    expect((await one.restarted().open({ shape, ttl: HOUR })).lookup('day 2')).toBe(2);
  });

  it('what a kill left of a window that is over goes at the next start, also of a namespace nobody opens', async () => {
    const one = new One();
    const store = await one.open({ shape, ttl: HOUR });
    store.register('k', 1);
    await store.flush();
    const ids = one.known.all().map(({ id }) => id);
    expect(ids.some((id) => one.disk.has(id))).toBe(true);
    const again = one.restarted();
    again.clock.suspend(3 * DAY);
    again.stores.sweep();
    await settle();
    expect(ids.filter((id) => one.disk.has(id))).toEqual([]);
    expect(one.known.all()).toEqual([]);
  });

  it('a clock that is set back by two hours shows nothing that was consumed', async () => {
    const one = new One();
    const late = new One('late');
    const store = await one.open({ shape, ttl: HOUR });
    await late.open({ shape, ttl: HOUR });
    // Near the end of its window, which is closed soonest then.
    one.clock.suspend(6 * HOUR - 1);
    await one.stores.tend();
    store.register('k', 1);
    late.hear(one);
    store.consume('k');
    for (let hour = 0; hour < 48; hour += 1) {
      one.clock.suspend(HOUR);
      await one.stores.tend();
      one.clock.suspend(-2 * HOUR);
      await one.stores.tend();
      one.hear(late);
      expect(store.lookup('k')).toBeUndefined();
      one.clock.suspend(2 * HOUR);
    }
  });
});

describe('hostile rows', () => {
  it.each([
    ['no record', 'keyed:test 1 bad', 'no json'],
    ['a record of no entry', 'keyed:test 1 bad', '{"entry":[5,1,"c"]}'],
    ['an entry of another window', 'keyed:test 1 bad', '{"entry":[{"at":5,"value":1},1,"c"]}'],
    ['a mark that is no time', 'keyed:test 1 bad', '{"gone":["soon",1,"c"]}'],
    ['no round', 'keyed:test x bad', '{}'],
    ['a key that is none', 'keyed:test 1 ', '{}'],
    ['another namespace', 'keyed:other 1 k', '{}'],
    ['a row without bounds', 'keyed:test 1 bad', 'x'.repeat(300_000)],
  ])('%s: counted, and the others stand', async (_, key, text) => {
    const one = new One();
    const store = await one.open({ shape });
    store.register('good', 1);
    const document = [...one.documents.all()].find(
      ({ handle }) => Object.keys(handle.doc()['entries'] as object).length > 0,
    );
    if (document === undefined) return expect.unreachable();
    one.documents.change(document, 'hostile', [{ kind: 'keyed', key }], (draft) => {
      (draft['entries'] as Record<string, unknown>)[key] = new A.ImmutableString(text);
    });
    await store.flush();
    expect(store.lookup('good')).toBe(1);
    expect(store.entries().map(({ key: shown }) => shown)).toEqual(['good']);
    const again = one.restarted();
    const after = await again.open({ shape });
    expect(after.entries().map(({ key: shown }) => shown)).toEqual(['good']);
    expect(again.counters.badRows + again.malformed.length).toBeGreaterThan(0);
    if (key === 'keyed:test 1 bad') expect(after.register('bad', 2) && after.lookup('bad')).toBe(2);
  });

  it('a map that is no map: nothing of that window, and writes wait', async () => {
    const one = new One();
    const store = await one.open({ shape, ttl: DAY });
    const [, document] = [...one.documents.all()].sort((a, b) => b.name.index - a.name.index);
    if (document === undefined) return expect.unreachable();
    store.register('k', 1);
    for (const each of one.documents.all()) {
      one.documents.change(each, 'hostile', [], (draft) => void (draft['entries'] = 'no map'));
    }
    expect(() => store.register('other', 2)).not.toThrow();
    expect(store.lookup('other')).toBe(2);
    expect(store.unsaved).toBe(1);
    expect(one.counters.persistenceErrors).toBeGreaterThan(0);
  });
});
