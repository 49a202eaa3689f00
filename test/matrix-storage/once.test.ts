import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OnceOptions, StateNode, Turn } from '../../src/index.js';
import { eventually, folder, MemoryStorage, node } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';
import { hub, LEASE_MS, replicas, ROOM, said, type Said } from './world.js';

/** A handler that writes down what it was called with; `behave` says how a call ends. */
function bot(
  one: StateNode,
  behave: (event: Said, turn: Turn) => unknown = () => {},
  options: OnceOptions = {},
) {
  const calls: { id: string; attempt: number; fence: string | undefined }[] = [];
  const listener = one.once<Said>(
    (_room, event, turn) => {
      calls.push({ id: event.event_id, attempt: turn.attempt, fence: turn.fence });
      return behave(event, turn);
    },
    { lease: LEASE_MS, ...options },
  );
  return { calls, ids: () => calls.map(({ id }) => id), hears: (event: Said) => listener(ROOM, event) };
}

const once = (one: StateNode) => one.counters().once;
const settled = (one: StateNode) => once(one).handled + once(one).elsewhere;

describe('events given to node.once', () => {
  it('N-once: are handled by one of two replicas each, and not again when they are handed over again', async () => {
    const dataDir = await folder();
    const relay = await hub();
    const [one, two] = await replicas(relay, {}, { dataDir });
    const [left, right] = [bot(one), bot(two)];
    const events = ['1', '2', '3', '4', '5', '6'].map((id) => said(id));
    for (const event of events) {
      left.hears(event);
      right.hears(event);
      left.hears(event);
    }
    await eventually(() => settled(one) === 6 && settled(two) === 6);
    expect([...left.ids(), ...right.ids()].sort()).toEqual(events.map(({ event_id }) => event_id));
    expect([...left.calls, ...right.calls].every(({ fence }) => fence !== undefined)).toBe(true);
    // Begun again with an older position, it is handed all of them once more.
    await two.close();
    const again = await node([relay], { dataDir });
    const back = bot(again);
    for (const event of events) back.hears(event);
    await eventually(() => once(again).elsewhere + once(again).again === 6);
    expect(back.calls).toEqual([]);
    expect(() => bot(one)).toThrow(expect.objectContaining({ code: 'already-open' }));
    const other = bot(one, () => {}, { name: 'other' });
    other.hears(events[0] as Said);
    await eventually(() => other.calls.length === 1);
  }, 60_000);

  it('N-release: that a handler threw on are tried again, by either replica, and left alone after three tries of each', async () => {
    const [one, two] = await replicas(await hub());
    let failures = 2;
    const behave = ({ event_id }: Said) => {
      if (event_id === '$never' || failures > 0) {
        failures -= 1;
        throw new Error('not now');
      }
    };
    const [left, right] = [bot(one, behave), bot(two, behave)];
    const event = said('later');
    left.hears(event);
    right.hears(event);
    await eventually(() => settled(one) === 1 && settled(two) === 1);
    expect(left.calls.length + right.calls.length).toBe(3);
    expect(once(one).failed + once(two).failed).toBe(2);
    const never = said('never');
    left.hears(never);
    right.hears(never);
    await eventually(() => once(one).givenUp === 1 && once(two).givenUp === 1);
    expect(left.calls.length + right.calls.length).toBe(3 + 6);
  }, 90_000);

  it('N-lease: a long turn is held for as long as it runs; closed in the middle, it is told and another replica takes it', async () => {
    const [one, two] = await replicas(await hub());
    let finish = (): void => {};
    const left = bot(one, () => new Promise<void>((resolve) => (finish = resolve)));
    const right = bot(two);
    const first = said('long');
    left.hears(first);
    await eventually(() => left.calls.length === 1);
    right.hears(first);
    await eventually(() => one.counters().claims.renewed > 3);
    expect(right.calls).toEqual([]);
    finish();
    await eventually(() => settled(one) === 1 && settled(two) === 1);

    const aborted = bot(one, (_event, { signal }) => untilAborted(signal), { name: 'aborted' });
    const heir = bot(two, () => {}, { name: 'aborted' });
    const second = said('left');
    aborted.hears(second);
    await eventually(() => aborted.calls.length === 1);
    heir.hears(second);
    await one.close();
    await eventually(() => heir.calls.length === 1);
    const [before] = aborted.calls;
    expect(String(heir.calls[0]?.fence) > String(before?.fence)).toBe(true);
  }, 90_000);

  it('N-wait: with no authority in reach wait, and say so, or go on by option; afterwards each is handled once', async () => {
    const storage = new MemoryStorage();
    const relay = await hub(storage);
    const log = recordingLog();
    const [one, two] = await replicas(relay, { log });
    const [left, right] = [bot(one), bot(two)];
    const first = said('first');
    left.hears(first);
    await eventually(() => settled(one) === 1);
    const { port } = relay;
    await relay.close();
    const second = said('second');
    left.hears(second);
    right.hears(second);
    const hasty = bot(one, () => {}, { name: 'hasty', whenUnreachable: 'go-on' });
    hasty.hears(second);
    await eventually(() => hasty.calls.length === 1);
    expect(hasty.calls[0]?.fence).toBeUndefined();
    await eventually(() => once(one).waited > 0);
    expect(
      log.lines.some(({ level, message }) => level === 'warn' && message.startsWith('events wait')),
    ).toBe(true);
    expect(left.ids()).toEqual(['$first']);
    await hub(storage, port);
    await eventually(() => settled(one) === 3 && settled(two) === 1, 60_000);
    expect([...left.ids(), ...right.ids()].sort()).toEqual(['$first', '$second']);
    expect(once(one).unguarded).toBe(1);
  }, 120_000);

  it('N-old: older than is remembered are not handled, nor what is no event; no text of one is in the log', async () => {
    const log = recordingLog();
    const [one] = await replicas(await hub(), { log });
    const left = bot(
      one,
      () => {
        throw new Error('broken');
      },
      { remember: 60_000 },
    );
    left.hears(said('old', 'geheim', Date.now() - 120_000));
    for (const nothing of [
      undefined,
      null,
      'geheim',
      {},
      { event_id: '' },
      { event_id: 'geheim'.repeat(99) },
    ])
      left.hears(nothing as never);
    const circle: Record<string, unknown> = { event_id: '$circle' };
    circle['self'] = circle;
    left.hears(circle as never);
    await eventually(() => once(one).tooOld === 1);
    expect(once(one)).toMatchObject({ malformed: 7, heard: 1, handled: 0 });
    left.hears(said('new', 'geheim'));
    await eventually(() => once(one).failed > 0);
    expect(left.ids()).toContain('$new');
    expect(JSON.stringify(log.lines)).not.toContain('geheim');
  }, 60_000);

  it('N-position: the token on disk passes no event that is not done, and what is heard stands beside it', async () => {
    const dataDir = await folder();
    const relay = await hub();
    const [one, two] = await replicas(relay, {}, { dataDir });
    const kept = async () =>
      JSON.parse(await readFile(join(dataDir, 'matrix-storage.json'), 'utf8')) as {
        accounts: { sync_token: string | null }[];
        heard: { id: string; text: string }[];
      };
    const holder = bot(one, (_event, { signal }) => untilAborted(signal));
    const right = bot(two);
    const storage = two.matrixStorage();
    const event = said('held');
    holder.hears(event);
    await eventually(() => holder.calls.length === 1);
    // As the SDK does: the token first, then what came with it.
    await storage.setSyncToken('s1');
    right.hears(event);
    expect((await kept()).accounts[0]?.sync_token).toBeNull();
    await storage.setSyncToken('s2');
    expect(await kept()).toMatchObject({ accounts: [{ sync_token: 's1' }], heard: [{ id: '$held' }] });
    expect(await storage.getSyncToken()).toBe('s2');
    await two.close();
    // The next process takes it up, though nobody hands it over again.
    const again = await node([relay], { dataDir });
    const back = bot(again);
    expect(await again.matrixStorage().getSyncToken()).toBe('s1');
    await one.close();
    await eventually(() => back.ids().includes('$held'));
    await eventually(async () => (await kept()).heard.length === 0);
  }, 60_000);
});

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
