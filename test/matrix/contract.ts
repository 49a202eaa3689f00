import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Batch } from '../../src/matrix/batch.js';
import { type Homeserver, HomeserverError, type RoomEvent } from '../../src/matrix/homeserver.js';
import { Inbox } from '../../src/matrix/inbox.js';
import { readBack, readFrom, readGap } from '../../src/matrix/timeline.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { nothingBefore } from './nothing-before.js';

/** A homeserver under test, with one bot account and one person, made for this suite alone. */
export interface Fixture {
  /** Two tokens of the bot's one delivery device. */
  bot: Homeserver;
  botAgain: Homeserver;
  /** Another device of the bot. */
  elsewhere: Homeserver;
  person: Homeserver;
  botId: string;
  personId: string;
  serverName: string;
}

const reader = (homeserver: Homeserver) => ({ homeserver, clock: systemClock, random: () => 0 });
const text = (body: string) => ({ msgtype: 'm.text', body });
const bodies = (events: RoomEvent[]) => events.map(({ content }) => content['body']).filter(Boolean);
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));

async function refusal(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => 'it was not refused',
    (reason: unknown) => reason,
  );
  if (!(error instanceof HomeserverError)) throw new Error(`no refusal but ${String(error)}`);
  return { code: error.code, status: error.detail.status, errcode: error.detail.errcode };
}

/** What every homeserver that the bot runs on does, and therefore the simulated one. */
export function homeserverContract(name: string, open: () => Promise<Fixture>): void {
  describe(name, () => {
    let fixture: Fixture;
    let txns = 0;
    const run = Math.random().toString(36).slice(2);
    const txn = () => `${run}-${++txns}`;

    beforeAll(async () => {
      fixture = await open();
    });

    async function sharedRoom(): Promise<string> {
      const room = await fixture.person.createRoom({ preset: 'private_chat', invite: [fixture.botId] });
      await fixture.bot.join(room);
      return room;
    }

    async function say(homeserver: Homeserver, room: string, ...said: string[]): Promise<string[]> {
      const ids: string[] = [];
      for (const body of said) ids.push(await homeserver.send(room, 'm.room.message', txn(), text(body)));
      return ids;
    }

    const now = async () => (await fixture.bot.sync({ timeoutMs: 0 })).next_batch;

    test('whoami names the user and the device', async () => {
      const [one, two] = [await fixture.bot.whoami(), await fixture.botAgain.whoami()];
      expect(one.user_id).toBe(fixture.botId);
      expect(two).toEqual(one);
      expect((await fixture.elsewhere.whoami()).device_id).not.toBe(one.device_id);
    });

    test('D1: a transaction id is a write-once register of the device, over all of its tokens', async () => {
      const room = await sharedRoom();
      const id = txn();
      const [one, two] = await Promise.all([
        fixture.bot.send(room, 'm.room.message', id, text('one')),
        fixture.botAgain.send(room, 'm.room.message', id, text('two')),
      ]);
      expect(two).toBe(one);
      const third = await fixture.bot.send(room, 'm.room.message', id, text('three'));
      expect(third).toBe(one);
      expect(['one', 'two']).toContain((await fixture.bot.event(room, one)).content['body']);
      const other = await fixture.elsewhere.send(room, 'm.room.message', id, text('elsewhere'));
      expect(other).not.toBe(one);
    });

    test('the transaction id is seen by every token of the sending device and by no other device', async () => {
      const room = await sharedRoom();
      const id = txn();
      const sent = await fixture.bot.send(room, 'm.room.message', id, text('x'));
      const seen = async (homeserver: Homeserver) =>
        (await homeserver.event(room, sent)).unsigned?.['transaction_id'];
      expect(await seen(fixture.bot)).toBe(id);
      expect(await seen(fixture.botAgain)).toBe(id);
      expect(await seen(fixture.elsewhere)).toBeUndefined();
      expect(await seen(fixture.person)).toBeUndefined();
    });

    test('a limited timeline and the pages up to its prevBatch are everything, once, in order', async () => {
      const room = await sharedRoom();
      const since = await now();
      await say(fixture.person, room, ...numbered(0, 130));
      const answer = await fixture.bot.sync({ since, timeoutMs: 0 });
      const joined = answer.joined.find((one) => one.room === room);
      if (!joined?.prevBatch) throw new Error('no timeline');
      expect(joined.limited).toBe(true);
      expect(joined.timeline.length).toBeLessThanOrEqual(100);
      const missed = await readGap(reader(fixture.bot), room, {
        from: since,
        to: joined.prevBatch,
        known: new Set(),
      });
      expect(bodies([...missed, ...joined.timeline])).toEqual(numbered(0, 130));
      const back = await readBack(reader(fixture.bot), room, {
        from: joined.prevBatch,
        until: ({ content }) => content['body'] === '10',
        limit: 1000,
      });
      expect(back.ended).toBe('found');
      expect(bodies([...back.events, ...joined.timeline])).toEqual(numbered(10, 130));
    });

    test('D5: no /sync is answered with what was stored for a token of the same device', async () => {
      const room = await sharedRoom();
      const since = await now();
      const heard = async (homeserver: Homeserver) =>
        bodies((await homeserver.sync({ since, timeoutMs: 0 })).joined.flatMap(({ timeline }) => timeline));
      await say(fixture.person, room, 'one');
      expect(await heard(fixture.bot)).toEqual(['one']);
      await say(fixture.person, room, 'two');
      expect(await heard(fixture.botAgain)).toEqual(['one', 'two']);
      expect(await heard(fixture.bot)).toEqual(['one', 'two']);
    });

    test('paging back ends at the create event', async () => {
      const room = await sharedRoom();
      await say(fixture.person, room, 'a', 'b');
      const back = await readBack(reader(fixture.bot), room, {
        from: await now(),
        until: () => false,
        limit: 1000,
      });
      expect(back.ended).toBe('start');
      expect(back.events[0]?.type).toBe('m.room.create');
      expect(bodies(back.events)).toEqual(['a', 'b']);
    });

    test('reading from an event gives it and everything after it', async () => {
      const room = await sharedRoom();
      const ids = await say(fixture.person, room, 'a', 'b', 'c', 'd');
      const from = await readFrom(reader(fixture.bot), room, ids[1] ?? '');
      expect(from.map(({ event_id }) => event_id)).toEqual(ids.slice(1));
      const last = await readFrom(reader(fixture.bot), room, ids[3] ?? '');
      expect(last.map(({ event_id }) => event_id)).toEqual(ids.slice(3));
    });

    test('paging forward to a token that lies behind gives nothing', async () => {
      const room = await sharedRoom();
      await say(fixture.person, room, 'a');
      const before = await now();
      await say(fixture.person, room, 'b', 'c');
      const gap = { from: await now(), to: before, known: new Set<string>() };
      expect(await readGap(reader(fixture.bot), room, gap)).toEqual([]);
    });

    test('a redacted event loses its content and names its redaction, which names it', async () => {
      const room = await sharedRoom();
      const [target = ''] = await say(fixture.bot, room, 'secret');
      const id = txn();
      const redaction = await fixture.bot.redact(room, target, id, 'gone');
      expect(await fixture.botAgain.redact(room, target, id, 'gone')).toBe(redaction);
      const event = await fixture.person.event(room, target);
      expect(event.content).toEqual({});
      expect(event.unsigned?.['redacted_because']).toMatchObject({ event_id: redaction });
      expect((await fixture.person.event(room, redaction)).redacts).toBe(target);
    });

    test('an invite comes without event ids; after the join replaces_state names it', async () => {
      const since = await now();
      const room = await fixture.person.createRoom({ preset: 'private_chat', invite: [fixture.botId] });
      const invited = (await fixture.bot.sync({ since, timeoutMs: 0 })).invited.find(
        (one) => one.room === room,
      );
      const own = invited?.state.find((event) => event.state_key === fixture.botId);
      expect(own).toMatchObject({ sender: fixture.personId, content: { membership: 'invite' } });
      await Promise.all([fixture.bot.join(room), fixture.botAgain.join(room)]);
      await fixture.bot.join(room);
      const state = await fixture.bot.roomState(room);
      const join = state.find((event) => event.type === 'm.room.member' && event.state_key === fixture.botId);
      expect(join?.content['membership']).toBe('join');
      const { event } = await fixture.bot.context(room, join?.event_id ?? '');
      const invite = await fixture.bot.event(room, String(event.unsigned?.['replaces_state']));
      expect(invite.content['membership']).toBe('invite');
      expect(await fixture.bot.joinedRooms()).toContain(room);
    });

    test('a room just joined comes with its newest events, as limited', async () => {
      const room = await fixture.person.createRoom({ preset: 'private_chat', invite: [fixture.botId] });
      await say(fixture.person, room, 'before');
      const since = await now();
      await fixture.bot.join(room);
      await say(fixture.person, room, 'after');
      const answer = await fixture.bot.sync({ since, timeoutMs: 0 });
      const joined = answer.joined.find((one) => one.room === room);
      expect(joined?.limited).toBe(true);
      expect(bodies(joined?.timeline ?? [])).toEqual(['before', 'after']);
    });

    test('of two rooms with one alias one is made, and the alias finds it', async () => {
      const local = `understudy-${run}`;
      const alias = `#${local}:${fixture.serverName}`;
      expect(await fixture.bot.resolveAlias(alias)).toBeUndefined();
      const made = await Promise.allSettled(
        [fixture.bot, fixture.botAgain].map((one) => one.createRoom({ room_alias_name: local })),
      );
      const won = made.filter((one) => one.status === 'fulfilled').map((one) => one.value);
      expect(won).toHaveLength(1);
      for (const lost of made) {
        if (lost.status !== 'rejected') continue;
        const { detail } = lost.reason as HomeserverError;
        expect([
          [400, 'M_ROOM_IN_USE'],
          [409, 'M_UNKNOWN'],
        ]).toContainEqual([detail.status, detail.errcode]);
      }
      expect(await fixture.botAgain.resolveAlias(alias)).toBe(won[0]);
      expect(await refusal(fixture.bot.createRoom({ room_alias_name: local }))).toEqual({
        code: 'refused',
        status: 400,
        errcode: 'M_ROOM_IN_USE',
      });
    });

    test('a long poll ends with the next event, with its timeout, or with our signal', async () => {
      const room = await sharedRoom();
      const since = await now();
      const poll = fixture.bot.sync({ since, timeoutMs: 10_000 });
      await say(fixture.person, room, 'wake up');
      expect(bodies((await poll).joined.flatMap(({ timeline }) => timeline))).toEqual(['wake up']);
      const later = (await fixture.bot.sync({ since, timeoutMs: 0 })).next_batch;
      const empty = await fixture.bot.sync({ since: later, timeoutMs: 50 });
      expect(empty.joined.flatMap(({ timeline }) => timeline)).toEqual([]);
      const controller = new AbortController();
      const given = refusal(
        fixture.bot.sync({ since: empty.next_batch, timeoutMs: 10_000, signal: controller.signal }),
      );
      controller.abort();
      expect((await given).code).toBe('aborted');
    });

    test('a first sync gives the room with its state', async () => {
      const room = await sharedRoom();
      const answer = await fixture.bot.sync({ timeoutMs: 0 });
      const joined = answer.joined.find((one) => one.room === room);
      const types = [...(joined?.state ?? []), ...(joined?.timeline ?? [])].map(({ type }) => type);
      expect(types).toContain('m.room.create');
      expect(types).toContain('m.room.power_levels');
    });

    test('who left is told so once, and sends no more', async () => {
      const room = await sharedRoom();
      await say(fixture.person, room, 'stay');
      const since = await now();
      expect(await refusal(fixture.bot.forget(room))).toMatchObject({ code: 'refused', status: 400 });
      await fixture.bot.leave(room);
      await fixture.bot.leave(room);
      await say(fixture.person, room, 'unseen');
      const left = (await fixture.bot.sync({ since, timeoutMs: 0 })).left.find((one) => one.room === room);
      expect(left?.timeline.at(-1)?.content['membership']).toBe('leave');
      expect(bodies(left?.timeline ?? [])).toEqual([]);
      expect(await refusal(fixture.bot.send(room, 'm.room.message', txn(), text('x')))).toEqual({
        code: 'refused',
        status: 403,
        errcode: 'M_FORBIDDEN',
      });
      await fixture.bot.forget(room);
      expect((await refusal(fixture.bot.messages(room, { dir: 'b' }))).status).toBe(403);
    });

    test('of state that others wrote a first /sync brings none, and of ours what is read', async () => {
      const state = (type: string, length: number) =>
        Array.from({ length }, (_, n) => ({ type, state_key: `k${n}`, content: { n } }));
      const filled = await fixture.person.createRoom({
        preset: 'private_chat',
        invite: [fixture.botId],
        initial_state: [...state('m.space.child', 60), ...state('dev.example.filler', 50)],
      });
      await fixture.bot.join(filled);
      const made = { 'dev.understudy.test': { a: 1 } };
      const own = await fixture.bot.createRoom({
        preset: 'private_chat',
        creation_content: made,
        initial_state: state('dev.example.filler', 110),
      });
      const { joined } = await fixture.bot.sync({ timeoutMs: 0 });
      const stateOf = (room: string) => joined.find((one) => one.room === room)?.state ?? [];
      expect(joined.map(({ room }) => room)).toEqual(expect.arrayContaining([filled, own]));
      // Synapse adds the members that wrote in the timeline, one each.
      const others = stateOf(filled).filter(({ sender }) => sender !== fixture.botId);
      expect(others.filter(({ type }) => type !== 'm.room.member')).toEqual([]);
      expect(others.length).toBeLessThanOrEqual(1);
      const create = stateOf(own).find(({ type }) => type === 'm.room.create');
      expect(create).toMatchObject({ sender: fixture.botId, content: made });
      expect(stateOf(own).filter(({ type }) => type === 'dev.example.filler')).toEqual([]);
    });

    test('one state event can be asked for whole', async () => {
      const room = await sharedRoom();
      const create = await fixture.bot.stateEvent(room, 'm.room.create', '');
      expect(create).toMatchObject({ type: 'm.room.create', state_key: '', sender: fixture.personId });
      expect(await fixture.bot.stateEvent(room, 'm.room.topic', '')).toBeUndefined();
      const elsewhere = await fixture.person.createRoom({ preset: 'private_chat' });
      expect((await refusal(fixture.bot.stateEvent(elsewhere, 'm.room.create', ''))).status).toBe(403);
    });

    test('power levels decide who may write what', async () => {
      const room = await fixture.bot.createRoom({
        preset: 'private_chat',
        invite: [fixture.personId],
        power_level_content_override: { events: { 'dev.understudy.ledger': 100 } },
        initial_state: [{ type: 'dev.understudy.test', state_key: 'k', content: { a: 1 } }],
      });
      await fixture.person.join(room);
      const forbidden = { code: 'refused', status: 403, errcode: 'M_FORBIDDEN' };
      expect(await refusal(fixture.person.send(room, 'dev.understudy.ledger', txn(), {}))).toEqual(forbidden);
      expect(await refusal(fixture.person.setState(room, 'm.room.name', '', { name: 'x' }))).toEqual(
        forbidden,
      );
      const state = await fixture.bot.roomState(room);
      expect(state.find(({ type }) => type === 'dev.understudy.test')).toMatchObject({
        state_key: 'k',
        content: { a: 1 },
      });
      const once = await fixture.bot.setState(room, 'm.room.name', '', { name: 'n' });
      expect(await fixture.bot.setState(room, 'm.room.name', '', { name: 'n' })).toBe(once);
    });

    test('an event that is too large is refused for good', async () => {
      const room = await sharedRoom();
      const answer = await refusal(fixture.bot.send(room, 'm.room.message', txn(), text('x'.repeat(70_000))));
      expect(answer).toEqual({ code: 'refused', status: 413, errcode: 'M_TOO_LARGE' });
    });

    test('an event or room that is not there is refused', async () => {
      const room = await sharedRoom();
      expect((await refusal(fixture.bot.event(room, '$nothing'))).status).toBe(404);
      expect((await refusal(fixture.bot.context(room, '$nothing'))).status).toBe(404);
      const elsewhere = await fixture.person.createRoom({ preset: 'private_chat' });
      expect((await refusal(fixture.bot.roomState(elsewhere))).status).toBe(403);
      expect((await refusal(fixture.bot.join(elsewhere))).status).toBe(403);
    });

    test('account data is the account’s, over all of its devices, and the last write stands', async () => {
      const type = `test.${run}`;
      expect(await fixture.bot.accountData(type)).toBeUndefined();
      await fixture.bot.setAccountData(type, { rooms: ['one'] });
      await fixture.elsewhere.setAccountData(type, { others: 1 });
      expect(await fixture.botAgain.accountData(type)).toEqual({ others: 1 });
      expect(await fixture.person.accountData(type)).toBeUndefined();
    });

    test('one’s own name in a room can be changed and read; state that is not there is undefined', async () => {
      const room = await sharedRoom();
      const called = { membership: 'join', displayname: 'Somebody' };
      await fixture.bot.setState(room, 'm.room.member', fixture.botId, called);
      const found = await fixture.bot.stateContent(room, 'm.room.member', fixture.botId);
      expect(found).toMatchObject(called);
      expect(await fixture.bot.stateContent(room, 'm.room.topic', '')).toBeUndefined();
    });

    test('a thread is read newest first, page after page, also what was written since it was last read', async () => {
      const room = await sharedRoom();
      const [root = '', other = ''] = await say(fixture.person, room, 'one', 'two');
      const reply = (to: string) => ({
        ...text('in it'),
        'm.relates_to': { rel_type: 'm.thread', event_id: to },
      });
      const thread = async (of: string) => {
        const ids: string[] = [];
        for (let from: string | undefined; ;) {
          const page = await fixture.bot.thread(room, of, from === undefined ? {} : { from });
          ids.push(...page.chunk.map(({ event_id }) => event_id));
          if (page.end === undefined) return ids;
          from = page.end;
        }
      };
      const write = (from: Homeserver, to: string) => from.send(room, 'm.room.message', txn(), reply(to));
      expect(await thread(root)).toEqual([]);
      const said = [await write(fixture.person, root), await write(fixture.bot, root)];
      expect(await thread(root)).toEqual([...said].reverse());
      expect(await thread(other)).toEqual([]);
      for (let n = 0; n < 110; n++) said.push(await write(fixture.person, root));
      expect(await thread(root)).toEqual([...said].reverse());
      await expect(fixture.bot.thread(room, '$nothing', {})).rejects.toMatchObject({ code: 'refused' });
    });

    test('an invite is declined by leaving, by whoever and however often', async () => {
      const room = await fixture.person.createRoom({ preset: 'private_chat', invite: [fixture.botId] });
      await Promise.all([fixture.bot.leave(room), fixture.botAgain.leave(room)]);
      const members = await fixture.person.roomState(room);
      const own = members.find(
        ({ type, state_key }) => type === 'm.room.member' && state_key === fixture.botId,
      );
      expect(own?.content['membership']).toBe('leave');
    });

    test('typing and receipts are taken', async () => {
      const room = await sharedRoom();
      const [id = ''] = await say(fixture.person, room, 'x');
      await fixture.bot.typing(room, true, 1000);
      await fixture.bot.typing(room, false, 0);
      await fixture.bot.readReceipt(room, id);
    });

    describe('an inbox on it', () => {
      const inboxes: Inbox[] = [];
      afterAll(async () => {
        for (const inbox of inboxes) await inbox.stop();
      });

      test('hands on every message of a gap of 130 once and in order, and is caught up when it says so', async () => {
        const room = await sharedRoom();
        const since = await now();
        await say(fixture.person, room, ...numbered(0, 130));
        const batches: Batch[] = [];
        const inbox = new Inbox({
          homeserver: fixture.bot,
          clock: systemClock,
          log: silentLog,
          since,
          readBefore: nothingBefore,
          onBatch: async (batch) => void batches.push(batch),
        });
        inboxes.push(inbox);
        const got = () =>
          bodies(
            batches.flatMap(({ rooms }) =>
              rooms.filter((one) => one.room === room).flatMap((one) => one.events),
            ),
          );
        inbox.start();
        await inbox.catchUp();
        expect(got()).toEqual(numbered(0, 130));
        await say(fixture.person, room, '130', '131');
        await inbox.catchUp();
        expect(got()).toEqual(numbered(0, 132));
        expect(batches.every(({ rooms }) => rooms.every(({ filled }) => filled))).toBe(true);
      });
    });
  });
}
