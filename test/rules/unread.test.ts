import { expect, test } from 'vitest';
import { MADE_FOR_KEY } from '../../src/bot/intake.js';
import { alone } from './setting.js';

/** A room that this account made, which no record names, and whose replica died before it had done anything about it. */
async function halfMade() {
  const { world, alice, room, only } = await alone();
  const elsewhere = world.server.connect('bot', 'ELSEWHERE');
  const made = { source: '$never-seen', person: alice.mxid };
  const other = await elsewhere.createRoom({ creation_content: { [MADE_FOR_KEY]: made } });
  await world.clock.advance(100);
  only.kill();
  const reads = ({ call, room: asked }: { call: string; room?: string }) =>
    asked === other && (call === 'stateEvent' || call === 'roomState');
  return { world, alice, room, only, other, reads };
}

test('D5-unread: a room without a record that cannot be read holds no start up, and is read later', async () => {
  const { world, alice, room, only, other, reads } = await halfMade();
  const lift = world.server.faults.refuseBy(reads, { status: 502 });
  world.restart(only);
  await world.until(() => only.life.started === 'started', 30_000);
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.seen(room)).toHaveLength(1);
  expect(only.bot.surface.rooms.madeFor(other)).toBeUndefined();
  lift();
  await world.until(() => only.bot.surface.rooms.madeFor(other) !== undefined, 180_000);
});

test('D5-unread: nor does one whose answer never comes', async () => {
  const { world, alice, room, only, other, reads } = await halfMade();
  const held = world.server.hold(reads, 'before');
  world.restart(only);
  await world.until(() => held.used);
  await world.until(() => only.life.started === 'started', 30_000);
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(world.seen(room)).toHaveLength(1);
  await world.until(() => only.bot.surface.rooms.madeFor(other) !== undefined, 180_000);
});
