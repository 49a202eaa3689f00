import { expect, test } from 'vitest';
import { readLedger } from '../../src/bot/surface/ledger.js';
import { killAfter } from '../simulation/boundaries.js';
import { answerTo, met, quiet, told } from '../surface/setting.js';
import { of, setting } from './setting.js';

const WITHDRAWN = 'This was not answered: the message was deleted.';

const slow = (placeholderAfterMs = Infinity) =>
  setting((world) => {
    world.settings.placeholderAfterMs = placeholderAfterMs;
    world.platform.forgetful = false;
    world.platform.answer = ({ text }) => ({ text: `re: ${text}`, takesMs: text === 'long' ? 60_000 : 5 });
  });

test('C1-withdrawn: a prompt that is redacted while its run goes on ends the run, and nothing is said', async () => {
  const { world, alice, room } = await slow();
  const prompt = await alice.says(room, 'long');
  await world.until(() => world.platform.invocations.length === 1);
  await alice.redacts(room, prompt);
  const next = await world.asks(alice, room, 'next', { token: 're: next' });
  await quiet(world, () => answerTo(world, room, next) !== '');
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.clock.monotonic()).toBeLessThan(60_000);
  expect(answerTo(world, room, prompt)).toBe('');
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-placeholder: the placeholder of a prompt that was redacted is ended', async () => {
  const { world, alice, room } = await slow(1000);
  const prompt = await world.asks(alice, room, 'long', { token: WITHDRAWN });
  await world.until(() => answerTo(world, room, prompt) !== '');
  await alice.redacts(room, prompt);
  await quiet(world, () => answerTo(world, room, prompt) === WITHDRAWN);
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-left: a placeholder that lands when its prompt is dropped already is ended too', async () => {
  const { world, alice, room, first } = await slow(1000);
  const late = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  const prompt = await world.asks(alice, room, 'long', { token: WITHDRAWN });
  await world.until(() => late.used);
  first.kill();
  await alice.redacts(room, prompt);
  await quiet(world);
  late.release();
  await quiet(world, () => answerTo(world, room, prompt) === WITHDRAWN);
  world.restart(first);
  await quiet(world, () => first.up && first.life.started === 'started');
  expect(world.verdict()).toBe('');
});

test('C1-taken-over: whoever takes a redacted prompt over ends the run that was begun', async () => {
  const { world, alice, room, first } = await slow();
  const prompt = await alice.says(room, 'long');
  await world.until(() => world.platform.invocations.length === 1);
  first.kill();
  await alice.redacts(room, prompt);
  await quiet(world);
  expect(world.platform.cancelled).toHaveLength(1);
  expect(answerTo(world, room, prompt)).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('C1-answered: redacting a prompt that was answered changes nothing', async () => {
  const { world, alice, room } = await slow();
  const prompt = await world.asks(alice, room, 'hello', { token: 're: hello' });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  await alice.redacts(room, prompt);
  await quiet(world);
  expect(world.platform.cancelled).toHaveLength(0);
  expect(answerTo(world, room, prompt)).toBe('re: hello');
});

test('P3-dropped: a !new that is redacted before its ledger entry makes no room, wherever it was killed', async () => {
  const setting = await met();
  const { world, alice, chat, space, first } = setting;
  await told(world, alice, chat, 'hello', 'echo: hello');
  let kills = 0;
  for (let n = 1; n <= 30; n += 1) {
    const rooms = world.server.joinedRooms(world.bot).length;
    // With no relay nobody counts as gone, and no word of what was begun comes to the other.
    world.hub.down();
    const boundary = killAfter(world, first, n);
    const sends = of(first, 'send');
    const made = world.server.hold(
      (request) => sends(request) && request.type === 'dev.understudy.ledger',
      'before',
    );
    const command = await alice.says(chat, `!new Nothing ${n}`);
    await world.until(() => boundary.killed() || made.used);
    await alice.redacts(chat, command);
    const isKilled = boundary.killed();
    boundary.lift();
    // What it had on the wire lands after the entry that drops it.
    await quiet(world, () => isKilled || first.bot.engine.get(command)?.dropped === true);
    if (!isKilled) first.kill();
    await quiet(world);
    made.release();
    world.restart(first);
    world.healRelay();
    await quiet(world, () => first.up && first.life.started === 'started');
    await quiet(world, () => world.server.joinedRooms(world.bot).length === rooms);
    const { entries } = readLedger(world.server.history(space), world.bot);
    expect(entries.get(command)).toEqual({ source: command, dropped: true });
    if (!isKilled) break;
    kills += 1;
  }
  expect(kills).toBeGreaterThanOrEqual(2);
  await told(world, alice, chat, '!new Something', 'Made C2');
  expect(world.orphanRooms()).toEqual([]);
});

test('a !new that is redacted after its ledger entry is carried out', async () => {
  const { world, alice, chat, first } = await met();
  await told(world, alice, chat, 'hello', 'echo: hello');
  const sets = of(first, 'setState');
  const named = world.server.hold((request) => sets(request) && request.type === 'm.room.name', 'before');
  const command = await alice.says(chat, '!new Garden');
  await world.until(() => named.used);
  await alice.redacts(chat, command);
  await world.clock.advance(100);
  named.release();
  await quiet(world, () => alice.invites().length === 1);
  expect(world.orphanRooms()).toEqual([]);
  expect(answerTo(world, chat, command)).toContain('Made C2');
});
