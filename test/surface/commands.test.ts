import { expect, test } from 'vitest';
import { checkArguments, cleaned } from '../../src/bot/surface/commands/arguments.js';
import { parseCommand } from '../../src/bot/surface/commands/command.js';
import { commandList } from '../../src/bot/surface/commands/help.js';
import { type CommandEntry, commands, usageOf } from '../../src/bot/surface/commands/list.js';
import { adminList, visible } from '../../src/bot/surface/commands/permission.js';
import { answerTo, met, nameOf, quiet, told } from './setting.js';

const entry = (name: string) => commands.find((one) => one.name === name) as CommandEntry;

test('words in quotes stay together, and a prefix of any form makes a command', () => {
  expect(parseCommand('!', `!new "Herb garden" 'a b' Bob's`)).toEqual({
    name: 'new',
    words: ['Herb garden', 'a b', `Bob's`],
  });
  expect(parseCommand('!', '!new “Herb garden” ‘a b’ Bob’s „c d“')?.words).toEqual([
    'Herb garden',
    'a b',
    'Bob’s',
    'c d',
  ]);
  expect(parseCommand('!', `!save 'it’s here' "a “b” c"`)?.words).toEqual(['it’s here', 'a “b” c']);
  expect(parseCommand('bot: ', 'bot: HELP')).toEqual({ name: 'help', words: [] });
  expect(parseCommand('.*', '!help')).toBeUndefined();
  expect(parseCommand('!', '! 5')).toBeUndefined();
  expect(parseCommand('!', '!?')).toBeUndefined();
});

test('arguments are cleaned of what nobody sees, and long, missing and too many ones are told', () => {
  expect(cleaned(' a\u0000b\n\tc\u202e d\ud800 ')).toBe('a b c d');
  expect(checkArguments(entry('rename'), ['Herb', 'garden'])).toEqual({ args: ['Herb garden'] });
  expect(checkArguments(entry('rename'), [])).toEqual({ wrong: 'NAME is missing.' });
  expect(checkArguments(entry('new'), [])).toEqual({ args: [] });
  expect(checkArguments(entry('new'), ['\u0007'])).toEqual({ wrong: 'NAME is missing.' });
  expect(checkArguments(entry('rename'), ['👩‍🌾'.repeat(33)])).toEqual({ args: ['👩‍🌾'.repeat(33)] });
  expect(checkArguments(entry('rename'), ['x'.repeat(101)])).toEqual({
    wrong: 'NAME is too long: at most 100 characters.',
  });
  expect(checkArguments(entry('chats'), ['all'])).toEqual({ wrong: 'That is more than this command takes.' });
  expect(checkArguments(entry('agent'), ['a', 'b'])).toHaveProperty('wrong');
});

test('commands for admins are named to admins alone', () => {
  const table = [
    entry('new'),
    { name: 'purge', parameters: [], summary: 'all of it', who: 'admin' },
  ] as const;
  expect(commandList('!', visible<CommandEntry>(table, false))).not.toContain('purge');
  expect(commandList('!', visible<CommandEntry>(table, true))).toContain('!purge: all of it');
  expect(adminList(undefined)('@alice:x')).toBe(false);
  expect(adminList([])('@alice:x')).toBe(false);
  expect(adminList(['@ops-*:x'])('@ops-1:x')).toBe(true);
  expect(adminList(['@ops-*:x'])('@alice:x')).toBe(false);
});

test('every command in normal use, and with arguments that are missing or wrong', async () => {
  const { world, alice, chat, dm, space } = await met();
  const say = (body: string, token: string, room = chat) => told(world, alice, room, body, token);

  for (const { name, parameters, summary } of commands as readonly CommandEntry[]) {
    const usage = `Usage: !${usageOf(entry(name))}: ${summary}`;
    const tooMuch = parameters.length === 0 ? `!${name} more` : `!${name} "${'x'.repeat(101)}"`;
    expect(await say(tooMuch, usage)).toMatch(/^That is more|too long/);
    if (parameters.some(({ optional }) => optional !== true))
      expect(await say(`!${name}`, usage)).toMatch(/^\w+ is missing\./);
  }
  expect(await say('!help', 'Commands:')).toContain('!load [NAME]: ');
  expect(await say('!help !load', '!load [NAME]')).toContain('Only for the one whose room it is.');
  await say('!help nonsense', 'There is no command !nonsense.');
  await say('!context', 'chat: C1');
  await say('!context', 'no context yet', dm);
  await say('!save tomatoes', 'no context yet', dm);
  await say('!load', 'no context yet', dm);
  await say('!rename Kitchen', 'no chat that I made', dm);
  await say('!archive', 'no chat that I made', dm);
  await say('!yes', 'Nothing is pending.');
  await say('!no', 'Nothing is pending.');
  await say('!cancel', 'Nothing is under way here.');
  await say('!load', 'Nothing is saved here.');
  await say('!load tomatoes', 'Nothing is saved as “tomatoes” here.');
  await say('!save ..', 'no name for a context');
  await say('!load ..', 'no name for a context');
  await say('!agent nobody', 'There is no agent “nobody”.');

  await say('about tomatoes', 'echo: about tomatoes');
  await say('!save "my tomatoes"', 'Saved as “my tomatoes”.');
  await say('about beans', 'echo: about beans');
  await say('!branch Beans', 'Branched into C2 “Beans”');
  await say('!load my tomatoes', 'Loaded “my tomatoes”');
  expect(await say('!context', 'chat: C1')).toContain('loaded: my tomatoes');
  const [own, branch] = world.platform.chats.slice(-2).map(({ turns }) => turns?.map(({ text }) => text));
  expect(own).toEqual(['about tomatoes']);
  expect(branch).toEqual(['about tomatoes', 'about beans']);

  await say('!rename  The \u202egarden', 'This chat is called “The garden” now.');
  expect(nameOf(world, chat)).toBe('The garden');
  const [beans = ''] = await alice.acceptsAll();
  expect(await say('!chats', 'Your chats')).toMatch(/^→ C1 “The garden”: .*\n· C2 “Beans”: /m);
  await say('!archive', 'C2 is archived.', beans);
  await say('!archive', 'archived already', beans);
  await say('!rename Peas', 'This chat is archived.', beans);
  await say('and now?', 'This chat is archived.', beans);
  expect(await say('!chats', 'Your chats')).toMatch(/\narchived: C2 “Beans”$/);
  await say('!new', 'Made C3 “Chat C3”');
  expect(world.server.room(space).stateEvent('m.space.child', beans)?.event.content['via']).toBeUndefined();
  expect(world.verdict()).toBe('');
});

test('in a room that is somebody’s, what changes it is for that person and for admins', async () => {
  const { world, alice, chat } = await met((made) => {
    made.settings.isAdmin = (mxid) => mxid === '@carol:sim.test';
  });
  await told(world, alice, chat, 'a secret', 'echo: a secret');
  const [bob, carol] = [world.person('bob'), world.person('carol')];
  for (const guest of [bob, carol]) {
    await alice.client.invite(chat, guest.mxid);
    await guest.acceptsAll();
  }
  for (const { name, who, parameters } of commands as readonly CommandEntry[]) {
    if (who !== 'owner') continue;
    const body = [`!${name}`, ...parameters.map(() => 'agent-2')].join(' ');
    await told(
      world,
      bob,
      chat,
      body,
      `Only ${alice.mxid}, whose room this is, may do that here. !new makes you a chat of your own.`,
    );
  }
  expect(await told(world, bob, chat, '!chats', 'Your chats')).toContain('none; !new makes one');
  expect(nameOf(world, chat)).toBe('Chat');
  await told(world, carol, chat, '!rename Ours', 'This chat is called “Ours” now.');

  world.platform.answer = () => ({ text: 'long', takesMs: 60_000 });
  const prompt = await world.asks(alice, chat, 'take long', { token: 'Cancelled.' });
  await world.until(() => world.platform.invocations.length === 2);
  const refused = await world.asks(bob, chat, '!cancel', { token: `Only ${alice.mxid}, who asked` });
  await world.until(() => answerTo(world, chat, refused) !== '');
  const cancelled = await world.asks(carol, chat, '!cancel', { token: 'Asked the agent to stop.' });
  await quiet(world, () => answerTo(world, chat, cancelled) !== '' && answerTo(world, chat, prompt) !== '');
  expect(world.verdict()).toBe('');
});

test('!status names tasks and warnings to admins alone', async () => {
  const { world, alice, chat } = await met((made) => {
    made.settings.isAdmin = (mxid) => mxid === '@carol:sim.test';
  });
  const carol = world.person('carol');
  await alice.client.invite(chat, carol.mxid);
  await carol.acceptsAll();
  world.platform.answer = () => ({ text: 'done', takesMs: 5000 });
  await world.asks(alice, chat, 'go', { token: 'done' });
  await world.until(() => world.platform.invocations.length === 1);
  const mine = await world.asks(alice, chat, '!status', { token: 'answered by' });
  const admins = await world.asks(carol, chat, '!status', { token: 'answered by' });
  await quiet(world, () => answerTo(world, chat, admins) !== '');
  expect(answerTo(world, chat, mine)).toMatch(/tasks: 1 running$/);
  expect(answerTo(world, chat, admins)).toMatch(
    /tasks: 1 running\n· agent-1, running for \d s: answer in C1$/,
  );
  expect(world.verdict()).toBe('');
});

test('with another prefix that one alone makes a command, and every text shows it', async () => {
  const { world, alice, chat } = await met((made) => (made.settings.prefix = '?'));
  expect(await told(world, alice, chat, '?help', '?new')).not.toContain('!');
  await told(world, alice, chat, '?rename', '?rename');
  await told(world, alice, chat, '!help', '!help');
  expect(world.platform.invocations.map(({ text }) => text)).toEqual(['!help']);
  expect(
    world.sent(chat).filter(({ content }) => /!(new|help|chats)/.test(String(content['body']))),
  ).toHaveLength(1);
  expect(world.verdict()).toBe('');
});
