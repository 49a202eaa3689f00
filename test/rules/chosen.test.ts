import { expect, test } from 'vitest';
import { killAfter } from '../simulation/boundaries.js';
import { answerTo, met, quiet, told } from '../surface/setting.js';

/** Its attempt, the platform's context, the record. */
const RECORD = 3;

test('P3-chosen: who takes an !agent over does not put it over a later one of another room', async () => {
  const { world, alice, chat, first, second } = await met();
  await told(world, alice, chat, '!new', 'Made C2');
  const [other = ''] = await alice.acceptsAll();
  const boundary = killAfter(world, first, RECORD);
  // Out of reach once the context is made: who takes it over comes there late, and by then the person has chosen again.
  const tell = world.platform.onWrite;
  world.platform.onWrite = (of) => {
    tell(of);
    world.platform.down();
  };
  const earlier = await world.asks(alice, chat, '!agent agent-2', { token: 'now talks to Two' });
  await world.until(() => boundary.killed());
  boundary.lift();
  const { records } = second.bot;
  expect(records.user(alice.mxid)?.selected_agent_id).toBe('agent-2');
  await world.clock.advance(20_000);
  const later = await world.asks(alice, other, '!agent agent-1', { token: 'now talks to One' });
  await world.clock.advance(500);
  world.platform.up();
  await world.until(() => answerTo(world, other, later) !== '');
  expect(answerTo(world, chat, earlier)).toBe('');
  await quiet(world, () => answerTo(world, chat, earlier) !== '');
  expect(records.user(alice.mxid)?.selected_agent_id).toBe('agent-1');
  expect(records.room(chat)?.agent_id).toBe('agent-2');
  expect(world.verdict()).toBe('');
});
