import { expect, test } from 'vitest';
import { killAfter } from '../simulation/boundaries.js';
import { answerTo, met, nameOf, quiet, told } from '../surface/setting.js';

/** A chat of alice's of which one replica alone has the records. */
async function apart() {
  const setting = await met();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, 'hello', 'echo: hello');
  world.linked = false;
  const command = await world.asks(alice, chat, '!branch Twig', { token: 'Branched into C2 “Twig”' });
  await world.until(() => answerTo(world, chat, command) !== '');
  const [room = ''] = await alice.acceptsAll();
  expect(setting.second.bot.records.room(room)).toBeUndefined();
  return { ...setting, room };
}

/** The same, and that replica is dead. */
async function elsewhere() {
  const setting = await apart();
  setting.first.kill();
  setting.first.wipe();
  return setting;
}

test.each([
  ['!rename Garden', 'This chat is called “Garden” now.'],
  ['!archive', 'C2 is archived.'],
  ['!save it', 'Saved as “it”'],
  ['!load', 'Nothing is saved here.'],
  ['!agent agent-2', 'now talks to Two'],
])('P3-record: %s in a chat whose records are elsewhere finishes the chat first', async (body, token) => {
  const { world, alice, room, second } = await elsewhere();
  await told(world, alice, room, body, token);
  const name = body.startsWith('!rename') ? 'Garden' : 'Twig';
  expect(second.bot.records.room(room)).toMatchObject({ matrix_user_id: alice.mxid, display_name: name });
  expect(nameOf(world, room)).toBe(name);
  await told(world, alice, room, 'and now', body === '!archive' ? 'is archived' : 'echo: and now');
  const last = world.platform.chats.find(({ turns }) => turns?.at(-1)?.text === 'and now');
  const turns = body === '!archive' ? undefined : body.startsWith('!agent') ? 1 : 2;
  expect(last?.turns?.length).toBe(turns);
  expect(world.verdict()).toBe('');
});

test('P3-record: a homeserver that is down meanwhile, and a kill after each write, and the command is done all the same', async () => {
  let kills = 0;
  for (let n = 1; kills === n - 1; n += 1) {
    const { world, alice, room, second } = await elsewhere();
    world.server.refuse(({ call }) => call === 'roomState', 502, 2);
    const boundary = killAfter(world, second, n);
    const prompt = await world.asks(alice, room, '!archive', { token: 'C2 is archived.' });
    await world.until(() => boundary.killed() || answerTo(world, room, prompt) !== '');
    boundary.lift();
    if (boundary.killed()) {
      kills += 1;
      world.restart(second);
    }
    await quiet(world, () => answerTo(world, room, prompt) !== '');
    expect(answerTo(world, room, prompt)).toContain('C2 is archived.');
    expect(world.verdict()).toBe('');
  }
  expect(kills).toBeGreaterThanOrEqual(6);
});

test.each(['!agent agent-2', '!threads own', '!branch'])(
  'P3-guest: %s of a guest is refused in a chat whose records are elsewhere, also where it cannot be finished now',
  async (body) => {
    for (const agents of [true, false]) {
      const { world, alice, room, second } = await elsewhere();
      const bob = world.person('bob');
      await world.server.connect('bot', 'ELSEWHERE').invite(room, bob.mxid);
      await bob.client.join(room);
      if (!agents) world.platform.agents.splice(0);
      await told(world, bob, room, body, `Only ${alice.mxid}, whose room this is`);
      expect(second.bot.records.room(room)?.display_name).toBe(agents ? 'Twig' : undefined);
      expect(second.bot.records.user(bob.mxid)?.selected_agent_id).toBeUndefined();
      expect(world.verdict()).toBe('');
    }
  },
);

test('P3-cut-short: an !archive that got as far as the room is the same command to a replica without the records', async () => {
  const { world, alice, room, first } = await apart();
  const closing = world.server.hold(
    ({ client, type }) => client === first.clientName && type === 'dev.understudy.archived',
    'after',
  );
  const prompt = await world.asks(alice, room, '!archive', { token: 'C2 is archived.' });
  await world.until(() => closing.used);
  first.kill();
  first.wipe();
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  expect(world.verdict()).toBe('');
});

test('P3-closed: who writes in an archived chat whose records are elsewhere is told so, and no agent is asked', async () => {
  const { world, alice, room, first } = await apart();
  const command = await world.asks(alice, room, '!archive', { token: 'C2 is archived.' });
  await world.until(() => answerTo(world, room, command) !== '');
  first.kill();
  first.wipe();
  await told(world, alice, room, 'and now', 'is archived');
  expect(world.platform.invocations.map(({ text }) => text)).toEqual(['hello']);
  expect(world.verdict()).toBe('');
});
