import { expect, test } from 'vitest';
import { killAfter } from '../simulation/boundaries.js';
import { seed } from '../simulation/state.js';
import { World } from '../simulation/world.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { answerTo, met, quiet, told } from '../surface/setting.js';
import { of, setting } from './setting.js';

/** The platform keeps its keys; threads have contexts of their own. */
const own = (world: World) => {
  world.platform.forgetful = false;
  world.settings.threads = 'own';
};

const relation = (root: string) => ({
  rel_type: 'm.thread',
  event_id: root,
  is_falling_back: true,
  'm.in_reply_to': { event_id: root },
});

/** Says something in the thread, expects one answer that holds `token`, and resolves to its text once all is quiet. */
async function saysIn(
  world: World,
  person: SimulatedPerson,
  [room, root]: [string, string],
  body: string,
  token = body,
): Promise<string> {
  const prompt = await person.sends(room, { msgtype: 'm.text', body, 'm.relates_to': relation(root) });
  world.answers.push({ room, prompt, token });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  return answerTo(world, room, prompt);
}

/** What was said in each context that was talked in, in the order in which they were made. */
const contexts = (world: World): string[][] =>
  world.platform.chats
    .map(({ turns = [] }) => turns.map(({ text }) => text))
    .filter((turns) => turns.length > 0);

test('P1-threads: a thread has one context, what stands in none the room’s; shared until a room is set otherwise', async () => {
  const { world, alice, room } = await setting((made) => {
    made.platform.forgetful = false;
  });
  const one = await alice.says(room, '!threads');
  const two = await alice.says(room, '!help');
  const say = (body: string, token = body) => told(world, alice, room, body, token);
  await quiet(world, () => answerTo(world, room, two) !== '');
  expect(answerTo(world, room, one)).toBe('Threads here share the room’s context.');
  world.answers.push({ room, prompt: one, token: 'share' }, { room, prompt: two, token: 'Commands' });
  await say('r1');
  await saysIn(world, alice, [room, one], 'a1');
  await say('!threads all', '!threads own, or !threads shared');
  await say('!threads own', 'Each thread here has a context of its own');
  await saysIn(world, alice, [room, one], 'a2');
  await saysIn(world, alice, [room, two], 'b1');
  await say('r2');
  await saysIn(world, alice, [room, one], 'a3');
  await saysIn(world, alice, [room, two], 'b2');
  expect(contexts(world)).toEqual([
    ['r1', 'a1', 'r2'],
    ['a2', 'a3'],
    ['b1', 'b2'],
  ]);
  await saysIn(world, alice, [room, two], '!threads shared', 'share the room’s context');
  await saysIn(world, alice, [room, one], 'a4');
  await say('!threads own', 'Each thread');
  await saysIn(world, alice, [room, one], 'a5');
  expect(contexts(world)).toEqual([
    ['r1', 'a1', 'r2', 'a4'],
    ['a2', 'a3', 'a5'],
    ['b1', 'b2'],
  ]);
  expect(world.verdict()).toBe('');
});

test('P1-threads: the first prompt of a thread at two replicas that are apart makes one context', async () => {
  const { world, alice, room, first } = await setting(own);
  const root = await world.asks(alice, room, 'root');
  await world.settleAll();
  world.hub.down();
  world.linked = false;
  const send = world.server.hold(of(first, 'send'), 'before');
  const saying = saysIn(world, alice, [room, root], 'hello');
  await world.until(() => world.seen(room).length === 2);
  send.release();
  await saying;
  world.linked = true;
  world.healRelay();
  await saysIn(world, alice, [room, root], 'again');
  expect(contexts(world)).toEqual([['root'], ['hello', 'again']]);
  expect(world.verdict()).toBe('');
});

test('P1-threads: killed after each write, taken over, and by a replica that knows nothing: the same context', async () => {
  const { world, alice, room, first, second } = await setting(own);
  const root = await world.asks(alice, room, 'root');
  await world.settleAll();
  let kills = 0;
  for (let n = 1; kills === n - 1; n += 1) {
    const of = await world.asks(alice, room, `root ${n}`);
    await world.settleAll();
    const boundary = killAfter(world, first, n);
    await saysIn(world, alice, [room, of], `first ${n}`);
    boundary.lift();
    if (boundary.killed()) {
      kills += 1;
      world.restart(first);
      await world.until(() => first.up && first.life.started === 'started');
    }
    await quiet(world);
    await saysIn(world, alice, [room, of], `second ${n}`);
    expect(contexts(world)).toHaveLength(1 + n);
    expect(contexts(world)[n]).toEqual([`first ${n}`, `second ${n}`]);
  }
  expect(kills).toBeGreaterThanOrEqual(4);
  await saysIn(world, alice, [room, root], 'early');
  for (const replica of [first, second]) {
    replica.kill();
    replica.wipe();
    world.restart(replica);
    world.exchangeAll();
    await world.until(() => replica.life.started === 'started', 120_000);
  }
  await saysIn(world, alice, [room, root], 'late');
  expect(contexts(world).at(-1)).toEqual(['early', 'late']);
  expect(world.platform.chats).toHaveLength(contexts(world).length);
  expect(world.verdict()).toBe('');
});

test('P1-thread-lost: a platform that lost everything gives a thread its own context again, not the room’s', async () => {
  const { world, alice, room } = await setting(own);
  const root = await world.asks(alice, room, '!agent agent-2', { token: 'now talks to Two' });
  await quiet(world, () => answerTo(world, room, root) !== '');
  await saysIn(world, alice, [room, root], 'before');
  world.platform.loses();
  await saysIn(world, alice, [room, root], 'after');
  await told(world, alice, room, 'in the room', 'in the room');
  expect(contexts(world)).toEqual([['in the room'], ['after']]);
  world.platform.loses();
  await saysIn(world, alice, [room, root], '!save it', 'brings it back in this thread');
  await saysIn(world, alice, [room, root], 'at last');
  expect(contexts(world)).toEqual([['at last']]);
  expect(world.verdict()).toBe('');
});

test('P1-thread-agent: !agent begins the threads afresh too, with the room’s new agent', async () => {
  const { world, alice, room } = await setting(own);
  const root = await world.asks(alice, room, 'root');
  await saysIn(world, alice, [room, root], 'one');
  await saysIn(world, alice, [room, root], '!agent agent-2', 'now talks to Two');
  await saysIn(world, alice, [room, root], 'two');
  await told(world, alice, room, 'three', 'three');
  expect(contexts(world)).toEqual([['root'], ['one'], ['three'], ['two']]);
  expect(world.platform.chats.at(-1)?.agent).toBe('agent-2');
  expect(world.verdict()).toBe('');
});

test('P1-thread-edit: an edit that has an answer of its own is answered in its thread’s context', async () => {
  const { world, alice, room } = await setting((made) => {
    own(made);
    made.settings.onEdit = 'answer-again';
  });
  const root = await world.asks(alice, room, 'root');
  const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'one', 'm.relates_to': relation(root) });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  await alice.edits(room, prompt, 'two');
  await quiet(world, () => world.platform.invocations.length === 3);
  expect(contexts(world)).toEqual([['root'], ['one', 'two']]);
});

test('P1-thread-again: and so it is by who takes it over from the journal alone', async () => {
  const { world, alice, room } = await setting((made) => {
    own(made);
    made.settings.onEdit = 'answer-again';
  });
  const root = await world.asks(alice, room, 'root');
  const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'one', 'm.relates_to': relation(root) });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  world.platform.down();
  const edit = await alice.edits(room, prompt, 'two');
  await world.until(() => world.replicas.every(({ life }) => life.journal.state.sources.has(edit)));
  await world.clock.advance(1000);
  for (const replica of world.replicas) replica.kill();
  world.platform.up();
  for (const replica of world.replicas) world.restart(replica);
  await quiet(world, () => contexts(world).flat().length === 3);
  expect(contexts(world)).toEqual([['root'], ['one', 'two']]);
});

test('P5-thread: a number loads what its list offers into the context that the list is of', async () => {
  const { world, alice, room, first } = await setting(own);
  const root = await world.asks(alice, room, 'root');
  const say = (body: string, token = body) => saysIn(world, alice, [room, root], body, token);
  await say('one');
  await say('!save it', 'Saved as “it”');
  await say('two');
  expect(await say('!load', '1. it')).toMatch(/^Saved contexts of this thread:/);
  await told(world, alice, room, '1', 'this thread goes on from there');
  await say('three');
  expect(contexts(world)).toEqual([['root'], ['one', 'three']]);
  expect(await say('!context', 'this thread’s own')).toContain(world.platform.chats.at(-1)?.id);
  expect(first.bot.records.room(room)?.loaded_context).toBeUndefined();
  expect(await told(world, alice, room, '!load', 'Nothing is saved here')).toBeDefined();
  expect(await told(world, alice, room, '!context', 'threads: own')).toContain(`chat-of-${room}`);
  expect(world.verdict()).toBe('');
});

test('P3-thread: a room that !branch made in a thread goes on from that thread, also where nobody has the command', async () => {
  const { world, alice, chat, first } = await met((made) => (made.settings.threads = 'own'));
  const root = await world.asks(alice, chat, 'root');
  await saysIn(world, alice, [chat, root], 'hello');
  const sends = of(first, 'send');
  const isEntry = (type: string | undefined) => type === 'dev.understudy.ledger';
  const entry = world.server.hold((request) => sends(request) && isEntry(request.type), 'after');
  const content = { msgtype: 'm.text', body: '!branch Twig', 'm.relates_to': relation(root) };
  const command = await alice.sends(chat, content);
  await world.until(() => entry.used);
  first.kill();
  await alice.redacts(chat, command);
  await quiet(world, () => alice.invites().length === 1);
  const [room = ''] = await alice.acceptsAll();
  await told(world, alice, room, 'and now', 'echo: and now');
  expect(contexts(world)).toEqual([['root'], ['hello'], ['hello', 'and now']]);
  expect(world.verdict()).toBe('');
});

test('P3-branch: a branch of a thread that is made late holds nothing that was said there since', async () => {
  const world = new World(1);
  own(world);
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  const root = await alice.says(room, 'root');
  await world.clock.advance(1000);
  const earlier = world.clock.now();
  await world.clock.advance(1000);
  const command = await alice.sends(room, {
    msgtype: 'm.text',
    body: '!branch',
    'm.relates_to': relation(root),
  });
  await world.clock.advance(1000);
  await world.startAll();
  await told(world, alice, room, 'in the room', 'in the room');
  await saysIn(world, alice, [room, root], 'later');
  // Genesis falls by a merge, and with it the command is to be answered (PROTOCOL C5).
  seed(world.relayDisk, { kind: 'cluster', key: 'cluster', fields: { genesis_ts: earlier } }, earlier);
  world.exchangeAll();
  await quiet(world, () => answerTo(world, room, command) !== '');
  expect(contexts(world)).toEqual([['in the room'], ['later']]);
  expect(world.platform.chats.at(-1)?.turns).toEqual([]);
});

test('P3-threads: !threads as the first word in a room binds the room, which is its person’s from then on', async () => {
  const { world, alice, dm, first } = await met();
  await told(world, alice, dm, '!threads own', 'Each thread here');
  expect(first.bot.records.room(dm)).toMatchObject({ matrix_user_id: alice.mxid, agent_id: 'agent-1' });
  const bob = world.person('bob');
  await alice.client.invite(dm, bob.mxid);
  await bob.acceptsAll();
  await told(world, bob, dm, '!threads shared', `Only ${alice.mxid}`);
  expect(world.verdict()).toBe('');
});
