import { expect, test } from 'vitest';
import { PATIENCE, World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { asked, asking, questions } from './asking.js';
import { of, type Setting, setting } from './setting.js';

/** Says a command, and ends every process when it stands in the journals and nothing of it is done. */
async function journaled({ world, alice, room, first }: Setting, body: string, token: string) {
  const stuck = world.server.hold(of(first, 'context'), 'before');
  const command = await world.asks(alice, room, body, { token });
  await world.until(() => stuck.used);
  const all = world.replicas.filter(({ up }) => up);
  for (const { life } of all) expect([...life.journal.state.sources.keys()]).toContain(command);
  for (const replica of all) replica.kill();
  return command;
}

async function restartAll(world: World): Promise<void> {
  for (const replica of world.replicas) world.restart(replica);
  await world.until(() => world.replicas.every(({ up, life }) => up && life.started === 'started'));
}

test('O6-restored: a journaled !yes passes ahead of the run that waits for it, after a kill of all', async () => {
  const setting = await asking();
  const { world, room } = setting;
  const { prompt } = await asked(setting);
  const yes = await journaled(setting, '!yes', '✅ Approved.');
  expect(world.platform.decided).toEqual([]);
  await restartAll(world);
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(answerTo(world, room, yes)).toContain('Approved');
  expect(world.platform.decided).toHaveLength(1);
  expect(questions(world, room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('O6-restored: a journaled !cancel ends the run before it, after a kill of all', async () => {
  const slow = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text, takesMs: text === 'long' ? 3_600_000 : 5 });
  });
  const { world, alice, room } = slow;
  const long = await world.asks(alice, room, 'long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 1);
  await world.asks(alice, room, 'next', { token: 'next' });
  await journaled(slow, '!cancel', 'Asked the agent to stop.');
  await restartAll(world);
  await quiet(world, () => answerTo(world, room, long) !== '');
  expect(world.platform.cancelled).toHaveLength(1);
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('O6-restored: what the homeserver fails to show delays no start, and nothing behind it', async () => {
  const setting = await asking();
  const { world, room } = setting;
  const { prompt } = await asked(setting);
  const yes = await journaled(setting, '!yes', '✅ Approved.');
  const isRead = ({ call, room: of }: { call: string; room?: string }) => call === 'event' && of === room;
  // The prompt is never shown to either; what is asked for next fails for a while.
  world.server.refuse(isRead, 403, 2);
  world.server.refuse(isRead, 502, 8);
  const before = world.clock.monotonic();
  await restartAll(world);
  expect(world.clock.monotonic() - before).toBeLessThan(3000);
  expect(world.platform.decided).toEqual([]);
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(answerTo(world, room, yes)).toContain('Approved');
  expect(world.requests(isRead).length).toBeGreaterThanOrEqual(12);
  expect(world.verdict()).toBe('');
});

test('O6-restored: an edit that made a command of it while all were down counts', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt } = await asked(setting);
  const edited = await alice.says(room, 'what is this?');
  await world.clock.advance(1000);
  for (const replica of world.replicas) replica.kill();
  await alice.edits(room, edited, '!yes');
  await restartAll(world);
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(answerTo(world, room, edited)).toContain('Approved');
  expect(world.platform.decided).toHaveLength(1);
});

test('O6-begun: an edit of what was begun lets nothing pass, on no replica and after no restart', async () => {
  const { world, alice, room } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text, takesMs: text === 'long' ? 60_000 : 5 });
  });
  const long = await world.asks(alice, room, 'long', { token: 'long' });
  await world.until(() => world.platform.invocations.length === 1);
  await alice.edits(room, long, '!status');
  const next = await world.asks(alice, room, 'next', { token: 'next' });
  await world.clock.advance(4 * PATIENCE);
  expect(world.platform.invocations).toHaveLength(1);
  for (const replica of world.replicas) replica.kill();
  await restartAll(world);
  await world.clock.advance(4 * PATIENCE - 2000);
  expect(world.platform.invocations).toHaveLength(1);
  await quiet(world, () => answerTo(world, room, next) !== '');
  expect(world.verdict()).toBe('');
});

test('O5-restored: a journaled command is begun by the owner of the records that it writes', async () => {
  const world = new World(3);
  const alice = world.person('alice');
  await world.plainRoom(alice);
  const ownerOf = (name: string) => world.ranks('', world.person(name))[0]?.id;
  const names = ['bob', 'carol', 'dave', 'erin', 'frank', 'grace'];
  const rooms = new Map<string, string>();
  for (const name of names) rooms.set(name, await world.plainRoom(world.person(name)));
  world.platform.answer = ({ text }) => ({ text, takesMs: 3000 });
  await world.startAll();
  const host = names.find((name) => ownerOf(name) !== ownerOf('alice')) ?? '';
  const room = rooms.get(host) ?? '';
  await world.person(host).client.invite(room, alice.mxid);
  await alice.client.join(room);
  await world.asks(world.person(host), room, 'long', { token: 'long' });
  await world.asks(alice, room, '!new', { token: 'Made C2' });
  await world.clock.advance(1000);
  for (const replica of world.replicas) replica.kill();
  await restartAll(world);
  await world.settleAll();
  const makers = world.requests(({ call, user }) => call === 'createRoom' && user === world.bot);
  expect(new Set(makers.map(({ client }) => client.slice(0, 2)))).toEqual(new Set([ownerOf('alice')]));
  expect(world.verdict()).toBe('');
});

test('D7-restored: a repair that was owed when all were killed waits for no run', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({
      text: `re: ${text}`,
      takesMs: text === 'hello' ? 4000 : 600_000,
      ...(text === 'hello' && { deltas: ['one', 'two'] }),
    });
  });
  const edit = world.server.hold(of(first, 'send', /^stream/), 'before');
  const prompt = await alice.says(room, 'hello');
  await world.until(() => edit.used);
  first.kill();
  await quiet(world, () => answerTo(world, room, prompt) === 're: hello');
  world.restart(first);
  await quiet(world);
  await alice.says(room, 'long');
  await world.until(() => world.platform.invocations.length === 2);
  // It lands, and nobody lives to repair it.
  const repairs = world.replicas.map((one) => world.server.hold(of(one, 'send', /^repair/), 'before'));
  edit.release();
  await world.until(() => repairs.some(({ used }) => used));
  for (const replica of world.replicas) replica.kill();
  for (const repair of repairs) repair.drop();
  expect(answerTo(world, room, prompt)).not.toBe('re: hello');
  await restartAll(world);
  await world.until(() => answerTo(world, room, prompt) === 're: hello');
  expect(world.seen(room).filter(({ body }) => body === 're: long')).toEqual([]);
});
