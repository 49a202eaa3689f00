import { expect, test } from 'vitest';
import { listText, readList } from '../../src/bot/surface/choices.js';
import { World } from '../simulation/world.js';
import { answerTo, type Met, met, quiet, told } from '../surface/setting.js';

/** alice saved two contexts of her chat. */
async function saved(): Promise<Met> {
  const setting = await met();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, 'about peas', 'echo: about peas');
  await told(world, alice, chat, '!save peas', 'Saved');
  await told(world, alice, chat, '!save all', 'Saved');
  return setting;
}

const loaded = ({ chat, second }: Met) => second.bot.records.room(chat)?.loaded_context;

test('a list reads back as the names that it shows', () => {
  const names = ['all', '1. peas', 'x'.repeat(100)];
  expect(readList(listText(names, '!'))).toEqual(names);
  const many = Array.from({ length: 1000 }, (_, i) => `name ${i}`);
  const shown = readList(listText(many, '!')) ?? [];
  expect(shown.length).toBeGreaterThan(100);
  expect(many.slice(0, shown.length)).toEqual(shown);
  expect(Buffer.byteLength(listText(many, '!'))).toBeLessThan(10_000);
  expect(readList('1. all')).toBeUndefined();
  expect(readList(listText([], '!'))).toBeUndefined();
});

test('P5: a number is the choice from the list before it, on whichever replica, with nothing stored', async () => {
  const setting = await saved();
  const { world, alice, chat, first } = setting;
  expect(await told(world, alice, chat, '!load', '1. all\n2. peas')).toContain('Reply with a number');
  first.kill();
  first.wipe();
  await told(world, alice, chat, '3', 'The list goes from 1 to 2.');
  await told(world, alice, chat, ' 2 ', 'Loaded “peas”');
  expect(loaded(setting)).toBe('peas');
  // The choice was made: what comes now is a prompt like any other.
  expect(world.verdict()).toBe('');
});

test('P5-asker: a list that is known by its placeholder first is still its asker’s', async () => {
  const setting = await saved();
  const { world, alice, chat, first, second } = setting;
  for (const replica of [first, second]) replica.kill();
  world.settings.placeholderAfterMs = 500;
  world.restart(first);
  await quiet(world);
  world.platform.down();
  const list = await world.asks(alice, chat, '!load', { token: '2. peas' });
  await world.until(() =>
    world.sent(chat).some(({ content }) => String(content['body']).includes('out of reach')),
  );
  world.platform.up();
  await quiet(world, () => answerTo(world, chat, list).includes('2. peas'));
  world.restart(second);
  await quiet(world);
  first.kill();
  await told(world, alice, chat, '2', 'Loaded “peas”');
  expect(world.verdict()).toBe('');
});

test('P5-once: a list is answered once; the next number goes to the agent', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, '!load', '2. peas');
  await told(world, alice, chat, '2', 'Loaded “peas”');
  await told(world, alice, chat, '1', 'echo: 1');
  expect(loaded(setting)).toBe('peas');
  expect(world.verdict()).toBe('');
});

test('P5-raw: what stands in an edit for clients that know no edits is no number', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  const old = await world.asks(alice, chat, 'old', { token: 'echo: old' });
  await told(world, alice, chat, '!load', '2. peas');
  await alice.sends(chat, {
    msgtype: 'm.text',
    body: '1',
    'm.new_content': { msgtype: 'm.text', body: 'new' },
    'm.relates_to': { rel_type: 'm.replace', event_id: old },
  });
  await told(world, alice, chat, '2', 'Loaded “peas”');
  expect(loaded(setting)).toBe('peas');
  expect(world.verdict()).toBe('');
});

test('P5-ten: a list waits for ten minutes', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  await told(world, alice, chat, '!load', '2. peas');
  await world.clock.advance(601_000);
  await told(world, alice, chat, '2', 'echo: 2');
  expect(loaded(setting)).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('P5-before: a number means no list that came after it', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  world.platform.answer = ({ text }) => ({ text: `echo: ${text}`, takesMs: 3000 });
  await world.asks(alice, chat, 'take time', { token: 'echo: take time' });
  await world.clock.advance(100);
  const list = await world.asks(alice, chat, '!load', { token: '2. peas' });
  await world.asks(alice, chat, '2', { token: 'echo: 2' });
  await quiet(world, () => answerTo(world, chat, list) !== '');
  expect(loaded(setting)).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('P5-person: a list is for the person who asked for it', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  const bob = world.person('bob');
  await alice.client.invite(chat, bob.mxid);
  await bob.acceptsAll();
  await told(world, alice, chat, '!load', '2. peas');
  await told(world, bob, chat, '2', 'echo: 2');
  expect(loaded(setting)).toBeUndefined();
  await told(world, alice, chat, '2', 'Loaded “peas”');
  expect(world.verdict()).toBe('');
});

test.each([true, false])(
  'P5-listed: for whom a list is was known when it was read; kept over a restart (%s) it spares the request',
  async (kept) => {
    const setting = await saved();
    const { world, alice, chat, first, second } = setting;
    for (const one of [first, second]) one.keepsQuestions = kept;
    const load = await world.asks(alice, chat, '!load', { token: '2. peas' });
    await quiet(world, () => answerTo(world, chat, load) !== '');
    for (const one of [first, second]) one.kill();
    for (const one of [first, second]) world.restart(one);
    await quiet(world);
    await told(world, alice, chat, '2', 'Loaded “peas”');
    const asked = world.requests(({ call, event }) => call === 'event' && event === load);
    expect(asked.length > 0).toBe(!kept);
    expect(world.verdict()).toBe('');
  },
);

test('P5-own: what somebody else writes as a list is none', async () => {
  const setting = await saved();
  const { world, alice, chat } = setting;
  const [question] = world.history(chat).filter(({ sender }) => sender === alice.mxid);
  const mark = { source: question?.event_id, step: 'anchor', final: true, epoch: 0, replica: 'r0' };
  const text = { hash: 'h', parts: 1, part: 1 };
  await alice.sends(chat, {
    msgtype: 'm.notice',
    body: listText(['all', 'peas'], '!'),
    'dev.understudy.delivery': { ...mark, text },
  });
  await told(world, alice, chat, '2', 'echo: 2');
  expect(loaded(setting)).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('P5-to-us: a number said to somebody else uses no list up, on whichever replica', async () => {
  const { world, alice, room } = await World.withRoom(2, (made) => {
    made.settings.alwaysRooms = () => false;
  });
  const tells = async (body: string, token: string, to = world.bot) => {
    const content = { msgtype: 'm.text', body, 'm.mentions': { user_ids: [to] } };
    const prompt = await alice.sends(room, content);
    if (token !== '') world.answers.push({ room, prompt, token });
    await quiet(world, () => token === '' || answerTo(world, room, prompt) !== '');
  };
  await tells('Bot: about peas', 'about peas');
  await tells('Bot: !save peas', 'Saved');
  await tells('Bot: !save all', 'Saved');
  await tells('Bot: !load', '2. peas');
  await tells('Carol: 1', '', '@carol:sim.test');
  await tells('2', '', '@carol:sim.test');
  const [first] = world.ranks(room, alice);
  first?.kill();
  await tells('Bot: 2', 'Loaded “peas”');
  await tells('Bot: 1', 'echo: Bot: 1');
  expect(world.verdict()).toBe('');
});
