import { expect, test } from 'vitest';
import { killAfter } from '../simulation/boundaries.js';
import type { World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { asked, asking, questions } from './asking.js';
import { stepOf } from './edits.js';
import { of } from './setting.js';

const CLOSED = 'May I?\n\nClosed: the message was deleted.';

const closings = (world: World, room: string) =>
  world.sent(room).filter((event) => stepOf(event) === 'approval/1/decided').length;

/** A question closes once, and the room gets no answer. */
async function closedOnce(world: World, room: string, prompt: string) {
  await quiet(world, () => questions(world, room).every(({ body }) => body === CLOSED));
  expect(questions(world, room)).toHaveLength(1);
  expect(closings(world, room)).toBe(1);
  expect(world.platform.cancelled.length).toBeGreaterThan(0);
  expect(world.actorProblems()).toEqual([]);
  expect(answerTo(world, room, prompt)).toBe(CLOSED);
}

test('C1-question: a prompt that is redacted while its agent asks has its question closed, once', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt, question } = await asked(setting);
  await world.until(() => world.history(room).filter(({ type }) => type === 'm.reaction').length === 3);
  await alice.redacts(room, prompt);
  await closedOnce(world, room, prompt);
  // A late decision finds nothing to decide on.
  await alice.reacts(room, question, '✅');
  await quiet(world);
  expect(closings(world, room)).toBe(1);
  expect(world.platform.decided).toHaveLength(0);
});

test('C1-question: where a placeholder stands too, the question is closed before that is ended', async () => {
  const setting = await asking((made) => (made.settings.placeholderAfterMs = 500));
  const { world, alice, room } = setting;
  const { prompt } = await asked(setting);
  await world.clock.advance(5000);
  await alice.redacts(room, prompt);
  await quiet(world, () => world.sent(room).some((event) => stepOf(event) === 'final'));
  const steps = world.sent(room).map(stepOf);
  expect(steps.filter((step) => step.endsWith('/decided'))).toHaveLength(1);
  expect(steps.indexOf('approval/1/decided')).toBeLessThan(steps.indexOf('final'));
  expect(questions(world, room)).toMatchObject([{ body: CLOSED }]);
});

test('C1-question: killed after each write from the redaction on, and taken over: closed once all the same', async () => {
  let kills = 0;
  for (let n = 1; n <= 12; n += 1) {
    const setting = await asking();
    const { world, alice, room, first } = setting;
    const { prompt } = await asked(setting);
    await world.clock.advance(1000);
    const boundary = killAfter(world, first, n);
    await alice.redacts(room, prompt);
    await closedOnce(world, room, prompt);
    boundary.lift();
    if (!boundary.killed()) break;
    kills += 1;
    world.restart(first);
    await quiet(world, () => first.up && first.life.started === 'started');
    await closedOnce(world, room, prompt);
  }
  // The cancelling, the closing, the mark.
  expect(kills).toBeGreaterThanOrEqual(3);
  expect(kills).toBeLessThan(12);
});

test('C1-late-question: a question that lands when its prompt is dropped already is closed, once', async () => {
  const setting = await asking();
  const { world, alice, room, first } = setting;
  const late = world.server.hold(of(first, 'send', /^approval\/1$/), 'before');
  const prompt = await alice.says(room, 'ask');
  await world.until(() => late.used);
  first.kill();
  await alice.redacts(room, prompt);
  await quiet(world);
  expect(questions(world, room)).toEqual([]);
  late.release();
  await closedOnce(world, room, prompt);
  world.restart(first);
  await quiet(world, () => first.up && first.life.started === 'started');
  expect(closings(world, room)).toBe(1);
});

test('C1-late-question: a placeholder lands when its prompt is dropped already, and then the question', async () => {
  const setting = await asking((made) => (made.settings.placeholderAfterMs = 500));
  const { world, alice, room, first } = setting;
  const placeholder = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  const question = world.server.hold(of(first, 'send', /^approval\/1$/), 'before');
  const prompt = await alice.says(room, 'ask');
  await world.until(() => placeholder.used && question.used);
  first.kill();
  await alice.redacts(room, prompt);
  await quiet(world);
  placeholder.release();
  await quiet(world, () => world.sent(room).some((event) => stepOf(event) === 'final'));
  question.release();
  await quiet(world, () => questions(world, room).some(({ body }) => body === CLOSED));
  await world.clock.advance(10_000);
  expect(closings(world, room)).toBe(1);
  expect(world.sent(room).filter((event) => stepOf(event) === 'final')).toHaveLength(1);
});

test('C1-late-question: a question that lands when its placeholder was ended already is closed, once', async () => {
  const setting = await asking((made) => (made.settings.placeholderAfterMs = 500));
  const { world, alice, room, first } = setting;
  const late = world.server.hold(of(first, 'send', /^approval\/1$/), 'before');
  const prompt = await alice.says(room, 'ask');
  await world.until(() => late.used && world.sent(room).some((event) => stepOf(event) === 'anchor'));
  first.kill();
  await alice.redacts(room, prompt);
  await quiet(world, () => world.sent(room).some((event) => stepOf(event) === 'final'));
  late.release();
  await quiet(world, () => questions(world, room).some(({ body }) => body === CLOSED));
  world.restart(first);
  await quiet(world, () => first.up && first.life.started === 'started');
  await world.clock.advance(10_000);
  expect(closings(world, room)).toBe(1);
});
