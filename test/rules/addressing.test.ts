import { expect, test } from 'vitest';
import type { BotSettings } from '../../src/bot/deps.js';
import { said } from '../../src/bot/addressing/said.js';
import { namesAsWord } from '../../src/bot/addressing/signs.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { LEASE, PATIENCE, World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { QUESTION, questions } from './asking.js';
import { of } from './setting.js';

const NOTICE = /^I answer only people on my list/;
const DIRECT_LINE = /^Hello! Your chat/;

/** A room in which alice, bob and the bot are. It answers those who address it. */
async function group(settings: Partial<BotSettings> = {}, prepare: (world: World) => void = () => {}) {
  const { world, alice, room } = await World.withRoom(2, (made) => {
    Object.assign(made.settings, { alwaysRooms: () => false, ...settings });
    prepare(made);
  });
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.client.join(room);
  const [first, second] = world.ranks(room, alice);
  if (!first || !second) throw new Error('two replicas are needed');
  return { world, alice, bob, room, first, second };
}

const text = (body: string, more: object = {}) => ({ msgtype: 'm.text', body, ...more });
const mentions = (...user_ids: string[]) => ({ 'm.mentions': { user_ids } });
const replyTo = (event_id: string) => ({ 'm.relates_to': { 'm.in_reply_to': { event_id } } });
const inThread = (root: string, last = root) => ({
  'm.relates_to': {
    rel_type: 'm.thread',
    event_id: root,
    is_falling_back: true,
    'm.in_reply_to': { event_id: last },
  },
});

/** Says something that must be answered once. */
async function asks(world: World, person: SimulatedPerson, room: string, content: ReturnType<typeof text>) {
  const prompt = await person.sends(room, content);
  world.answers.push({ room, prompt, token: content.body });
  return prompt;
}

/** Why that event is settled, as each replica that runs has it. */
const reasons = (world: World, room: string, event: string) =>
  world.replicas
    .filter(({ running }) => running)
    .map(({ life }) => life.state.read('mark', `mark:${room} ${event}`)?.['reason']);

const answerIn = (world: World, room: string) => world.sent(room).at(-1)?.event_id ?? '';

/** Every process ends and starts anew: what was in memory is gone. */
async function restartAll(world: World): Promise<void> {
  for (const replica of world.replicas) replica.kill();
  for (const replica of world.replicas) world.restart(replica);
  await world.clock.advance(2000);
}

test('C1-addressed: what is not addressed is settled as not for us, and no agent sees it', async () => {
  const { world, alice, bob, room } = await group();
  const chatter = [
    await alice.says(room, 'good morning'),
    await bob.sends(room, text('the bot is odd', mentions('@carol:sim.test'))),
    await bob.sends(room, text('everybody!', { 'm.mentions': { room: true } })),
    await alice.sends(room, text('bot?', { 'm.mentions': 'what is this' })),
    await bob.says(room, '!status'),
  ];
  await asks(world, bob, room, text('and you?', mentions(world.bot)));
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
  for (const event of chatter) expect(reasons(world, room, event)).toEqual(['not-for-us', 'not-for-us']);
  expect(world.actorProblems()).toEqual([]);
  const runs = [...world.replica(0).life.state.actors.keys()].filter((key) => key.startsWith('run/'));
  expect(runs).toHaveLength(1);
});

test('C1-addressed: an outage of the homeserver delays the judgement, and decides nothing', async () => {
  const { world, alice, room, first } = await group();
  const own = await asks(world, alice, room, text('hello', mentions(world.bot)));
  await world.settleAll();
  const answer = answerIn(world, room);
  await restartAll(world);
  world.server.refuse(({ call }) => call === 'event' || call === 'accountData', 502, 5);
  await asks(world, alice, room, text('why?', { ...replyTo(answer), ...mentions() }));
  const other = await alice.sends(room, text('I mean this', { ...replyTo(own), ...mentions() }));
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(reasons(world, room, other)).toEqual(['not-for-us', 'not-for-us']);
  expect(first.bot.engine.unsettled()).toBe(0);
});

test('C1-direct: a direct chat is what m.direct or the invite says, however many are in it', async () => {
  const { world, alice, bob } = await group();
  const direct = await alice.client.createRoom({
    preset: 'private_chat',
    invite: [world.bot],
    is_direct: true,
  });
  const plain = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  world.messages.push({ room: direct, text: DIRECT_LINE }, { room: plain, text: DIRECT_LINE });
  await world.settleAll();
  await alice.client.invite(direct, bob.mxid);
  await bob.client.join(direct);
  await asks(world, alice, direct, text('hello'));
  const ignored = await alice.says(plain, 'only the two of us');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(reasons(world, plain, ignored)).toEqual(['not-for-us', 'not-for-us']);
  const content = world.server.accountData({ user: world.bot, device: '' }, 'm.direct');
  expect(content).toEqual({ [alice.mxid]: [direct] });
  // Set by somebody else, as the account's owner at another client.
  await world.server
    .connect('bot', 'ELEMENT')
    .setAccountData('m.direct', { [alice.mxid]: [direct, plain], '@odd:x': 'not a list' });
  await asks(world, alice, plain, text('now it is one'));
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('C1-direct: a chat that the bot made for a person answers also where its record is not known', async () => {
  const world = new World(2);
  world.settings.alwaysRooms = () => false;
  await world.startAll();
  const alice = world.person('alice');
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot], is_direct: true });
  world.messages.push({ room: dm, text: DIRECT_LINE });
  await world.settleAll();
  await alice.acceptsAll();
  const [first, second] = world.ranks(dm, alice);
  world.linked = false;
  await asks(world, alice, dm, text('!new Plans'));
  await world.until(() => world.seen(dm).length === 2);
  first?.kill();
  first?.wipe();
  const [room = ''] = await alice.acceptsAll();
  expect(second?.bot.records.room(room)).toBeUndefined();
  const said = await alice.says(room, 'hello');
  await world.clock.advance(3 * PATIENCE);
  expect(world.seen(room).map(({ inReplyTo }) => inReplyTo)).toEqual([said]);
});

test('C1-named: the name that we have in the room is a mention where the client knows no m.mentions', async () => {
  const { world, alice, bob, room } = await group();
  const named = world.server.connect('bot', 'ELEMENT');
  await asks(world, alice, room, text('Bot, are you there?'));
  await world.settleAll();
  await named.setState(room, 'm.room.member', world.bot, { membership: 'join', displayname: 'Bücherwurm' });
  await asks(world, bob, room, text('BÜCHERWURM: what is new?'));
  const ignored = [
    await bob.says(room, 'are you there, Bot?'),
    await bob.says(room, 'die Bücherwurms sind da'),
    await bob.sends(room, text('Bücherwurm!', mentions())),
    await bob.sends(room, text(`> <${alice.mxid}> Bücherwurm, hello\n\nI agree`, replyTo('$1'))),
  ];
  await world.settleAll();
  expect(world.verdict()).toBe('');
  for (const event of ignored) expect(reasons(world, room, event)).toEqual(['not-for-us', 'not-for-us']);
});

test('C1-spoken: a message that begins with our name or user id is for us, also beside m.mentions that name nobody', async () => {
  const { world, alice, bob, room } = await group();
  const named = world.server.connect('bot', 'ELEMENT');
  await named.setState(room, 'm.room.member', world.bot, { membership: 'join', displayname: 'Bücherwurm' });
  await asks(world, bob, room, text('BÜCHERWURM, what is new?', mentions()));
  await asks(world, alice, room, text(`${world.bot}: and here?`, mentions()));
  await asks(world, alice, room, text(`${world.bot} and now?`, mentions()));
  await asks(world, bob, room, text('bot: hello', mentions()));
  const ignored = [
    await bob.sends(room, text('I asked Bücherwurm: it knows', mentions())),
    await bob.sends(room, text('Bücherwurm is away', mentions())),
    await bob.sends(room, text('robot: hello', mentions())),
    await bob.sends(room, text(`${world.bot}x: hello`, mentions())),
    await bob.sends(room, {
      ...text('bot: hello', mentions('@bot:other.test')),
      format: 'org.matrix.custom.html',
      formatted_body: '<a href="https://matrix.to/#/@bot:other.test">bot</a>: hello',
    }),
  ];
  await world.settleAll();
  expect(world.verdict()).toBe('');
  for (const event of ignored) expect(reasons(world, room, event)).toEqual(['not-for-us', 'not-for-us']);
});

test.each([
  ['hello Understudy!', 'Understudy', true],
  ['understudy', 'Understudy', true],
  ['Understudys', 'Understudy', false],
  ['xUnderstudy', 'Understudy', false],
  ['my_bot', 'bot', false],
  ['robot, bot', 'bot', true],
  ['бот, привет', 'Бот', true],
  ['боты', 'Бот', false],
  ['cafe\u0301 here', 'Caf\u00e9', true],
  ['bot\u0301', 'bot', false],
  ['𝒜bot', 'bot', false],
  ['(bot)', 'bot', true],
  ['hi 🤖bot', '🤖bot', true],
  ['x🤖y', '🤖', true],
  ['C++ please', 'C++', true],
  ['.*', 'bot', false],
  ['anything', ' ', false],
])('C1-named: %j names %j as a whole word: %s', (body, name, is) => {
  expect(namesAsWord(body, name)).toBe(is);
});

test('C1-reply: a reply to a message of ours is for us, also when nobody remembers it', async () => {
  const { world, alice, bob, room } = await group();
  const own = await asks(world, alice, room, text('hello', mentions(world.bot)));
  await world.settleAll();
  const answer = answerIn(world, room);
  await asks(world, bob, room, text('really?', { ...replyTo(answer), ...mentions() }));
  await world.settleAll();
  const asked = () => world.requests(({ call, user }) => call === 'event' && user === world.bot).length;
  const before = asked();
  await asks(world, bob, room, text('truly?', { ...replyTo(answer), ...mentions() }));
  await world.settleAll();
  expect(asked()).toBe(before);
  await restartAll(world);
  await asks(world, bob, room, text('still?', { ...replyTo(answer), ...mentions() }));
  const ignored = [
    await bob.sends(room, text('not you', { ...replyTo(own), ...mentions() })),
    await bob.sends(room, text('nobody', { ...replyTo('$nowhere'), ...mentions() })),
    await bob.sends(room, text('odd', { ...replyTo(`$${'/'.repeat(254)}`), ...mentions() })),
    await bob.sends(room, text('odder', { ...replyTo('\ud800'), ...mentions() })),
  ];
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(asked()).toBeGreaterThan(before);
  for (const event of ignored) expect(reasons(world, room, event)).toEqual(['not-for-us', 'not-for-us']);
});

test('C1-thread: C1-thread-relations: who is answered in a thread goes on there without a mention, also when nobody remembers it', async () => {
  const { world, alice, bob, room } = await group();
  const root = await alice.says(room, 'let us talk');
  await asks(world, bob, room, text('you too', { ...inThread(root), ...mentions(world.bot) }));
  await world.settleAll();
  const relation = world.sent(room).at(-1)?.content['m.relates_to'];
  expect(relation).toMatchObject({ rel_type: 'm.thread', event_id: root });
  await asks(world, alice, room, text('and then?', { ...inThread(root), ...mentions() }));
  await world.settleAll();
  await restartAll(world);
  await asks(world, bob, room, text('go on', { ...inThread(root, answerIn(world, room)), ...mentions() }));
  const other = await alice.says(room, 'another');
  const ignored = await bob.sends(room, text('us', { ...inThread(other), ...mentions() }));
  // The fallback for old clients is no reply.
  const fallback = await bob.sends(
    room,
    text('us', { ...inThread(other, answerIn(world, room)), ...mentions() }),
  );
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(reasons(world, room, ignored)).toEqual(['not-for-us', 'not-for-us']);
  expect(reasons(world, room, fallback)).toEqual(['not-for-us', 'not-for-us']);
});

test('C1-stood: what was begun in the room is ended there, also by a replica that would not have begun it', async () => {
  const { world, alice, room, first } = await group({ placeholderAfterMs: 100 }, (made) => {
    made.platform.answer = ({ text: said }) => ({ text: said, takesMs: 20_000 });
  });
  await asks(world, alice, room, text('bot, think'));
  await world.until(() => world.sent(room).length === 1);
  first.kill();
  const named = world.server.connect('bot', 'ELEMENT');
  await named.setState(room, 'm.room.member', world.bot, { membership: 'join', displayname: 'Other' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.seen(room).map(({ body }) => body)).toEqual(['bot, think']);
});

test('C1-reply: who takes over judges alike, whatever it remembers', async () => {
  const { world, alice, bob, room, first } = await group();
  await asks(world, alice, room, text('hello', mentions(world.bot)));
  await world.settleAll();
  const answer = answerIn(world, room);
  await restartAll(world);
  const look = world.server.hold(of(first, 'event'), 'after');
  await asks(world, bob, room, text('why?', { ...replyTo(answer), ...mentions() }));
  const ignored = await bob.says(room, 'well');
  await world.until(() => look.used);
  first.kill();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(reasons(world, room, ignored)).toEqual(['not-for-us']);
});

test('C1-always: a room that the configuration names answers everybody; its record says so to all', async () => {
  let named = new Set<string>();
  const { world, alice, bob, room } = await group({ alwaysRooms: (one) => named.has(one) });
  const before = await alice.says(room, 'nobody listens');
  await world.settleAll();
  expect(reasons(world, room, before)).toEqual(['not-for-us', 'not-for-us']);
  named = new Set([room]);
  await restartAll(world);
  named = new Set();
  await asks(world, alice, room, text('hello'));
  await asks(world, bob, room, text('hello too'));
  await world.settleAll();
  expect(world.verdict()).toBe('');
  for (const { bot } of world.replicas) expect(bot.records.room(room)?.answers).toBe('always');
  await restartAll(world);
  const after = await alice.says(room, 'nobody listens again');
  await world.settleAll();
  expect(reasons(world, room, after)).toEqual(['not-for-us', 'not-for-us']);
});

const only = (name: string) => (mxid: string) => mxid === `@${name}:sim.test`;

test('C1-stranger: who may not talk to the bot hears so once in a room, over replicas and restarts', async () => {
  const { world, alice, bob, room, first } = await group({ allowed: only('alice'), strangers: 'notice' });
  await bob.says(room, 'I talk to alice');
  await world.settleAll();
  expect(world.sent(room)).toEqual([]);
  world.messages.push({ room, text: NOTICE });
  const send = world.server.hold(of(first, 'send'), 'before');
  world.hub.down();
  world.linked = false;
  await bob.sends(room, text('hello bot', mentions(world.bot)));
  await bob.sends(room, text('bot, hear me'));
  await world.until(() => world.sent(room).length === 1);
  send.release();
  await world.clock.advance(2 * PATIENCE);
  first.kill();
  world.linked = true;
  world.restart(first);
  world.healRelay();
  await world.settleAll();
  await restartAll(world);
  await bob.sends(room, text('again, bot', mentions(world.bot)));
  await asks(world, alice, room, text('me?', mentions(world.bot)));
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('C1-stranger: killed before the notice stands, another replica gives it, and one that comes back no second', async () => {
  const { world, bob, room, first } = await group({ allowed: only('alice'), strangers: 'notice' });
  world.messages.push({ room, text: NOTICE });
  const send = world.server.hold(of(first, 'send'), 'after');
  await bob.sends(room, text('hello bot', mentions(world.bot)));
  await world.until(() => send.used);
  first.kill();
  await world.clock.advance(LEASE);
  world.restart(first);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toEqual([]);
});

test('C1-stranger: silence is silence, and leaves no trace', async () => {
  const { world, bob, room } = await group({ allowed: only('alice') });
  const said = await bob.sends(room, text('hello bot', mentions(world.bot)));
  await world.settleAll();
  expect(world.sent(room)).toEqual([]);
  expect(world.platform.invocations).toEqual([]);
  expect(reasons(world, room, said)).toEqual([undefined, undefined]);
});

test.each([
  ['allowed', 'alice', 'join'],
  ['allowed', 'mallory', 'leave'],
  ['all', 'mallory', 'join'],
  ['none', 'alice', 'leave'],
] as const)('P4-declined: with invites from %s, that of %s ends in %s', async (invites, name, end) => {
  const { world, first } = await group({ allowed: only('alice'), invites });
  // Killed in the middle of it: the other ends it.
  const call = world.server.hold((one) => of(first, 'join')(one) || of(first, 'leave')(one), 'before');
  const person = world.person(name);
  const room = await person.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.clock.advance(1000);
  if (call.used) first.kill();
  await world.settleAll();
  expect(world.server.room(room).membership(world.bot)).toBe(end);
  const greets = end === 'join' && name === 'alice';
  expect(world.sent(room)).toHaveLength(greets ? 1 : 0);
  expect(
    world.server.room(room).timeline.filter(({ event }) => event.content['membership'] === 'join'),
  ).toHaveLength(end === 'join' ? 2 : 1);
});

/** What `m.direct` lists, as texts. */
function direct(world: World): string[] {
  const lists = world.server.accountData({ user: world.bot, device: '' }, 'm.direct') ?? {};
  return Object.values(lists).flat().map(String).toSorted();
}

test('P4-direct: two replicas that write m.direct at once lose no entry of each other', async () => {
  const { world, first, second } = await group();
  const owners = new Map([first, second].map((replica) => [replica, [] as SimulatedPerson[]]));
  for (const name of ['carol', 'dave', 'erin', 'frank', 'grace', 'heidi']) {
    const person = world.person(name);
    const [owner] = world.ranks('', person);
    if (owner) owners.get(owner)?.push(person);
  }
  const [one, other] = [owners.get(first)?.[0], owners.get(second)?.[0]];
  if (!one || !other) throw new Error('each replica must own a person');
  await world.server.connect('bot', 'ELEMENT').setAccountData('m.direct', { '@kept:x': ['!kept:x'] });
  const invite = (person: SimulatedPerson) =>
    person.client.createRoom({ preset: 'private_chat', invite: [world.bot], is_direct: true });
  // It has read before the other writes, and writes long after, when it does not run any more.
  const late = world.server.hold(of(first, 'setAccountData'), 'before');
  const rooms = [await invite(one)];
  await world.until(() => late.used);
  rooms.push(await invite(other));
  await world.until(() => direct(world).includes(rooms[1] ?? ''));
  late.release();
  await world.settleAll();
  expect(direct(world)).toEqual(['!kept:x', ...rooms].toSorted());
});

test('P4-direct: a direct chat is listed before the bot is in it, whoever is killed in between', async () => {
  const { world, alice, first, second } = await group();
  const [owner, other] = world.ranks('', alice)[0] === first ? [first, second] : [second, first];
  const join = world.server.hold(of(owner, 'join'), 'before');
  const room = await alice.client.createRoom({
    preset: 'private_chat',
    invite: [world.bot],
    is_direct: true,
  });
  await world.until(() => join.used);
  expect(direct(world)).toEqual([room]);
  owner.kill();
  world.messages.push({ room, text: DIRECT_LINE });
  await world.until(() => world.server.room(room).membership(world.bot) === 'join');
  // Nobody who saw the invite runs any more.
  other.kill();
  await asks(world, alice, room, text('hello'));
  for (const replica of [owner, other]) world.restart(replica);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('P5-named: after our name !yes decides, ahead of the run that asked, and a number chooses', async () => {
  const { world, alice, room } = await group({}, (made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text: said }) =>
      said.includes('ask') ? { text: said, asks: '1' } : { text: `echo: ${said}` };
  });
  const me = mentions(world.bot);
  const says = async (body: string, token: string, more: object = me) => {
    const prompt = await alice.sends(room, text(body, more));
    world.answers.push({ room, prompt, token, ...(body.includes('ask') && { asks: QUESTION }) });
    if (!body.includes('ask')) await quiet(world, () => answerTo(world, room, prompt) !== '');
  };
  await says('Bot: ask', 'Bot: ask');
  await world.until(() => questions(world, room).length === 1);
  await alice.sends(room, text('!no'));
  await alice.sends(room, text('carol: !no', mentions('@carol:sim.test')));
  await says('Bot: !yes', '✅ Approved.');
  expect(world.platform.decided.map(({ decision }) => decision)).toEqual(['approve']);
  await says('Bot: !save peas', 'Saved', me);
  await says('Bot, !load', '1. peas', me);
  const old = `> <${world.bot}> 1. peas\n> Write a number\n\n1`;
  await says(old, 'Loaded “peas”', { ...replyTo(answerIn(world, room)) });
  // An agent is told the whole text.
  await says('Bot: and !yes?', 'echo: Bot: and !yes?');
  expect(world.verdict()).toBe('');
});

test('what is said to us stands without our name before it', () => {
  const me = '@bot:sim.test';
  const pill = (link: string, name: string) => ({
    formatted_body: `<a href="https://matrix.to/#/${link}">${name}</a> !yes`,
  });
  const of = (body: string, content: object = {}) =>
    said(body, { ...text(body, content), content: text(body, content) } as never, me);
  expect(of('Understudy: !yes', mentions(me))).toBe('!yes');
  expect(of('Understudy, !yes', mentions(me))).toBe('!yes');
  expect(of('@bot:sim.test !yes')).toBe('!yes');
  expect(of('Bot: 2')).toBe('2');
  expect(of('Under Study !yes', pill(encodeURIComponent(me), 'Under Study'))).toBe('!yes');
  expect(of('Under Study !yes', pill(me, 'Under Study'))).toBe('!yes');
  for (const [body, content] of [
    ['Understudy: !yes', {}],
    ['Understudy: !yes', mentions('@carol:sim.test')],
    ['please run !yes', mentions(me)],
    ['Carol !yes', pill('@carol:sim.test', 'Carol')],
    ['Carol !yes', pill('%E0%A4%A', 'Carol')],
    ['> <@carol:sim.test> !yes', {}],
    ['!rename a: b', mentions(me)],
  ] as const)
    expect(of(body, content), body).toBe(body);
});
