import { expect, test } from 'vitest';
import { OUT_OF_REACH } from '../../src/bot/streamer.js';
import type { World } from '../simulation/world.js';
import { PATIENCE } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { stepOf, streamed } from './edits.js';
import { alone, of, setting } from './setting.js';

const AFTER_MS = 1500;

const placed =
  (takesMs = 5, deltas: string[] = []) =>
  (world: World) => {
    world.settings.placeholderAfterMs = AFTER_MS;
    world.platform.forgetful = false;
    world.platform.answer = ({ text }) => ({ text: `${text}, done`, takesMs, deltas });
  };
const texts = (world: World, room: string) =>
  world.sent(room).map(({ content }) => {
    return content['m.new_content']?.body ?? content['body'];
  });

test('L-outage: a placeholder tells that the platform is out of reach, in its usual time, and the answer ends it', async () => {
  const { world, alice, room } = await alone(placed());
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.clock.advance(AFTER_MS - 100);
  expect(texts(world, room)).toEqual([]);
  await world.clock.advance(300);
  expect(texts(world, room)).toEqual([OUT_OF_REACH]);
  await world.clock.advance(120_000);
  expect(world.sent(room)).toHaveLength(1);
  world.platform.up();
  await world.settleAll();
  expect(texts(world, room)).toEqual([OUT_OF_REACH, 'hello, done']);
  expect(world.verdict()).toBe('');
});

test('L-outage: one that is over before the placeholder is due is not told', async () => {
  const { world, alice, room } = await alone(placed());
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.clock.advance(AFTER_MS / 3);
  world.platform.up();
  await world.settleAll();
  expect(texts(world, room)).toEqual(['hello, done']);
});

test('L-outage: what waits behind it in the room says nothing of its own, and is answered after it', async () => {
  const { world, alice, room } = await alone(placed());
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  const help = await world.asks(alice, room, '!help', { token: 'Commands' });
  await world.clock.advance(30_000);
  expect(texts(world, room)).toEqual([OUT_OF_REACH]);
  world.platform.up();
  await quiet(world, () => answerTo(world, room, help) !== '');
  expect(world.verdict()).toBe('');
});

test('L-outage: a command that needs the platform tells of it too', async () => {
  const { world, alice, room } = await alone(placed());
  world.platform.down();
  await world.asks(alice, room, '!agents', { token: 'agent-2' });
  await world.clock.advance(2 * AFTER_MS);
  expect(texts(world, room)).toEqual([OUT_OF_REACH]);
  world.platform.up();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(2);
  expect(world.verdict()).toBe('');
});

test('L-outage: in the middle of a run it stands below what the agent has said, and goes with it', async () => {
  const { world, alice, room } = await alone(placed(20_000, ['so far', ', on']));
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.until(() => texts(world, room).includes('so far'));
  world.platform.down();
  await world.until(() => texts(world, room).at(-1) === `so far\n\n${OUT_OF_REACH}`);
  world.platform.up();
  await world.until(() => texts(world, room).at(-1) === 'so far, on');
  await world.settleAll();
  expect(world.platform.invocations).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('L-outage: it is gone from the room once a run is under way that says nothing', async () => {
  const { world, alice, room } = await alone(placed(60_000));
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.until(() => texts(world, room).length === 1);
  world.platform.up();
  await world.until(() => texts(world, room).length === 2);
  await world.settleAll();
  expect(texts(world, room)).toEqual([OUT_OF_REACH, '…', 'hello, done']);
  expect(world.verdict()).toBe('');
});

test('L-silent: a platform that takes a call and does not answer it keeps no placeholder back', async () => {
  const { world, alice, room } = await alone(placed());
  world.platform.answersAfterMs = 8000;
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.clock.advance(AFTER_MS + 200);
  expect(texts(world, room)).toEqual(['…']);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('L-told-once: both replicas wait, and the room is told once', async () => {
  const { world, alice, room, first, second } = await setting(placed());
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  // No beats while it waits, so the other begins it too.
  await world.clock.advance(10 * PATIENCE);
  expect([first, second].map(({ bot }) => bot.status().platform)).toEqual([
    expect.any(Number),
    expect.any(Number),
  ]);
  expect(texts(world, room)).toEqual([OUT_OF_REACH]);
  world.platform.up();
  await world.settleAll();
  expect(world.sent(room).map(stepOf)).toEqual(['anchor', 'final']);
  expect(world.platform.invocations).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test.each([
  ['stands', (world: World, room: string) => texts(world, room).length === 1],
  ['is on its way', undefined],
])(
  'L-told-once: killed when the placeholder %s: the other loses none and makes no second',
  async (_when, then) => {
    const { world, alice, room, first, second } = await setting(placed());
    const held = then ? undefined : world.server.hold(of(first, 'send', /^anchor$/), 'before');
    world.platform.down();
    await world.asks(alice, room, 'hello', { text: 'hello, done' });
    await world.until(() => (then ? then(world, room) : held?.used === true));
    first.kill();
    await world.clock.advance(4 * PATIENCE);
    held?.release();
    await world.clock.advance(4 * PATIENCE);
    expect(texts(world, room)).toEqual([OUT_OF_REACH]);
    expect(second.bot.status().platform).toBeGreaterThan(PATIENCE);
    world.platform.up();
    await world.settleAll();
    expect(texts(world, room)).toEqual([OUT_OF_REACH, 'hello, done']);
    expect(world.verdict()).toBe('');
  },
);

test('L-told-once: who takes over once the platform is back goes on without a word of the outage', async () => {
  const { world, alice, room, first } = await setting(placed(30_000));
  world.platform.down();
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.until(() => texts(world, room).length === 1);
  first.kill();
  world.platform.up();
  await world.settleAll();
  expect(texts(world, room)).toEqual([OUT_OF_REACH, '…', 'hello, done']);
  expect(streamed(world, room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('L-reach: !status says whether the platform answered last, and else since when it does not', async () => {
  const { world, alice, room, only } = await alone(placed());
  await world.asks(alice, room, 'hello', { text: 'hello, done' });
  await world.settleAll();
  const before = await world.asks(alice, room, '!status', { token: 'platform: reached' });
  await quiet(world, () => answerTo(world, room, before) !== '');
  world.platform.down();
  await world.asks(alice, room, 'again', { text: 'again, done' });
  await world.clock.advance(20_000);
  const during = await world.asks(alice, room, '!status', { token: 'platform: out of reach' });
  await world.until(() => answerTo(world, room, during) !== '');
  expect(answerTo(world, room, during)).toMatch(/^platform: out of reach for (19|2\d) s, keep trying$/m);
  world.platform.up();
  await world.settleAll();
  expect(only.bot.status().platform).toBe('reached');
  expect(world.verdict()).toBe('');
});
