import { expect, test } from 'vitest';
import { killAfter } from '../simulation/boundaries.js';
import { answerTo, childOf, type Met, met, nameOf, quiet, told, toldTwice } from './setting.js';

/** More writes than any command makes. */
const MOST = 30;

/**
 * Says a command again and again; the n-th time the replica that carries it out is killed right after its n-th write,
 * and the other one takes it over. Ends when it came to the end unharmed. Resolves to the number of kills.
 */
async function killedAtEachWrite(
  setting: Met,
  command: (n: number) => { body: string; token: string; room?: string },
  before: (n: number) => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  const { world, alice, chat, first } = setting;
  for (let n = 1; n <= MOST; n += 1) {
    await before(n);
    const boundary = killAfter(world, first, n);
    const { body, token, room = chat } = command(n);
    const prompt = await world.asks(alice, room, body, { token });
    await quiet(world, () => answerTo(world, room, prompt) !== '');
    boundary.lift();
    if (!boundary.killed()) return n - 1;
    world.restart(first);
    await world.until(() => first.up && first.life.started === 'started');
    await quiet(world);
  }
  throw new Error(`still killed after ${MOST} writes`);
}

test('!rename, !save, !load and !agent, killed after each write and taken over', async () => {
  const setting = await met();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, 'hello', 'echo: hello');
  const said = (n: number) => ({ body: `!rename Name ${n}`, token: `“Name ${n}”` });
  const kills = await killedAtEachWrite(setting, said);
  expect(kills).toBeGreaterThanOrEqual(5);
  expect(nameOf(world, chat)).toBe(`Name ${kills + 1}`);

  const saves = await killedAtEachWrite(setting, (n) => ({ body: `!save s${n}`, token: `“s${n}”` }));
  expect(saves).toBeGreaterThanOrEqual(4);
  const own = () =>
    world.platform.chats.find(({ id }) => id === setting.second.bot.records.room(chat)?.platform_chat_id);
  expect(own()?.saved?.size).toBe(saves + 1);

  await told(world, alice, chat, 'more', 'echo: more');
  const loads = await killedAtEachWrite(setting, (n) => ({ body: `!load s${(n % 3) + 1}`, token: 'Loaded' }));
  expect(loads).toBeGreaterThanOrEqual(5);
  expect(own()?.turns?.map(({ text }) => text)).toEqual(['hello']);

  const contexts = world.platform.chats.length;
  const bindings = await killedAtEachWrite(setting, () => ({
    body: '!agent agent-2',
    token: 'now talks to Two',
  }));
  expect(world.platform.chats).toHaveLength(contexts + bindings + 1);
  expect(world.verdict()).toBe('');
});

test('!load, its number and !threads, killed after each write and taken over', async () => {
  const setting = await met();
  const { world, alice, chat, second } = setting;
  for (const name of ['one', 'two']) {
    await told(world, alice, chat, `about ${name}`, `echo: about ${name}`);
    await told(world, alice, chat, `!save ${name}`, 'Saved');
  }
  const lists = await killedAtEachWrite(setting, () => ({ body: '!load', token: '1. one\n2. two' }));
  expect(lists).toBeGreaterThanOrEqual(3);
  const loads = await killedAtEachWrite(
    setting,
    (n) => ({ body: String((n % 2) + 1), token: n % 2 === 0 ? 'Loaded “one”' : 'Loaded “two”' }),
    async () => void (await told(world, alice, chat, '!load', '1. one\n2. two')),
  );
  expect(loads).toBeGreaterThanOrEqual(5);
  expect(second.bot.records.room(chat)?.loaded_context).toBe(loads % 2 === 0 ? 'two' : 'one');

  const way = (n: number) => (n % 2 === 0 ? 'shared' : 'own');
  const ways = await killedAtEachWrite(setting, (n) => ({
    body: `!threads ${way(n)}`,
    token: n % 2 === 0 ? 'share' : 'of its own',
  }));
  expect(ways).toBeGreaterThanOrEqual(4);
  expect(second.bot.records.room(chat)?.threads).toBe(way(ways + 1));
  expect(world.verdict()).toBe('');
});

test('!archive, killed after each write and taken over', async () => {
  const setting = await met();
  const { world, alice, space } = setting;
  let room = '';
  const kills = await killedAtEachWrite(
    setting,
    () => ({ body: '!archive', token: 'is archived.', room }),
    async () => {
      await told(world, alice, setting.chat, '!new', 'Made C');
      [room = ''] = await alice.acceptsAll();
    },
  );
  expect(kills).toBeGreaterThanOrEqual(5);
  const archived = setting.second.bot.records.chatsOf(alice.mxid).filter((one) => one.archived);
  expect(archived).toHaveLength(kills + 1);
  for (const one of archived) expect(childOf(world, space, one.room)).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('!new and !branch, killed after each write and taken over: one room each, no number twice', async () => {
  const setting = await met();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, 'hello', 'echo: hello');
  const branches = await killedAtEachWrite(setting, (n) => ({ body: `!branch B${n}`, token: `“B${n}”` }));
  const news = await killedAtEachWrite(setting, (n) => ({ body: `!new N${n}`, token: `“N${n}”` }));
  expect(branches).toBeGreaterThanOrEqual(8);
  const chats = setting.second.bot.records.chatsOf(alice.mxid);
  expect(chats.map(({ chatId }) => chatId)).toEqual(chats.map((_, i) => `C${i + 1}`));
  expect(chats).toHaveLength(1 + branches + 1 + news + 1);
  await quiet(world, () => world.orphanRooms().length === 0);
  expect(world.verdict()).toBe('');
});

test('!cancel, killed after each write and taken over: its run ends once, and none that came later', async () => {
  const setting = await met();
  const { world, alice, chat } = setting;
  world.platform.answer = ({ text }) => ({ text, takesMs: text.startsWith('long') ? 300_000 : 5 });
  const kills = await killedAtEachWrite(
    setting,
    () => ({ body: '!cancel', token: 'Asked the agent to stop.' }),
    async (n) => {
      await world.asks(alice, chat, `long ${n}`, { token: 'Cancelled.' });
      await world.until(() => world.platform.invocations.some(({ text }) => text === `long ${n}`));
      await world.asks(alice, chat, `short ${n}`, { token: `short ${n}` });
    },
  );
  expect(kills).toBeGreaterThanOrEqual(3);
  expect(world.platform.cancelled).toHaveLength(kills + 1);
  expect(world.verdict()).toBe('');
});

test('every command delivered to two replicas that are apart: one answer, and each effect once', async () => {
  const setting = await met();
  const { world, alice, chat, space } = setting;
  await told(world, alice, chat, 'hello', 'echo: hello');
  const both = (body: string, token: string) => toldTwice(setting, chat, body, token);
  for (const body of [
    '!chats',
    '!agents',
    '!context',
    '!help',
    '!help new',
    '!status',
    '!yes',
    '!no',
    '!cancel',
  ])
    await both(body, '');
  await both('!save one', 'Saved as “one”');
  await told(world, alice, chat, 'more', 'echo: more');
  await both('!branch Two', 'Branched into C2 “Two”');
  await both('!load', '1. one');
  await both('1', 'Loaded “one”');
  await both('!rename Three', '“Three”');
  await both('!new', 'Made C3');
  const contexts = world.platform.chats.length;
  await both('!agent agent-2', 'now talks to Two');
  expect(world.platform.chats).toHaveLength(contexts + 1);
  expect(alice.invites()).toHaveLength(2);
  expect(nameOf(world, chat)).toBe('Three');
  await both('!archive', 'C1 is archived.');
  expect(childOf(world, space, chat)).toBeUndefined();
  expect(world.verdict()).toBe('');
});
