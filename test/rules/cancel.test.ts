import { expect, test } from 'vitest';
import { answerTo, quiet } from '../surface/setting.js';
import { of, setting } from './setting.js';

const slow = () =>
  setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text, takesMs: text.startsWith('long') ? 40_000 : 5 });
  });

test('O6-cancel: !cancel passes ahead of the run that it ends', async () => {
  const { world, alice, room } = await slow();
  const long = await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.asks(alice, room, 'next', { token: 'next' });
  await world.until(() => world.platform.invocations.length === 1);
  await world.asks(alice, room, '!cancel', { token: 'Asked the agent to stop.' });
  await quiet(world, () => answerTo(world, room, long) !== '');
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
  expect(world.platform.cancelled).toHaveLength(1);
});

test('O6-elsewhere: a run is cancelled by a replica other than the one that follows it', async () => {
  const { world, alice, room, first } = await slow();
  const long = await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 1);
  world.hub.down();
  world.linked = false;
  const stuck = world.server.hold(of(first, 'context'), 'before');
  const cancel = await world.asks(alice, room, '!cancel', { token: 'Asked the agent to stop.' });
  await world.until(() => stuck.used);
  await world.until(() => answerTo(world, room, cancel) !== '' && answerTo(world, room, long) !== '');
  stuck.release();
  world.linked = true;
  world.healRelay();
  await quiet(world);
  expect(world.verdict()).toBe('');
  expect(world.platform.cancelled).toHaveLength(1);
});

test('O6-same: who takes a !cancel over means the same run, and none that waited behind it', async () => {
  const { world, alice, room, first } = await slow();
  await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 1);
  const next = await world.asks(alice, room, 'long next', { token: 'long next' });
  // Nobody offers the other what is to be answered.
  world.hub.down();
  world.linked = false;
  const ofFirst = of(first, 'send');
  const answer = world.server.hold(
    (request) => ofFirst(request) && String(request.content?.['body']).startsWith('Asked'),
    'before',
  );
  const cancel = await world.asks(alice, room, '!cancel', { token: 'Asked the agent to stop.' });
  await world.until(() => answer.used && world.platform.invocations.length === 2);
  await world.until(() => answerTo(world, room, cancel) !== '');
  answer.release();
  await world.until(() => answerTo(world, room, next) !== '');
  world.linked = true;
  world.healRelay();
  await quiet(world);
  expect(world.verdict()).toBe('');
  expect(world.platform.cancelled).toHaveLength(1);
});
