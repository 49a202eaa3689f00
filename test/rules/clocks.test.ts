import { expect, test } from 'vitest';
import { endOfReading } from '../../src/bot/reading-back.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { seed } from '../simulation/state.js';
import { World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { asked, asking, bobIn } from './asking.js';
import { alone, setting } from './setting.js';

/** Somebody in the room says something whose server's clock is half a century behind. */
async function saysLongAgo(world: World, person: SimulatedPerson, room: string): Promise<void> {
  const event = await person.sends(room, { msgtype: 'm.notice', body: 'tick' });
  const stored = world.server.room(room).find(event);
  if (stored) stored.event.origin_server_ts = 1;
}

test('C5-clock: somebody’s wrong clock keeps an empty folder from no prompt before it', async () => {
  const { world, alice, room, only } = await alone();
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.acceptsAll();
  only.kill();
  only.wipe();
  await world.asks(alice, room, 'hello');
  await saysLongAgo(world, bob, room);
  for (let n = 0; n < 30; n++) await alice.sends(room, { msgtype: 'm.notice', body: `notice ${n}` });
  world.server.timelineLimit = 5;
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C5-clock: nor does it when rooms are read again from an earlier genesis', async () => {
  const world = new World(1);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.acceptsAll();
  await world.clock.advance(1000);
  const earlier = world.clock.now();
  await world.clock.advance(1000);
  await world.asks(alice, room, 'between');
  await saysLongAgo(world, bob, room);
  await world.clock.advance(1000);
  await world.startAll();
  seed(world.relayDisk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts: earlier } }, earlier);
  world.exchangeAll();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

const said = (sender: string, ts: number, id = '$x') => ({
  event_id: id,
  type: 'm.room.message',
  sender,
  origin_server_ts: ts,
  content: {},
});

test('C5-row: a long row of old events ends a reading that has no floor to reach, and so does one of our own', () => {
  const reads = (floor?: string) => {
    const ends = endOfReading('@bot:x', 1000, { floor });
    let n = 1;
    while (n < 500 && !ends(said('@eve:y', 1))) n += 1;
    return n;
  };
  expect(reads()).toBe(100);
  expect(reads('$floor')).toBe(500);
  const ends = endOfReading('@bot:x', 1000, { floor: '$floor' });
  expect(ends(said('@bot:x', 1001))).toBe(false);
  expect(ends(said('@bot:x', 999))).toBe(true);
  expect(ends(said('@eve:y', 1001, '$floor'))).toBe(true);
});

test('P5-clock: somebody’s wrong clock hides no question from !yes', async () => {
  const made = await asking();
  const { world, alice, room } = made;
  const bob = await bobIn(made);
  const { prompt } = await asked(made);
  await saysLongAgo(world, bob, room);
  await world.asks(alice, room, '!yes', { token: '✅' });
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(world.verdict()).toBe('');
});

test('O6-clock: somebody’s wrong clock hides no run from !cancel', async () => {
  const made = await setting((of) => {
    of.platform.forgetful = false;
    of.platform.answer = ({ text }) => ({ text, takesMs: 40_000 });
  });
  const { world, alice, room } = made;
  const bob = await bobIn(made);
  const long = await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 1);
  await saysLongAgo(world, bob, room);
  await world.asks(alice, room, '!cancel', { token: 'Asked the agent to stop.' });
  await quiet(world, () => answerTo(world, room, long) !== '');
  expect(world.verdict()).toBe('');
});

test('F-clock: somebody’s wrong clock keeps no file from its prompt', async () => {
  const made = await setting();
  const { world, alice, room } = made;
  const bob = await bobIn(made);
  const content = { msgtype: 'm.image', body: 'a.png', url: world.server.upload('a'), info: { size: 1 } };
  await alice.sends(room, content);
  await saysLongAgo(world, bob, room);
  await world.asks(alice, room, 'look', { token: 'look by run 1' });
  await world.settleAll();
  expect(world.platform.invocations[0]?.files).toEqual(['a.png: a']);
  expect(world.verdict()).toBe('');
});
