import { expect, test } from 'vitest';
import type { Match } from '../simulation/faults.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { World } from '../simulation/world.js';

const membership = (world: World, room: string) => world.server.room(room).membership(world.bot);

const setMembership = (
  world: World,
  alice: SimulatedPerson,
  room: string,
  to: 'leave' | 'invite',
  reason = '',
) => alice.client.setState(room, 'm.room.member', world.bot, { membership: to, reason });

/** One replica, alice, and a room of hers that the bot was not asked into yet. */
async function apart(): Promise<{ world: World; alice: SimulatedPerson; room: string; joins: Match }> {
  const { world, alice } = await World.withRoom(1);
  const room = await alice.client.createRoom({ preset: 'private_chat', invite: [] });
  return { world, alice, room, joins: (request) => request.call === 'join' && request.room === room };
}

test('P4-invited: an invite that comes anew is taken up at once, however long a server that was down is left alone', async () => {
  const { world, alice, room, joins } = await apart();
  world.server.faults.refuse(joins, 502, 8);
  await setMembership(world, alice, room, 'invite');
  await world.until(() => world.requests(joins).length === 8, 3_600_000);
  // The next look would be in minutes.
  const before = world.clock.monotonic();
  await setMembership(world, alice, room, 'invite', 'Please!');
  await world.until(() => membership(world, room) === 'join', 60_000);
  expect(world.clock.monotonic() - before).toBeLessThan(60_000);
});

test('P4-invited-past: a refusal of an invite that was taken back does not end the next one', async () => {
  const { world, alice, room, joins } = await apart();
  const held = world.server.faults.hold(joins, 'before');
  await setMembership(world, alice, room, 'invite');
  await held.arrived;
  await setMembership(world, alice, room, 'leave');
  await setMembership(world, alice, room, 'invite');
  await world.clock.advance(5000);
  held.refuse();
  await world.until(() => membership(world, room) === 'join', 120_000);
  expect(world.requests(joins)).toHaveLength(2);
});

test('P4-invited-past: an invite that comes while an earlier one’s join is being answered is taken up too', async () => {
  const { world, alice, room, joins } = await apart();
  const held = world.server.faults.hold(joins, 'after');
  await setMembership(world, alice, room, 'invite');
  await held.arrived;
  await setMembership(world, alice, room, 'leave');
  await setMembership(world, alice, room, 'invite');
  await world.clock.advance(5000);
  held.release();
  await world.until(() => membership(world, room) === 'join', 120_000);
});

test('P4-vain: an invite to a room that nobody knows is given up', async () => {
  const { world, alice, room, joins } = await apart();
  world.server.faults.refuseBy(joins, { status: 404, errcode: 'M_UNKNOWN' });
  await setMembership(world, alice, room, 'invite');
  await world.until(() => world.requests(joins).length === 1);
  await world.clock.advance(600_000);
  expect(world.requests(joins)).toHaveLength(1);
});
