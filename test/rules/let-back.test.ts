import { expect, test } from 'vitest';
import type { SimulatedPerson } from '../simulation/person.js';
import type { World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { asked, asking, questions } from './asking.js';
import { stepOf } from './edits.js';
import { of, setting } from './setting.js';

const FORBIDDEN = 'This was not answered: I could not write here.';
const CLOSED = 'May I?\n\nClosed: it is over.';

/** A run of alice's whose placeholder shows. */
async function shown(takesMs = 60_000) {
  const made = await setting((world) => {
    world.settings.placeholderAfterMs = 1000;
    world.platform.forgetful = false;
    world.platform.answer = ({ text }) => ({ text: `re: ${text}`, takesMs: text === 'long' ? takesMs : 5 });
  });
  const { world, alice, room } = made;
  const prompt = await alice.says(room, 'long');
  await world.until(() => world.seen(room).length === 1);
  return { ...made, prompt };
}

async function outOf(world: World, alice: SimulatedPerson, room: string): Promise<void> {
  await alice.client.setState(room, 'm.room.member', world.bot, { membership: 'leave' });
  await quiet(world);
}

async function backIn(world: World, alice: SimulatedPerson, room: string): Promise<void> {
  await alice.client.invite(room, world.bot);
  await world.until(() => world.server.room(room).membership(world.bot) === 'join');
}

/** From now on a power level of that much is needed to write. */
const needs = (alice: SimulatedPerson, room: string, events_default: number) =>
  alice.client.setState(room, 'm.room.power_levels', '', { users: { [alice.mxid]: 100 }, events_default });

async function restartAll(world: World): Promise<void> {
  for (const replica of world.replicas) replica.kill();
  for (const replica of world.replicas) world.restart(replica);
  await world.until(() => world.replicas.every(({ up, life }) => up && life.started === 'started'));
}

const finals = (world: World, room: string) =>
  world.sent(room).filter((event) => stepOf(event) === 'final').length;

const sends = (world: World, room: string) =>
  world.requests(({ user, call, room: of }) => user === world.bot && call === 'send' && of === room).length;

test.each([false, true])(
  'C1-let-back: a placeholder that stood when the bot was taken out is ended when it is back (restarted: %s)',
  async (restarted) => {
    const { world, alice, room, prompt } = await shown();
    await outOf(world, alice, room);
    if (restarted) await restartAll(world);
    await quiet(world);
    expect(answerTo(world, room, prompt)).not.toBe(FORBIDDEN);
    await backIn(world, alice, room);
    const next = await alice.says(room, 'back');
    await quiet(world, () => answerTo(world, room, next) === 're: back');
    expect(answerTo(world, room, prompt)).toBe(FORBIDDEN);
    expect(finals(world, room)).toBe(1);
    expect(world.platform.cancelled).toHaveLength(1);
    expect(world.actorProblems()).toEqual([]);
    for (const { life } of world.replicas) expect(life.journal.state.sources.size).toBe(0);
  },
);

/** Until its answer was refused. */
const isRefused = (world: World) => () => world.happened.some(({ outcome }) => outcome === 'forbidden');

test('C1-rarely: an answer that its room refuses is tried ever more rarely', async () => {
  const { world, alice, room } = await shown(5000);
  await needs(alice, room, 50);
  await quiet(world, isRefused(world));
  const before = sends(world, room);
  await world.clock.advance(16 * 60_000);
  // After one minute, two, four, eight, on each replica.
  expect(sends(world, room) - before).toBeLessThan(12);
});

test.each([
  ['C1-sign', false],
  ['C1-kept', true],
])('%s: it comes as soon as the bot may write again (restarted alone: %s)', async (_rule, restarted) => {
  const { world, alice, room, prompt, first, second } = await shown(5000);
  // What is remembered then is in the journal of the first or nowhere.
  if (restarted) second.kill();
  await needs(alice, room, 50);
  await quiet(world, isRefused(world));
  if (restarted) {
    first.kill();
    world.restart(first);
  }
  await quiet(world);
  await world.clock.advance(70_000);
  await needs(alice, room, 0);
  await world.until(() => answerTo(world, room, prompt) === 're: long', 20_000);
  await quiet(world);
  expect(finals(world, room)).toBe(1);
  expect(world.actorProblems()).toEqual([]);
  expect(first.life.journal.state.sources.size).toBe(0);
});

test.each([false, true])(
  'C1-let-back: what an agent asked is closed when the bot is back (restarted: %s)',
  async (restarted) => {
    const made = await asking();
    const { world, alice, room } = made;
    await asked(made);
    await world.clock.advance(1000);
    await outOf(world, alice, room);
    if (restarted) await restartAll(world);
    await quiet(world);
    await backIn(world, alice, room);
    await quiet(world, () => questions(world, room)[0]?.body === CLOSED);
    await world.clock.advance(60_000);
    expect(world.sent(room).filter((event) => stepOf(event) === 'approval/1/decided')).toHaveLength(1);
    expect(questions(world, room)).toHaveLength(1);
    for (const { life } of world.replicas) expect(life.journal.state.sources.size).toBe(0);
  },
);

test.each(['before', 'after'] as const)(
  'C1-let-back: killed %s the write that ends the placeholder, which lands late: it is ended once',
  async (stage) => {
    const { world, alice, room, prompt, first } = await shown();
    await outOf(world, alice, room);
    const last = world.server.hold(of(first, 'send', /^final$/), stage);
    await backIn(world, alice, room);
    await world.until(() => last.used);
    first.kill();
    await quiet(world, () => answerTo(world, room, prompt) === FORBIDDEN);
    last.release();
    world.restart(first);
    await quiet(world, () => first.up && first.life.started === 'started');
    expect(finals(world, room)).toBe(1);
    expect(answerTo(world, room, prompt)).toBe(FORBIDDEN);
  },
);
