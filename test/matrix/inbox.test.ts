import { afterEach, describe, expect, test } from 'vitest';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { settle } from '../simulation/clock.js';
import { call, closeAll, words, world } from './inbox-world.js';

afterEach(closeAll);

describe('batches', () => {
  test('C3: the position moves only when the batch was taken over', async () => {
    const taken: string[][] = [];
    let failures = 2;
    const { clock, inbox, say } = await world({
      onBatch: async ({ rooms }) => {
        const said = rooms.flatMap(({ events }) => events.map(({ content }) => String(content['body'])));
        if (said.length > 0 && failures-- > 0) throw new Error('the disk is full');
        if (said.length > 0) taken.push(said);
      },
    });
    const start = inbox.position();
    inbox.start();
    await say('one');
    await settle();
    expect(inbox.position()).toBe(start);
    expect(inbox.status()).toEqual({ state: 'backing-off', failures: 1, lastFailure: 'receiver' });
    await say('two');
    await clock.advance(2000);
    expect(taken).toEqual([['one', 'two']]);
    expect(inbox.status().failures).toBe(0);
    expect(inbox.position()).not.toBe(start);
  });

  test('a gap is filled before anything newer, over several pages and through rate limits', async () => {
    const { clock, server, inbox, say, heard, batches } = await world();
    await say(...words(0, 250));
    server.refuse(call('messages'), 429, 1, 3000);
    inbox.start();
    await clock.advance(2999);
    expect(heard()).toEqual([]);
    await clock.advance(5000);
    expect(heard()).toEqual(words(0, 250));
    expect(batches.map(({ rooms }) => rooms[0]).find(Boolean)).toMatchObject({
      limited: true,
      filled: true,
      unreadable: false,
    });
  });

  test('a rate limit in the middle of a gap costs no page twice', async () => {
    const { clock, server, inbox, say, heard, asked } = await world();
    await say(...words(0, 45));
    let pages = 0;
    server.refuse((request) => call('messages')(request) && ++pages === 3, 429, 1, 500);
    inbox.start();
    await clock.advance(2000);
    expect(heard()).toEqual(words(0, 45));
    // 40 events left out, 10 to a page, the empty last page, and the one refused.
    expect(asked('messages')).toHaveLength(6);
  });

  test('the token of a filled room reads on backwards without a hole or a double', async () => {
    const { inbox, say, batches, room } = await world({ limit: 3 });
    const before = inbox.position();
    await say(...words(0, 8));
    inbox.start();
    await inbox.catchUp();
    const [filled] = batches.flatMap(({ rooms }) => rooms);
    expect(filled?.prevBatch).toBe(before);
    const back = await inbox.readBack(room, {
      from: filled?.prevBatch ?? '',
      until: ({ type }) => type === 'm.room.create',
      limit: 100,
    });
    expect(back.ended).toBe('found');
    const ids = [...back.events, ...(filled?.events ?? [])].map(({ event_id }) => event_id);
    expect(ids).toEqual((await inbox.readFrom(room, ids[0] ?? '')).map(({ event_id }) => event_id));
  });

  test('a first sync hands a limited room on unfilled, with where to page back from', async () => {
    const { inbox, say, batches, room } = await world({ fresh: true });
    await say(...words(0, 20));
    inbox.start();
    await inbox.catchUp();
    const [first] = batches.flatMap(({ rooms }) => rooms);
    expect(first).toMatchObject({ room, limited: true, filled: false, unreadable: false });
    const back = await inbox.readBack(room, {
      from: first?.prevBatch ?? '',
      until: ({ content }) => content['body'] === 'w10',
      limit: 100,
    });
    expect([...back.events, ...(first?.events ?? [])].map(({ content }) => content['body'])).toEqual(
      words(10, 20),
    );
  });

  test('a gap that is closed to us is handed on with what there is, marked unreadable', async () => {
    const { server, bot, inbox, say, batches, heard } = await world();
    bot.messages = () =>
      Promise.reject(new HomeserverError('refused', 'no', { status: 403, errcode: 'M_FORBIDDEN' }));
    bot.joinedRooms = () => Promise.resolve([]);
    await say(...words(0, 9));
    inbox.start();
    await inbox.catchUp();
    expect(heard()).toEqual(words(4, 9));
    expect(batches[0]?.rooms[0]).toMatchObject({ filled: false, unreadable: true });
    expect(server.requests.length).toBeGreaterThan(0);
  });

  test.each([
    ['the room itself, in which we are', 403, 'M_FORBIDDEN'],
    ['a proxy that does not know the endpoint', 404, 'M_UNRECOGNIZED'],
    ['an account that is blocked', 403, 'M_RESOURCE_LIMIT_EXCEEDED'],
  ])('M-closed: a refusal by %s closes no gap: it is read later', async (_by, status, errcode) => {
    const { clock, server, bot, room, inbox, say, heard } = await world();
    const lift = server.faults.refuseBy(call('messages'), { status, errcode });
    if (errcode !== 'M_FORBIDDEN') bot.joinedRooms = () => Promise.resolve([]);
    expect(server.joinedRooms(bot.user)).toContain(room);
    await say(...words(0, 9));
    inbox.start();
    await clock.advance(5000);
    expect(heard()).toEqual([]);
    lift();
    await clock.advance(120_000);
    expect(heard()).toEqual(words(0, 9));
  });

  test('a refused token closes no gap: nothing is handed on until it can be read', async () => {
    const { clock, bot, inbox, say, heard } = await world();
    const read = bot.messages.bind(bot);
    bot.messages = () =>
      Promise.reject(new HomeserverError('refused', 'no', { status: 401, errcode: 'M_UNKNOWN_TOKEN' }));
    await say(...words(0, 9));
    inbox.start();
    await clock.advance(3000);
    expect(heard()).toEqual([]);
    expect(inbox.status()).toMatchObject({ lastFailure: 'refused' });
    bot.messages = read;
    await clock.advance(10_000);
    expect(heard()).toEqual(words(0, 9));
  });

  test('a room just joined hands on what was said before the join, without a double', async () => {
    const { server, alice, bot, inbox, batches } = await world();
    const room = await alice.createRoom({ preset: 'private_chat', invite: [bot.user] });
    for (const body of words(0, 9)) await alice.send(room, 'm.room.message', body, { body });
    inbox.start();
    await inbox.catchUp();
    expect(batches[0]?.invited.map((one) => one.room)).toEqual([room]);
    await bot.join(room);
    await inbox.catchUp();
    const joined = batches.flatMap(({ rooms }) => rooms).find((one) => one.room === room);
    const back = await inbox.readBack(room, {
      from: joined?.prevBatch ?? '',
      until: () => false,
      limit: 100,
    });
    const ids = [...back.events, ...(joined?.events ?? [])].map(({ event_id }) => event_id);
    expect(ids).toEqual(server.history(room).map(({ event_id }) => event_id));
  });
});

describe('catching up', () => {
  test('D5: an answer that was made before the call does not count as caught up', async () => {
    const { server, inbox, say, heard } = await world();
    const made = server.hold(call('sync'), 'after');
    const earlier = inbox.catchUp();
    inbox.start();
    await made.arrived;
    await say('prompt');
    let caughtUp = false;
    const catching = inbox.catchUp().then(() => (caughtUp = true));
    const next = server.hold(call('sync'), 'before');
    made.release();
    await earlier;
    await next.arrived;
    await settle();
    expect([caughtUp, heard()]).toEqual([false, []]);
    next.release();
    await catching;
    expect(heard()).toEqual(['prompt']);
  });

  test('it gives an open long poll up at once, and calls at the same time share one request', async () => {
    const { inbox, clock, asked } = await world();
    inbox.start();
    await settle();
    expect(asked('sync')).toHaveLength(2);
    await Promise.all([inbox.catchUp(), inbox.catchUp(), inbox.catchUp()]);
    expect(clock.monotonic()).toBe(0);
    await settle();
    // world's own, the poll given up, the one that serves all three, the poll after it.
    expect(asked('sync')).toHaveLength(4);
  });

  test('calls in quick succession do not keep each other from an answer', async () => {
    const { server, inbox, asked } = await world();
    inbox.start();
    await settle();
    const slow = server.hold(call('sync'), 'before');
    const first = inbox.catchUp();
    await slow.arrived;
    const more = [inbox.catchUp(), inbox.catchUp()];
    await settle();
    expect(asked('sync')).toHaveLength(3);
    slow.release();
    await Promise.all([first, ...more]);
  });

  test('it waits for the receiver, and for a batch that must be tried again', async () => {
    let release = () => {};
    let tries = 0;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { clock, inbox } = await world({
      onBatch: async () => {
        if (++tries === 1) throw new Error('not yet');
        await gate;
      },
    });
    let done = false;
    inbox.start();
    const catching = inbox.catchUp().then(() => (done = true));
    await clock.advance(5000);
    expect([tries, done]).toEqual([2, false]);
    release();
    await catching;
  });

  test('a signal and a stop end it', async () => {
    const { inbox, bot } = await world();
    bot.cutOff();
    inbox.start();
    const controller = new AbortController();
    const signalled = inbox.catchUp(controller.signal);
    const waiting = inbox.catchUp();
    controller.abort(new Error('enough'));
    await expect(signalled).rejects.toThrow('enough');
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'aborted' }), inbox.stop()]);
    await expect(inbox.catchUp()).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('outages', () => {
  test('failures back off with growing waits, and a rate limit is waited out', async () => {
    const { clock, server, inbox, asked, heard, say } = await world();
    server.refuse(call('sync'), 502, 6);
    server.refuse(call('sync'), 429, 1, 20_000);
    await say('x');
    inbox.start();
    await clock.advance(10_000);
    const before = asked('sync').length;
    expect(inbox.status()).toMatchObject({ state: 'backing-off', lastFailure: 'rate-limited' });
    expect(before).toBe(8);
    await clock.advance(9000);
    expect(asked('sync')).toHaveLength(before);
    await clock.advance(10_000);
    expect(heard()).toEqual(['x']);
  });

  test('nothing is lost or doubled over a cut in the middle of a gap', async () => {
    const { clock, server, bot, inbox, say, heard } = await world();
    await say(...words(0, 250));
    const page = server.hold(call('messages'), 'after');
    inbox.start();
    await page.arrived;
    bot.cutOff();
    await say('late');
    await clock.advance(5000);
    bot.restore();
    page.release();
    await clock.advance(6000);
    expect(heard()).toEqual([...words(0, 250), 'late']);
  });

  test('O1: while a long poll is open, whoami shows every third of a lease that the homeserver is there', async () => {
    const { clock, inbox, bot } = await world({ probeEveryMs: 200 });
    expect(inbox.lastSuccess()).toBe(-Infinity);
    inbox.start();
    await clock.advance(5000);
    expect(clock.monotonic() - inbox.lastSuccess()).toBeLessThanOrEqual(200);
    bot.cutOff();
    await clock.advance(3000);
    expect(clock.monotonic() - inbox.lastSuccess()).toBeGreaterThanOrEqual(3000);
  });

  test('O1: who cannot sync is not made a candidate by whoami', async () => {
    const { clock, server, inbox } = await world({ probeEveryMs: 200 });
    inbox.start();
    server.refuse(call('sync'), 502, 1000);
    await clock.advance(40_000);
    const last = inbox.lastSuccess();
    expect(inbox.status().failures).toBeGreaterThan(0);
    await clock.advance(10_000);
    expect(inbox.lastSuccess()).toBe(last);
  });

  test('O1: a /sync that failed once in a quiet account leaves the replica unheard for its back-off, not for a long poll', async () => {
    const { clock, inbox, bot } = await world({ probeEveryMs: 200 });
    inbox.start();
    await clock.advance(1000);
    bot.cutOff();
    await clock.advance(500);
    bot.restore();
    await clock.advance(5000);
    expect(inbox.status().failures).toBe(0);
    expect(clock.monotonic() - inbox.lastSuccess()).toBeLessThanOrEqual(200);
  });

  test('a poll whose connection died without a word is given up once the homeserver answers probes again', async () => {
    const { clock, server, inbox, say, heard, asked } = await world({ probeEveryMs: 200 });
    const dead = server.hold(call('sync'), 'before');
    inbox.start();
    await dead.arrived;
    server.refuse(call('whoami'), 502, 2);
    await say('x');
    await clock.advance(1000);
    expect(heard()).toEqual(['x']);
    expect(asked('sync').length).toBeGreaterThan(1);
  });

  test('a stop ends everything: no timer stays armed, no request follows', async () => {
    const { clock, inbox, server, say } = await world();
    inbox.start();
    await settle();
    await inbox.stop();
    await settle();
    expect(inbox.status().state).toBe('stopped');
    expect(clock.armed).toBe(0);
    const requests = server.requests.length;
    await say('x');
    await clock.advance(60_000);
    expect(server.requests.length).toBe(requests + 1);
    expect(() => inbox.start()).toThrow('stopped');
  });
});
