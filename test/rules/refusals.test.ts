import { expect, test } from 'vitest';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { Lacking } from '../../src/bot/lacking.js';
import { SimulatedClock } from '../simulation/clock.js';
import { World } from '../simulation/world.js';
import { answerTo } from '../surface/setting.js';
import { of, setting } from './setting.js';

const outcomes = (happened: readonly { event: string; outcome: string }[]) =>
  happened.filter(({ event }) => event === 'settled').map(({ outcome }) => outcome);

test('C1-account: an account that is blocked for a while settles nothing, and answers when it is not', async () => {
  const { world, alice, room } = await setting();
  const bySends = ({ user, call }: { user: string; call: string }) => user === world.bot && call === 'send';
  const lift = world.server.faults.refuseBy(bySends, { status: 403, errcode: 'M_USER_SUSPENDED' });
  await world.asks(alice, room, 'hello');
  await world.clock.advance(60_000);
  expect(outcomes(world.happened)).not.toContain('forbidden');
  // Nor is it asked over and over.
  expect(world.requests(bySends).length).toBeLessThan(30);
  lift();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C1-way: what a proxy of one replica does not know is left to another replica', async () => {
  const { world, alice, room, first } = await setting();
  world.server.faults.refuseBy(of(first, 'send'), { status: 404, errcode: 'M_UNRECOGNIZED' });
  await world.asks(alice, room, 'hello');
  await world.until(() => world.seen(room).length > 0, 30_000);
  await world.settleAll();
  expect(outcomes(world.happened)).not.toContain('forbidden');
  expect(world.verdict()).toBe('');
});

test('C1-ways: of three replicas the one that has a way answers, whoever comes before it', async () => {
  const { world, alice, room } = await World.withRoom(3);
  const ranks = world.ranks(room, alice);
  for (const replica of ranks.slice(0, 2))
    world.server.faults.refuseBy(of(replica, 'send'), { status: 404, errcode: 'M_UNRECOGNIZED' });
  await world.asks(alice, room, 'hello');
  await world.until(() => world.seen(room).length > 0, 120_000);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test.each(['M_INVITE_BLOCKED', 'M_UNKNOWN'])(
  'P3-uninvited: who takes no invites is answered all the same (%s)',
  async (errcode) => {
    const world = new World(1);
    await world.startAll();
    const alice = world.person('alice');
    world.server.faults.refuseBy(({ call }) => call === 'invite', { status: 403, errcode });
    const dm = await alice.client.createRoom({ is_direct: true, invite: [world.bot] });
    await world.until(() => world.server.room(dm).membership(world.bot) === 'join');
    const prompt = await alice.says(dm, 'hello');
    await world.until(() => answerTo(world, dm, prompt) !== '');
  },
);

test('C1-lacking: an endpoint that is not there for a minute on end is one that the homeserver lacks', async () => {
  const clock = new SimulatedClock();
  const lacking = new Lacking(clock);
  const refusal = (errcode: string) => new HomeserverError('refused', errcode, { status: 404, errcode });
  const asks = (errcode: string) => lacking.orNone(() => Promise.reject(refusal(errcode)), 'none');
  await expect(asks('M_UNRECOGNIZED')).rejects.toThrow('M_UNRECOGNIZED');
  await clock.advance(59_000);
  await expect(asks('M_UNRECOGNIZED')).rejects.toThrow('M_UNRECOGNIZED');
  await clock.advance(2000);
  expect(await asks('M_UNRECOGNIZED')).toBe('none');
  await expect(asks('M_NOT_FOUND')).rejects.toThrow('M_NOT_FOUND');
  expect(await lacking.orNone(() => Promise.resolve('there'), 'none')).toBe('there');
  await expect(asks('M_UNRECOGNIZED')).rejects.toThrow('M_UNRECOGNIZED');
});
