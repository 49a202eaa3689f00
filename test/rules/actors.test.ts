import { expect, test } from 'vitest';
import { DELIVERY_KEY } from '../../src/delivery/mark.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import type { SimulatedReplica } from '../simulation/replica.js';
import { World } from '../simulation/world.js';
import { answerTo } from '../surface/setting.js';
import { QUESTION } from './asking.js';
import { alone, inParts, of, setting } from './setting.js';

const conversation = (replica: SimulatedReplica, room: string) =>
  replica.life.state.actors.get(`conversation/${room}`);
const run = (replica: SimulatedReplica, room: string, prompt: string) =>
  replica.life.state.actors.get(`run/${room}/${prompt}`);
const stateOf = (actor: ReturnType<typeof conversation>) => actor.snapshot().value;
const types = (actor: ReturnType<typeof conversation>) => actor.history().map(({ event }) => event.type);

const asks = (world: World) => {
  world.platform.forgetful = false;
  world.platform.answer = ({ text }) => ({ text: `echo: ${text}`, takesMs: 60_000, approval: 'a1' });
};

const shows = (event: TimelineEvent, by: SimulatedReplica, text: string): boolean => {
  const { body, [DELIVERY_KEY]: mark } = event.content as Record<string, unknown>;
  return String(body).includes(text) && (mark as { replica?: string } | undefined)?.replica === by.id;
};

test('A1-bot: a prompt moves its conversation and its run, in the changes that were made for it anyway', async () => {
  const { world, alice, room, first, second } = await setting();
  const prompt = await world.asks(alice, room, 'hello');
  await world.until(() => stateOf(conversation(first, room)) === 'thinking');
  expect(stateOf(run(first, room, prompt))).toBe('running');
  await world.settleAll();
  for (const replica of [first, second]) {
    expect(types(conversation(replica, room))).toEqual(['BOUND', 'PROMPT', 'REPLYING', 'SETTLED']);
    expect(conversation(replica, room).snapshot()).toMatchObject({
      value: 'idle',
      context: { prompt: null, prompts: 1, agent: 'agent-1', outcome: 'answered' },
    });
    expect(types(run(replica, room, prompt))).toEqual(['CREATED', 'BEGUN', 'COMPLETED']);
    expect(run(replica, room, prompt).snapshot()).toMatchObject({
      value: 'completed',
      context: { attempts: 1, agent: 'agent-1', description: 'answer in a room', result: 'answered' },
    });
  }
  const changes = first.life.state.changes.filter(({ cause }) => cause === prompt);
  expect(changes.map(({ kinds }) => kinds)).toEqual([
    ['event', 'event', 'actor', 'event', 'event', 'actor', 'attempt'],
    ['event', 'event', 'actor', 'event', 'actor', 'mark', 'attempt', 'floor'],
  ]);
});

test('A1-bot: who takes over knows that the run waits for an approval, and how often it was begun', async () => {
  const { world, alice, room, first, second } = await setting(asks);
  const prompt = await world.asks(alice, room, 'hello', { text: 'echo: hello', asks: QUESTION });
  await world.until(() => stateOf(run(second, room, prompt)) === 'awaitingApproval');
  first.kill();
  await world.clock.advance(1000);
  expect(stateOf(conversation(second, room))).toBe('awaitingApproval');
  expect(conversation(second, room).snapshot().context).toMatchObject({ prompt, approval: 'a1' });
  await world.until(() => second.bot.engine.get(prompt)?.attempt !== undefined);
  expect(run(second, room, prompt).snapshot()).toMatchObject({
    value: 'awaitingApproval',
    context: { attempts: 2, approval: 'a1' },
  });
  await world.until(() => stateOf(run(second, room, prompt)) === 'running');
  world.restart(first);
  await world.settleAll();
  expect(types(conversation(first, room))).toEqual([
    'BOUND',
    'PROMPT',
    'ASKED',
    'RESUMED',
    'REPLYING',
    'SETTLED',
  ]);
  expect(world.actorProblems()).toEqual([]);
  expect(world.verdict()).toBe('');
});

test('A1-takeover-bot: who takes over shows that the run waits for an approval before the platform says it again', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    asks(made);
    made.settings.placeholderAfterMs = 1500;
  });
  const prompt = await world.asks(alice, room, 'hello', { text: 'echo: hello', asks: QUESTION });
  await world.until(() => stateOf(run(second, room, prompt)) === 'awaitingApproval');
  first.kill();
  world.platform.down();
  await world.until(() => world.sent(room).some((event) => shows(event, second, 'waits for an approval')));
  world.platform.up();
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('A1-takeover-bot: the placeholder of a run that was taken over is due since it began, not since the takeover', async () => {
  const { world, alice, room, first, second } = await setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => ({ text: `echo: ${text}`, takesMs: 60_000 });
    made.settings.placeholderAfterMs = 1500;
  });
  const anchor = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  const prompt = await world.asks(alice, room, 'hello', { text: 'echo: hello' });
  await world.until(() => anchor.used);
  first.kill();
  anchor.drop();
  await world.until(() => second.bot.engine.get(prompt)?.attempt !== undefined);
  const takenOver = world.clock.now();
  await world.until(() => world.sent(room).some((event) => shows(event, second, '…')));
  expect(world.clock.now() - takenOver).toBeLessThan(world.settings.placeholderAfterMs);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('P4-resume: who goes on with a person’s way in does not look the space up again that is known', async () => {
  const world = new World(2);
  await world.startAll();
  const alice = world.person('alice');
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  const [first, second] = world.ranks(dm, alice) as [SimulatedReplica, SimulatedReplica];
  const knows = ({ life }: SimulatedReplica) => life.state.actors.exists(`onboarding/${alice.mxid}`);
  const chat = world.server.hold((one) => of(first, 'createRoom')(one) && knows(first), 'before');
  await world.until(() => chat.used && knows(second));
  first.kill();
  chat.drop();
  await world.settleAll();
  const lookUps = world.requests(({ call }) => call === 'resolveAlias');
  expect(lookUps.filter(({ client }) => client === second.clientName)).toEqual([]);
  expect(world.madeRooms(`onboarding:${alice.mxid}/space`)).toHaveLength(1);
  expect(alice.invites()).toHaveLength(2);
  expect(world.actorProblems()).toEqual([]);
});

test('A1-bot: after a restart of all it is still known that a room waits for an approval', async () => {
  const { world, alice, room, only } = await alone(asks);
  const prompt = await world.asks(alice, room, 'hello', { text: 'echo: hello', asks: QUESTION });
  await world.until(() => stateOf(run(only, room, prompt)) === 'awaitingApproval');
  await world.clock.advance(100);
  only.kill();
  world.restart(only);
  expect(stateOf(conversation(only, room))).toBe('awaitingApproval');
  expect(only.bot.status().tasks).toMatchObject({ counts: { awaitingApproval: 1 } });
  await world.settleAll();
  expect(only.bot.status().tasks).toMatchObject({ counts: { completed: 1 }, underWay: [] });
  expect(world.verdict()).toBe('');
});

test('C4-event: whoever sees an answer without having its event adds the event before the mark', async () => {
  const { world, alice, room, first, second } = await setting();
  world.linked = false;
  const prompt = await world.asks(alice, room, 'hello');
  await world.until(() => first.bot.engine.get(prompt)?.released === true);
  first.kill();
  await world.settleAll();
  const { state } = second.life;
  expect(state.read('mark', `mark:${room} ${prompt}`)).toBeDefined();
  expect(types(conversation(second, room))).toEqual(['PROMPT', 'SETTLED']);
  expect(stateOf(run(second, room, prompt))).toBe('completed');
  const written = state.changes.find(({ kinds }) => kinds.includes('mark'));
  expect(written?.kinds).toContain('event');
  world.linked = true;
  world.restart(first);
  await world.settleAll();
  expect(world.actorProblems()).toEqual([]);
  expect(world.verdict()).toBe('');
});

test('C4-event: commands, invites and greetings stand in the conversation too', async () => {
  const world = new World(2);
  await world.startAll();
  const alice = world.person('alice');
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  const chat = (await alice.acceptsAll()).find((room) => world.seen(room).length > 0) ?? '';
  await alice.says(chat, '!status');
  await world.settleAll();
  const replica = world.replica(0);
  expect(types(conversation(replica, dm))).toEqual(['NOTED']);
  expect(types(conversation(replica, chat))).toEqual(['BOUND', 'NOTED', 'NOTED']);
  expect(stateOf(conversation(replica, chat))).toBe('idle');
  const onboarding = replica.life.state.actors.get(`onboarding/${alice.mxid}`);
  expect(types(onboarding)).toEqual(['SPACE', 'CHAT', 'GREETED']);
  expect(onboarding.snapshot()).toMatchObject({ value: 'greeted', context: { room: chat } });
  expect(world.actorProblems()).toEqual([]);
});

test('A1-greeted-bot: the last step of the way in is on disk before the mark of the greeting', async () => {
  const world = new World(1);
  await world.startAll();
  const only = world.replica(0);
  const { state } = only.life;
  const onDisk: boolean[] = [];
  state.onWritten = ({ kind, key }) => {
    if (kind !== 'mark' || !key.includes('onboarding:')) return;
    onDisk.push(
      [...only.disk.records.values()].some((one) => one.kind === 'event' && one.key.endsWith(' greeted')),
    );
  };
  const alice = world.person('alice');
  await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await world.settleAll();
  await alice.acceptsAll();
  await world.settleAll();
  expect(onDisk).toEqual([true]);
  // Each change goes to one document of each family: nothing of a person stands in a change with a room's mark.
  const mixed = state.changes.filter(
    ({ cause, kinds }) => kinds.includes('mark') && cause.startsWith('onboarding:') && kinds.length > 4,
  );
  expect(mixed).toEqual([]);
});

test('an agent that fails leaves the conversation and the run failed, and the next prompt goes on', async () => {
  const { world, alice, room, only } = await alone((made) => {
    made.platform.answer = ({ text }) =>
      text === 'break' ? { text: '', error: 'key sk-1 was refused' } : { text: `echo: ${text}` };
  });
  const broken = await world.asks(alice, room, 'break', { token: 'The agent failed (reference' });
  await world.until(() => stateOf(conversation(only, room)) === 'failed');
  expect(run(only, room, broken).snapshot()).toMatchObject({
    value: 'failed',
    context: { result: 'simulated' },
  });
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(stateOf(conversation(only, room))).toBe('idle');
  expect(world.verdict()).toBe('');
  // What the platform says of it may hold anything: the log has it, and the room its reference.
  const reference = broken.slice(1, 9);
  expect(answerTo(world, room, broken)).toBe(`The agent failed (reference ${reference}).`);
  const [line] = world.lines.filter(({ message }) => message === 'a run ended with an error');
  expect(line?.fields).toMatchObject({ reference, code: 'simulated', detail: 'key sk-1 was refused' });
  expect(JSON.stringify(world.history(room))).not.toContain('sk-1');
});

test('an answer of several parts shows as replying while its parts are sent', async () => {
  const { world, alice, room, first, second } = await setting(inParts(2));
  const part = world.server.hold(of(first, 'send', /\/2$/), 'before');
  await world.asks(alice, room, 'hello', { parts: 'several' });
  await world.until(() => part.used);
  await world.clock.advance(10);
  expect(stateOf(conversation(second, room))).toBe('replying');
  part.release();
  await world.settleAll();
  expect(world.actorProblems()).toEqual([]);
});

test('an actor that stands still holds no answer up: it is said, counted, and the answer goes on', async () => {
  const { world, alice, room, only } = await alone();
  const { state } = only.life;
  const event = { type: 'understudy.upgrade', ts: 1, data: { to: 0 } };
  const key = `event:conversation/${room} $bad`;
  const written = state.change([{ kind: 'event', key, fields: { event }, stamp: 1 }], { id: '$bad' });
  await world.clock.advance(10);
  await written;
  expect(conversation(only, room).snapshot().status).toBe('quarantined');
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.happened).toContainEqual({ replica: only.id, event: 'actor-event', outcome: 'quarantined' });
});

test('a conversation whose room the bot was taken out of is archived, by the event that did it', async () => {
  const { world, alice, room, first, second } = await setting();
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  await alice.client.setState(room, 'm.room.member', world.bot, { membership: 'leave' });
  await world.clock.advance(1000);
  for (const replica of [first, second]) {
    expect(stateOf(conversation(replica, room))).toBe('archived');
    expect(types(conversation(replica, room)).filter((type) => type === 'ARCHIVED')).toHaveLength(1);
  }
});

test('A4-newer: a replica that does not know the version of an actor begins nothing, and says why', async () => {
  const { world, alice, room, only } = await alone();
  const event = { type: 'understudy.upgrade', ts: 1, data: { to: 2 } };
  const key = `event:conversation/${room} upgrade/2`;
  const written = only.life.state.change([{ kind: 'event', key, fields: { event }, stamp: 1 }], {
    id: 'upgrade/2',
  });
  await world.clock.advance(1000);
  await written;
  expect(only.bot.readiness().join()).toContain('conversation version 2');
  await alice.says(room, 'hello');
  await world.clock.advance(20_000);
  expect(world.sent(room)).toHaveLength(0);
});

test('O3-actors: what actors owe is carried out by rank, and not at all by who may not own', async () => {
  const { world, room, first, second } = await setting();
  const since = (replica: SimulatedReplica) => replica.life.process.clock.monotonic();
  const turn = (replica: SimulatedReplica) =>
    replica.life.state.actorTurn(`conversation/${room}`, since(replica));
  expect(turn(first)).toBe(0);
  expect(turn(second)).toBe(world.settings.patienceMs);
  expect(turn(first)).toBe(0);
  first.obstacle = 'documents out of sync';
  expect(turn(first)).toBe(Infinity);
  await world.clock.advance(1000);
  expect(turn(second)).toBe(0);
});
