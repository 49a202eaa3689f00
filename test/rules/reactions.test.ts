import { expect, test } from 'vitest';
import { readReaction } from '../../src/bot/approvals/reaction.js';
import { answerTo, quiet } from '../surface/setting.js';
import { asked, asking } from './asking.js';
import { of } from './setting.js';

const reaction = (content: Record<string, unknown>) =>
  readReaction({ event_id: '$r', type: 'm.reaction', sender: '@a:b', origin_server_ts: 0, content });
const marks = (key: unknown, event_id: unknown = '$a', rel_type: unknown = 'm.annotation') =>
  reaction({ 'm.relates_to': { rel_type, event_id, key } });

test('a reaction says the same however it looks, and nothing where it is malformed', () => {
  for (const key of ['♾', '♾️', '♾︎']) expect(marks(key)?.sign).toBe('always');
  for (const key of ['👍', '👍🏽', '👍🏿️', '✅', '✅️']) expect(marks(key)?.sign).toBe('approve');
  for (const key of ['👎🏻', '❌']) expect(marks(key)?.sign).toBe('deny');
  expect(marks('🛑')?.sign).toBe('stop');
  for (const key of ['', 'yes', '🎉', '✅✅', `✅${'️'.repeat(100)}`, 7, null, ['✅'], { toString: '✅' }])
    expect(marks(key)).toBeUndefined();
  for (const target of ['', '$', 'a', `$${'a'.repeat(255)}`, '$a b', '$a\n', 7, null])
    expect(marks('✅', target)).toBeUndefined();
  expect(marks('✅', '$a', 'm.thread')).toBeUndefined();
  for (const relation of [null, 7, 'x', [], undefined])
    expect(reaction({ 'm.relates_to': relation })).toBeUndefined();
});

test('C1-reactions: a reaction to what is no question of ours is no source, and nothing is asked for it', async () => {
  const { world, alice, room, first } = await asking();
  const prompt = await world.asks(alice, room, 'hello');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  const [answer] = world.seen(room);
  const [before, sources] = [world.requests(of(first, 'event')).length, marksOf(first)];
  for (const target of [prompt, answer?.eventId ?? ''])
    for (const key of ['👍', '❌', '🎉', '🛑']) await alice.reacts(room, target, key);
  for (const content of [{}, { 'm.relates_to': null }, { 'm.relates_to': { rel_type: 'm.annotation' } }])
    await alice.sends(room, content, 'm.reaction');
  await world.clock.advance(30_000);
  await quiet(world);
  expect(world.requests(of(first, 'event'))).toHaveLength(before);
  expect(marksOf(first)).toBe(sources);
  expect(world.verdict()).toBe('');
});

test('C1-reactions: a reaction to an event that is not known is looked up once, and answered by nothing', async () => {
  const { world, alice, room, first, second } = await asking();
  const prompt = await world.asks(alice, room, 'hello');
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  for (const one of [first, second]) one.kill();
  for (const one of [first, second]) world.restart(one);
  await quiet(world);
  for (let n = 0; n < 3; n += 1) {
    await world
      .person(`person${n}`)
      .client.join(room)
      .catch(() => undefined);
    await alice.reacts(room, prompt, ['👍', '✅', '❌'][n] ?? '');
    await world.clock.advance(1000);
    await quiet(world);
  }
  await alice.reacts(room, '$nothing:sim.test', '👍');
  await quiet(world);
  const asks = world.happened.filter(({ event }) => event === 'reaction-target');
  expect(asks.length).toBeGreaterThan(0);
  expect(asks.length).toBeLessThanOrEqual(4);
  expect(world.platform.decided).toEqual([]);
  expect(world.verdict()).toBe('');
});

test('P5-stop: 🛑 on a prompt or on its placeholder ends exactly that run', async () => {
  const { world, alice, room } = await asking((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = ({ text }) => ({ text, takesMs: text.startsWith('long') ? 60_000 : 5 });
  });
  const one = await world.asks(alice, room, 'long one', { token: 'Cancelled.' });
  const next = await world.asks(alice, room, 'long next', { token: 'Cancelled.' });
  const last = await world.asks(alice, room, 'last');
  await world.until(() => world.seen(room).length === 1);
  await alice.reacts(room, next, '🛑');
  await world.until(() => world.platform.cancelled.length === 1);
  expect(answerTo(world, room, one)).toBe('…');
  await alice.reacts(room, world.seen(room)[0]?.eventId ?? '', '🛑');
  await quiet(world, () => answerTo(world, room, last) !== '');
  expect(world.platform.cancelled).toHaveLength(2);
  expect(world.verdict()).toBe('');
});

test('P5-stop: 🛑 on the placeholder counts also for replicas that were started since', async () => {
  const setting = await asking((made) => (made.settings.placeholderAfterMs = 500));
  const { world, alice, room, first, second } = setting;
  const { prompt, question } = await asked(setting);
  world.answers[0]!.token = 'Cancelled.';
  await world.until(() => world.seen(room).length === 2);
  const placeholder = world.seen(room).find(({ eventId }) => eventId !== question)?.eventId ?? '';
  for (const one of [first, second]) one.kill();
  await alice.reacts(room, placeholder, '🛑');
  for (const one of [first, second]) world.restart(one);
  await quiet(world, () => answerTo(world, room, prompt).includes('Cancelled.'));
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

const marksOf = ({ life }: { life: { state: { all: () => { kind: string }[] } } }): number =>
  life.state.all().filter(({ kind }) => kind === 'mark').length;
