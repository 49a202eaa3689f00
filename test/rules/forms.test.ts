import { expect, test } from 'vitest';
import { FormsReadBack } from '../../src/bot/forms.js';
import { formName } from '../../src/bot/edits.js';
import { RunUnderWay } from '../../src/bot/surface/run-under-way.js';
import type { RoomEvent } from '../../src/matrix/homeserver.js';
import { answerTo, met, quiet, told } from '../surface/setting.js';
import { setting } from './setting.js';

const [SELF, ALICE] = ['@bot:x', '@alice:x'];

const said = (event_id: string, content: object, sender = ALICE): RoomEvent => ({
  event_id,
  sender,
  type: 'm.room.message',
  origin_server_ts: 1000 + Number(event_id.slice(1)),
  content: { msgtype: 'm.text', body: '', ...content },
});
const edit = (id: string, target: string, body: string, sender = ALICE) =>
  said(
    id,
    {
      'm.new_content': { msgtype: 'm.text', body },
      'm.relates_to': { rel_type: 'm.replace', event_id: target },
    },
    sender,
  );
const final = (id: string, source: string, of?: string) => {
  const mark = {
    source,
    step: 'anchor',
    final: true,
    epoch: 0,
    replica: 'r',
    ...(of !== undefined && { of }),
  };
  return said(id, { body: 'answer', 'dev.understudy.delivery': mark }, SELF);
};

/** The body of the oldest, after all were read back. */
function bodyOf(events: RoomEvent[], attempts: string[] = []): unknown {
  const records = { attempts: () => new Map(attempts.map((attempt) => [attempt, 'begun'])) };
  const forms = new FormsReadBack('!r', { self: SELF, records });
  return events.map((event) => forms.read(event)).at(-1)?.content['body'];
}

test('C1-read-back: a message counts in the form that its answer, its attempts or its sender name', () => {
  const first = said('$1', { body: 'one' });
  const [two, three] = [edit('$2', '$1', 'two'), edit('$4', '$1', 'three')];
  expect(bodyOf([first])).toBe('one');
  expect(bodyOf([three, two, first])).toBe('three');
  expect(bodyOf([three, final('$3', '$1', '$2'), two, first])).toBe('two');
  expect(bodyOf([two, final('$3', '$1'), first])).toBe('one');
  expect(bodyOf([three, two, first], [`r/i/1/${formName('$2')}`])).toBe('two');
  expect(bodyOf([three, two, first], ['r/i/1'])).toBe('one');
  // What is nobody's to change, or of another message, changes nothing.
  expect(bodyOf([edit('$2', '$1', 'of bob', '@bob:x'), edit('$3', '$9', 'of another'), first])).toBe('one');
  const bundled = { ...first, unsigned: { 'm.relations': { 'm.replace': two } } };
  expect(bodyOf([bundled])).toBe('two');
});

test('P5-edited: what an edit made of a number is no choice, and a choice that an edit made is one', async () => {
  const busily = async () => {
    const made = await met();
    const { world, alice, chat } = made;
    await told(world, alice, chat, 'about peas', 'echo: about peas');
    await told(world, alice, chat, '!save peas', 'Saved');
    await told(world, alice, chat, '!load', '1. peas');
    world.platform.answer = ({ text }) => ({ text: `echo: ${text}`, takesMs: text === 'long' ? 7000 : 5 });
    // What is said next is not begun yet.
    await world.asks(alice, chat, 'long', { token: 'echo: long' });
    await world.until(() => world.platform.invocations.some(({ text }) => text === 'long'));
    return made;
  };
  const number = await busily();
  const no = await number.world.asks(number.alice, number.chat, '1', { token: 'echo: no number' });
  await number.alice.edits(number.chat, no, 'no number');
  await quiet(number.world, () => answerTo(number.world, number.chat, no) !== '');
  await told(number.world, number.alice, number.chat, '1', 'Loaded “peas”');
  expect(number.world.verdict()).toBe('');

  const choice = await busily();
  const yes = await choice.world.asks(choice.alice, choice.chat, 'no number', { token: 'Loaded “peas”' });
  await choice.alice.edits(choice.chat, yes, '1');
  await quiet(choice.world, () => answerTo(choice.world, choice.chat, yes) !== '');
  await told(choice.world, choice.alice, choice.chat, '1', 'echo: 1');
  expect(choice.world.verdict()).toBe('');
});

test('O6-edited: what an edit made a prompt is the run that a !cancel means, also for who has it in memory no more', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({
      text: `re: ${text}`,
      takesMs: text.startsWith('long') ? 7000 : 5,
    });
  });
  await world.asks(alice, room, 'long 1', { token: 're: long 1' });
  await world.until(() => world.platform.invocations.length === 1);
  const prompt = await world.asks(alice, room, '!help', { token: 're: long 2' });
  await alice.edits(room, prompt, 'long 2');
  await world.until(() => world.platform.invocations.length === 2);
  const later = await alice.sends(room, { msgtype: 'm.notice', body: 'here' });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  const underWay = new RunUnderWay({
    homeserver: world.server.connect('bot', 'LOOKER'),
    records: first.bot.records,
    self: world.bot,
    known: () => undefined,
    isPrompt: ({ content }) => !String(content['body']).startsWith('!'),
  });
  const found = await underWay.before(room, later, new AbortController().signal);
  expect(found?.id).toBe(prompt);
  expect(world.verdict()).toBe('');
});

test('F-edited: files wait for the next prompt behind what an edit made a command, and for no other', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text: `re: ${text}`, takesMs: text === 'long' ? 7000 : 5 });
  });
  const file = (name: string) => {
    const url = world.server.upload(`bytes of ${name}`);
    return alice.sends(room, {
      msgtype: 'm.image',
      body: name,
      url,
      info: { mimetype: 'image/png', size: 12 },
    });
  };
  await world.asks(alice, room, 'long', { token: 're: long' });
  await world.until(() => world.platform.invocations.length === 1);
  await file('a.png');
  const command = await world.asks(alice, room, 'a prompt', { token: '!help' });
  await alice.edits(room, command, '!help');
  await world.asks(alice, room, 'with a', { token: 're: with a' });
  await file('b.png');
  const prompt = await world.asks(alice, room, '!help', { token: 're: with b' });
  await alice.edits(room, prompt, 'with b');
  await world.asks(alice, room, 'with none', { token: 're: with none' });
  await quiet(world, () => world.platform.invocations.length === 4);
  const given = world.platform.invocations.map(({ text, files = [] }) =>
    [text, ...files.map((one) => one.split(':')[0])].join(' + '),
  );
  expect(given).toEqual(['long', 'with a + a.png', 'with b + b.png', 'with none']);
  expect(world.verdict()).toBe('');
  expect([first.up, second.up]).toEqual([true, true]);
});
