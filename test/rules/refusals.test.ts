import { expect, test } from 'vitest';
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
