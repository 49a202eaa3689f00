import { expect, test } from 'vitest';
import { MOST_KEPT } from '../../src/bot/kept-sources.js';
import { transactionId } from '../../src/delivery/txn.js';
import { PATIENCE } from '../simulation/world.js';
import { alone, inParts, longText, of, setting, whole } from './setting.js';

test('D1: two replicas that both send write one register, and the homeserver has one event', async () => {
  const { world, alice, room, first, second } = await setting();
  world.hub.down();
  const held = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello');
  await world.until(() => held.used);
  await world.until(() => world.sent(room).length > 0, 3 * PATIENCE);
  expect(world.requests(of(second, 'send'))).not.toHaveLength(0);
  held.release();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('D1: the transaction id is a function of format, source and step', () => {
  expect(transactionId('$a', 'anchor')).toBe(transactionId('$a', 'anchor', 1));
  const others = [
    transactionId('$a', 'final'),
    transactionId('$b', 'anchor'),
    transactionId('$a', 'anchor', 2),
  ];
  expect(new Set([transactionId('$a', 'anchor'), ...others]).size).toBe(4);
});

test('D2: who loses the race reads what won and goes on from that', async () => {
  const { world, alice, room, first, second } = await setting(inParts(2));
  world.hub.down();
  const late = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 2)));
  await world.until(() => late.used);
  // The loser does not hear of the winner's event before its own send is answered.
  world.server.hold(of(first, 'sync'), 'after');
  const secondPart = world.server.hold(of(second, 'send', /\/2$/), 'before');
  await world.until(() => secondPart.used);
  secondPart.drop();
  second.kill();
  late.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D3-anchor: an answer begins with one step, whatever the text', async () => {
  const { world, alice, room, first } = await setting();
  world.hub.down();
  const held = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => held.used);
  await world.until(() => world.sent(room).length > 0, 3 * PATIENCE);
  held.release();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('D3-parts: who holds a text sends the parts that its sender did not', async () => {
  const { world, alice, room, first } = await setting(inParts(3));
  const held = world.server.hold(of(first, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 3)));
  await world.until(() => held.used);
  held.drop();
  first.kill();
  await world.settleAll(30_000);
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('D3-order: a part is sent only after the part before it stands in the room', async () => {
  const { world, alice, room, only } = await alone(inParts(3));
  const held = world.server.hold(of(only, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 3)));
  await world.until(() => held.used);
  await world.clock.advance(2000);
  expect(world.sent(room)).toHaveLength(1);
  held.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D3-first: the first text whose parts are all there stays, and a later round is repaired', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    const later = made.platform.answer;
    made.platform.answer = (prompt, n) =>
      n === 1 ? { text: longText(`${prompt.text} by run 1`, 2) } : later(prompt, n);
    made.hub.delay = ({ topic }) => (topic === 'frozen' ? undefined : 1);
  });
  const part = world.server.hold(of(first, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 2)));
  await world.until(() => part.used);
  first.kill();
  const round = world.server.hold(of(second, 'send', /^final\//), 'before');
  await world.until(() => round.used);
  part.release();
  await world.clock.advance(5);
  round.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D3-orphans: parts of a text that another overtook are redacted', async () => {
  const { world, alice, room, first } = await setting((made) => {
    inParts(2)(made);
    made.hub.delay = ({ topic }) => (topic === 'frozen' ? undefined : 1);
  });
  const part = world.server.hold(of(first, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 2', 2)));
  await world.until(() => part.used);
  first.kill();
  await world.settleAll();
  part.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D3-ask: who would begin a round asks the peers for the text first', async () => {
  const { world, alice, room, first } = await setting((made) => {
    inParts(2)(made);
    made.hub.delay = ({ topic }) => (topic === 'frozen' ? undefined : 1);
  });
  const part = world.server.hold(of(first, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 2)));
  await world.until(() => part.used);
  part.drop();
  first.life.client.cutOff();
  await world.clock.advance(20_000);
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('D4-journal: a text is frozen in the journal before its first final send', async () => {
  const { world, alice, room, only } = await alone(inParts(2));
  const part = world.server.hold(of(only, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 2)));
  await world.until(() => part.used);
  part.drop();
  only.kill();
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('D4-peers: a text is offered to the peers before its first final send', async () => {
  const { world, alice, room, first } = await setting();
  const send = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.until(() => send.used);
  send.drop();
  first.kill();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('D5-fence: after a thaw nothing is sent before the room was read up to now', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs: 1000 });
  });
  await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.clock.advance(500);
  first.freeze();
  // The answer to its long poll is slow.
  world.server.hold(of(first, 'sync'), 'after');
  await world.until(() => world.sent(room).length === 1);
  world.server.forgetTransactions();
  await world.clock.advance(1000);
  first.thaw();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('D5-start: after a start nothing is sent before the room was read up to now', async () => {
  const { world, alice, room, first, second } = await setting();
  const send = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello');
  await world.until(() => send.used);
  send.drop();
  first.kill();
  await world.until(() => world.sent(room).length === 1);
  await world.clock.advance(100);
  second.kill();
  world.linked = false;
  world.server.forgetTransactions();
  first.start();
  const slow = world.server.hold(of(first, 'sync'), 'after');
  await world.clock.advance(5000);
  slow.release();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('D5-lookback: what was begun before a start is looked for from the prompt on', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs: 4000 });
  });
  await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => world.sent(room).length === 1);
  await world.clock.advance(200);
  first.kill();
  second.kill();
  world.server.forgetTransactions();
  second.start();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D6: a replica that is not the delivery device reads and does not send, and says so', async () => {
  const { world, alice, room, first, second } = await setting();
  first.obstacle = 'this token is of another device';
  await world.clock.advance(1000);
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.requests(of(first, 'send'))).toHaveLength(0);
  expect(world.requests(of(second, 'send'))).toHaveLength(1);
  expect(first.bot.readiness()).toEqual(['this token is of another device']);
});

test('D7: a stream edit that lands after the final text is repaired', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }, n) => ({
      text: `${text} by run ${n}`,
      takesMs: 4000,
      deltas: ['one', 'two'],
    });
  });
  const edit = world.server.hold(of(first, 'send', /^stream/), 'before');
  await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => edit.used);
  first.kill();
  await world.settleAll();
  edit.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D7-reopen: an event of a source that was settled long ago reopens the look at it', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }, n) => ({
      text: `${text} by run ${n}`,
      takesMs: 4000,
      deltas: ['one', 'two'],
    });
  });
  const edit = world.server.hold(of(first, 'send', /^stream/), 'before');
  const prompt = await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => edit.used);
  first.kill();
  await world.settleAll();
  await world.asks(alice, room, 'another');
  await world.clock.advance(150_000);
  await world.asks(alice, room, 'and one more');
  await world.settleAll();
  expect(second.bot.engine.get(prompt)).toBeUndefined();
  edit.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D7-kept: a busy room keeps no more settled sources in memory, and a late edit of one that went is repaired', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }, n) => ({
      text: `${text} by run ${n}`,
      ...(text === 'hello' && { takesMs: 4000, deltas: ['one', 'two'] }),
    });
  });
  const edit = world.server.hold(of(first, 'send', /^stream/), 'before');
  const prompt = await world.asks(alice, room, 'hello', { text: 'hello by run 2' });
  await world.until(() => edit.used);
  first.kill();
  await world.settleAll();
  first.start();
  const begin = world.clock.now();
  for (let n = 0; n < MOST_KEPT + 20; n += 1) await world.asks(alice, room, `number ${n}`);
  await world.settleAll();
  // Not because so much time has passed.
  expect(world.clock.now() - begin).toBeLessThan(100_000);
  for (const { bot } of world.replicas) expect([...bot.engine.all()].length).toBeLessThanOrEqual(MOST_KEPT);
  expect(second.bot.engine.get(prompt)).toBeUndefined();
  edit.release();
  await world.settleAll();
  expect(world.verdict()).toBe('');
}, 600_000);

test('D8: a mark counts only on an event of our own user', async () => {
  const { world, alice, room, only } = await alone();
  only.kill();
  const prompt = await world.asks(alice, room, 'hello');
  const mark = { source: prompt, step: 'anchor', final: true, epoch: 0, replica: 'r0' };
  const text = { hash: 'h', parts: 1, part: 1 };
  const fake = { msgtype: 'm.notice', body: 'fake', 'dev.understudy.delivery': { ...mark, text } };
  await alice.sends(room, fake);
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D8-redacted: a settled mark outlives the redaction of the answer', async () => {
  const { world, alice, room, only } = await alone();
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  const [answer] = world.sent(room);
  await alice.redacts(room, answer?.event_id ?? '');
  only.kill();
  only.wipe();
  world.server.forgetTransactions();
  world.restart(only);
  await world.settleAll();
  expect(world.seen(room)).toHaveLength(0);
  expect(world.platform.invocations).toHaveLength(1);
});

test('D10: a second event under one step is redacted', async () => {
  const { world, alice, room, first } = await setting();
  const held = world.server.hold(of(first, 'send'), 'before');
  await world.asks(alice, room, 'hello');
  await world.until(() => held.used);
  first.kill();
  await world.until(() => world.sent(room).length === 1);
  world.server.forgetTransactions();
  held.release();
  await world.clock.advance(10);
  expect(world.sent(room)).toHaveLength(2);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D2-redacted: a step whose event was redacted meanwhile settles its source', async () => {
  const { world, alice, room, first } = await setting(inParts(3));
  const third = world.server.hold(of(first, 'send', /\/3$/), 'before');
  const prompt = await world.asks(alice, room, 'hello', whole(longText('hello by run 1', 3)));
  await world.until(() => third.used);
  third.drop();
  const part = world.sent(room)[1]?.event_id ?? '';
  await alice.redacts(room, part);
  first.kill();
  await world.settleAll(60_000);
  expect(world.seen(room).map(({ inReplyTo }) => inReplyTo)).toEqual([prompt]);
  expect(world.platform.invocations).toHaveLength(1);
});
