import { expect, test } from 'vitest';
import type { EditPolicy } from '../../src/bot/edits.js';
import { stepKey } from '../../src/bot/surface/platform-key.js';
import { killAfter } from '../simulation/boundaries.js';
import { PATIENCE, type World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { of, setting } from './setting.js';

/** Two replicas; what begins with "long" takes the agent 7 s; what the platform was asked is in `asked`. */
async function edited(onEdit: EditPolicy = 'ignore', prepare: (world: World) => void = () => {}) {
  const made = await setting((world) => {
    world.settings.onEdit = onEdit;
    world.platform.forgetful = false;
    world.platform.answer = ({ text }) => ({
      text: `re: ${text}`,
      takesMs: text.startsWith('long') ? 7_000 : 5,
    });
    prepare(world);
  });
  const asked = () => made.world.platform.invocations.map(({ text }) => text);
  /** The room is busy, so that what is said next is not begun yet. */
  const busy = async () => {
    await made.world.asks(made.alice, made.room, 'long', { token: 're: long' });
    await made.world.until(() => made.world.platform.invocations.length === 1);
  };
  return { ...made, asked, busy };
}

test('C1-edited: a prompt that was edited before it was begun is taken in its newest form', async () => {
  const { world, alice, room, asked, busy } = await edited();
  await busy();
  const prompt = await world.asks(alice, room, 'first', { token: 're: third' });
  await alice.edits(room, prompt, 'second');
  await alice.edits(room, prompt, 'third');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(asked()).toEqual(['long', 'third']);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-edited: also where a replica starts anew and reads both, and where the room has a gap', async () => {
  const { world, alice, room, asked, busy } = await edited();
  await busy();
  const prompt = await world.asks(alice, room, 'first', { token: 're: second' });
  for (const replica of world.replicas) replica.kill();
  world.server.timelineLimit = 2;
  await alice.edits(room, prompt, 'second');
  for (let n = 0; n < 5; n += 1) await alice.sends(room, { msgtype: 'm.notice', body: `noise ${n}` });
  for (const replica of world.replicas) world.restart(replica);
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(asked().slice(-1)).toEqual(['second']);
  expect(world.verdict()).toBe('');
});

test('C1-spoofed: an edit by somebody else, of something else, or without a text changes nothing', async () => {
  const { world, alice, room, asked, busy } = await edited();
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.client.join(room);
  await busy();
  const prompt = await world.asks(alice, room, 'mine', { token: 're: mine' });
  await bob.edits(room, prompt, 'of bob');
  const relation = { rel_type: 'm.replace', event_id: prompt };
  for (const content of [null, 'text', [], {}, { msgtype: 'm.text' }, { msgtype: 1, body: 'x' }]) {
    await alice.sends(room, {
      msgtype: 'm.text',
      body: '*',
      'm.new_content': content,
      'm.relates_to': relation,
    });
  }
  const own = await alice.edits(room, 'no event', 'nothing');
  await alice.edits(room, own, 'an edit of an edit');
  const state = { msgtype: 'm.text', body: '*', 'm.new_content': { msgtype: 'm.text', body: 'state' } };
  await alice.client.setState(room, 'm.room.message', '', { ...state, 'm.relates_to': relation });
  const other = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await quiet(world, () => world.server.room(other).membership(world.bot) === 'join');
  await alice.edits(other, prompt, 'from another room');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(asked()).toEqual(['long', 'mine']);
  expect(world.verdict([room])).toBe('');
});

test('C1-away: what was edited away before it was begun is dropped, and so is what was redacted', async () => {
  const { world, alice, room, asked, busy } = await edited();
  await busy();
  const empty = await alice.says(room, 'first');
  await alice.edits(room, empty, ' ');
  const notice = await alice.says(room, 'second');
  await alice.edits(room, notice, 'of no matter', { msgtype: 'm.notice' });
  const redacted = await alice.says(room, 'third');
  await alice.redacts(room, redacted);
  const back = await world.asks(alice, room, 'fourth', { token: 're: fourth' });
  await alice.redacts(room, await alice.edits(room, back, 'fifth'));
  await quiet(world, () => answerTo(world, room, back) !== '');
  expect(asked()).toEqual(['long', 'fourth']);
  for (const prompt of [empty, notice, redacted]) expect(answerTo(world, room, prompt)).toBe('');
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-command: an edit makes a command of a prompt and a prompt of a command, until it is begun', async () => {
  const { world, alice, room, asked, busy } = await edited();
  await busy();
  const one = await world.asks(alice, room, 'hello', { token: 'platform_chat_id' });
  const two = await world.asks(alice, room, 'there', { token: 're: there again' });
  await alice.edits(room, two, '!context');
  await alice.edits(room, two, 'there again');
  await alice.edits(room, one, '!context');
  await quiet(world, () => answerTo(world, room, two) !== '');
  await alice.edits(room, one, '!rename Late');
  await quiet(world);
  expect(asked()).toEqual(['long', 'there again']);
  expect(world.verdict()).toBe('');
});

test('C1-ahead: a prompt that waits behind a run and is edited into !cancel passes ahead of it', async () => {
  const { world, alice, room } = await edited();
  await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 1);
  const prompt = await world.asks(alice, room, 'stop', { token: 'Asked the agent to stop.' });
  await alice.edits(room, prompt, '!cancel');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('C1-begun: an edit that comes when it is begun leads to nothing, whoever takes it over', async () => {
  const { world, alice, room, first, asked } = await edited();
  const boundary = killAfter(world, first, 1);
  const prompt = await world.asks(alice, room, 'first', { token: 're: first' });
  await world.until(boundary.killed);
  await alice.edits(room, prompt, 'second');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(asked()).toEqual(['first']);
  await alice.edits(room, prompt, 'third');
  await quiet(world);
  expect(asked()).toEqual(['first']);
  expect(world.verdict()).toBe('');
});

test('P1-edited: one replica saw the edit and the other did not: what was asked first is answered', async () => {
  const { world, alice, room, first, asked } = await edited();
  world.hub.down();
  world.linked = false;
  const answer = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  const prompt = await world.asks(alice, room, 'first', { token: 're: first' });
  await world.until(() => answer.used);
  await alice.edits(room, prompt, 'second');
  await world.until(() => answerTo(world, room, prompt) !== '', 4 * PATIENCE);
  answer.release();
  world.linked = true;
  world.healRelay();
  await quiet(world);
  expect(asked()).toEqual(['first']);
  expect(world.verdict()).toBe('');
});

test('C1-again: each edit of an answered prompt is answered once more, once over all replicas, in order', async () => {
  const { world, alice, room, first, asked } = await edited('answer-again');
  const prompt = await alice.says(room, 'first');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  await world.asks(alice, room, 'long', { token: 're: long' });
  await world.until(() => world.platform.invocations.length === 2);
  const edit = await alice.edits(room, prompt, 'second');
  await world.asks(alice, room, 'after', { token: 're: after' });
  first.kill();
  await quiet(world, () => asked().length === 4);
  expect(asked()).toEqual(['first', 'long', 'second', 'after']);
  expect(world.platform.invocations[2]?.key).toBe(stepKey(edit, 'send'));
  expect(answerTo(world, room, prompt)).toBe('re: firstre: second');
  world.restart(first);
  await quiet(world, () => first.up && first.life.started === 'started');
  const later = await alice.edits(room, prompt, 'third');
  await quiet(world, () => asked().length === 5);
  await alice.redacts(room, later);
  await quiet(world);
  expect(answerTo(world, room, prompt)).toBe('re: firstre: secondre: third');
  for (const text of [/^re: first$/, /^re: second$/, /^re: third$/]) world.messages.push({ room, text });
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-form: an edit that its prompt was answered in is owed nothing more, nor one before it', async () => {
  const { world, alice, room, asked, busy } = await edited('answer-again');
  await busy();
  const prompt = await world.asks(alice, room, 'first', { token: 're: third' });
  await alice.edits(room, prompt, 'second');
  await world.clock.advance(10);
  await alice.edits(room, prompt, 'third');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(asked()).toEqual(['long', 'third']);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-done: an edit carries no command out, and no message of a command or of others is answered again', async () => {
  const { world, alice, room, asked } = await edited('answer-again');
  const prompt = await world.asks(alice, room, 'first', { token: 're: first' });
  const command = await world.asks(alice, room, '!context', { token: 'platform_chat_id' });
  await quiet(world, () => answerTo(world, room, command) !== '');
  await alice.edits(room, prompt, '!archive');
  await alice.edits(room, command, 'not a command');
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.client.join(room);
  await bob.edits(room, prompt, 'of bob');
  const own = world.sent(room)[0]?.event_id ?? '';
  await alice.edits(room, own, 'of what the bot said');
  await alice.edits(room, '$nowhere', 'of nothing');
  await quiet(world);
  expect(asked()).toEqual(['first']);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});
