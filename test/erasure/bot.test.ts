import { expect, test } from 'vitest';
import { alone, setting } from '../rules/setting.js';
import type { SimulatedReplica } from '../simulation/replica.js';
import type { World } from '../simulation/world.js';

const slow = (takesMs: number) => (world: World) => {
  world.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs });
};
/** Simulated time must pass until it is on disk. */
async function forgets(world: World, replica: SimulatedReplica, person: string): Promise<void> {
  let done = false;
  void replica.life.state.forget(person).then(() => (done = true));
  await world.until(() => done);
}
const texts = (world: World, room: string) => world.sent(room).map(({ content }) => content['body']);

test('E-old: what was said before is not answered when it comes again; what is said afterwards is, afresh', async () => {
  const { world, alice, room, only } = await alone();
  await world.asks(alice, room, 'one');
  await world.settleAll();
  world.platform.down();
  await alice.says(room, 'never answered');
  await world.clock.advance(1000);
  await forgets(world, only, alice.mxid);
  await world.settleAll();
  // Everything of this replica but its documents is gone: it reads the rooms again.
  const records = [...only.disk.records].filter(
    ([, { kind }]) => !['mark', 'floor', 'attempt'].includes(kind),
  );
  only.kill();
  only.wipe();
  for (const [key, record] of records) only.disk.records.set(key, record);
  world.platform.up();
  world.restart(only);
  await world.settleAll();
  expect(world.platform.invocations.map(({ text }) => text)).toEqual(['one']);
  await world.asks(alice, room, 'two');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations.map(({ text }) => text)).toEqual(['one', 'two']);
  expect(only.life.state.read('room', `matrix_room:${room}`)).toMatchObject({ matrix_user_id: alice.mxid });
});

test('E-open: work that nobody saw begin ends without an answer, on every replica', async () => {
  const { world, alice, room, first } = await setting(slow(4000));
  await alice.says(room, 'never mind');
  await world.until(() => world.platform.invocations.length === 1);
  await forgets(world, first, alice.mxid);
  await world.settleAll();
  expect(world.sent(room)).toEqual([]);
  for (const { bot } of world.replicas) expect(bot.engine.unsettled()).toBe(0);
  first.kill();
  await world.clock.advance(20_000);
  expect(world.sent(room)).toEqual([]);
  expect(world.platform.invocations).toHaveLength(1);
});

test('E-placeholder: one that stands is ended with a notice, once', async () => {
  const { world, alice, room, first } = await setting((made) => {
    slow(60_000)(made);
    made.settings.placeholderAfterMs = 500;
  });
  await alice.says(room, 'never mind');
  await world.until(() => world.sent(room).length === 1);
  await forgets(world, first, alice.mxid);
  await world.settleAll();
  expect(world.platform.invocations).toHaveLength(1);
  expect(texts(world, room).at(-1)).toContain('deleted');
  for (const { bot } of world.replicas) expect(bot.engine.unsettled()).toBe(0);
});

test('E-owed: contexts are deleted at the platform once, through outages and the death of who began', async () => {
  const { world, alice, room, first } = await setting();
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  const [context] = world.platform.chats;
  world.platform.down();
  await forgets(world, first, alice.mxid);
  await world.clock.advance(30_000);
  expect(world.platform.deleted).toEqual([]);
  first.kill();
  world.platform.up();
  await world.clock.advance(120_000);
  expect(world.platform.deleted).toEqual([context?.id]);
  for (const one of world.replicas.filter(({ up }) => up))
    expect(one.life.state.erasure.owedContexts()).toEqual([]);
});

test('E-threads: contexts of a room’s threads are deleted with the room’s', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.settings.threads = 'own';
    made.platform.forgetful = false;
  });
  const root = await world.asks(alice, room, 'hello');
  const relation = { rel_type: 'm.thread', event_id: root };
  const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'there', 'm.relates_to': relation });
  world.answers.push({ room, prompt, token: 'there' });
  await world.settleAll();
  expect(world.platform.chats).toHaveLength(2);
  await forgets(world, first, alice.mxid);
  await world.settleAll();
  expect(world.platform.chats).toEqual([]);
  expect(world.verdict()).toBe('');
});
