import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { sameHeads } from '../world/inside.js';
import { v3 } from '../world/matrix-http.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** The rooms that alice was invited to, entered by her: her space and the chats. */
async function invitedTo(world: Cluster): Promise<{ space: string[]; chats: string[] }> {
  const found = { space: [] as string[], chats: [] as string[] };
  for (const room of await world.alice.invitations()) {
    await world.alice.join(room);
    const create = (await world.alice.state(room)).find(({ type }) => type === 'm.room.create');
    (create?.content['type'] === 'm.space' ? found.space : found.chats).push(room);
  }
  return found;
}

const stateOf = async (world: Cluster, room: string, type: string, key = '') =>
  (await world.alice.state(room)).find((event) => event.type === type && event.state_key === key)?.content;

/** A command's one answer, in full, by whichever replica: all of them know by then what was answered before. */
async function told(world: Cluster, room: string, command: string, token: string): Promise<string> {
  await sameHeads(world);
  const answer = await world.command(room, command, token);
  await world.answered();
  return world.answerTo(answer);
}

test('invited, the bot joins, makes space and C1 once, greets there, and points to it from the inviting room', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room('Kitchen');
  await world.answered();
  const { space, chats } = await invitedTo(world);
  expect([space.length, chats.length]).toEqual([1, 1]);
  const [home, c1] = [space[0]!, chats[0]!];
  world.messages.push({ room: home, text: /./, times: 0 });
  world.messages.push({
    room: c1,
    text: /^Hello! This room is a chat of your own[^]*!new \[NAME\]:[^]*!help \[COMMAND\]:/,
  });
  await world.answered();
  expect((await stateOf(world, c1, 'm.room.name'))?.['name']).toBe('Chat');
  expect(await stateOf(world, c1, 'm.room.encryption')).toBeUndefined();
  expect((await stateOf(world, home, 'm.space.child', c1))?.['via']).toEqual([expect.any(String)]);
  const line = (await world.alice.history(room)).find(({ sender, type }) => {
    return sender === world.bot.userId && type === 'm.room.message';
  });
  expect(line?.content['msgtype']).toBe('m.notice');
  expect(line?.content.body).toContain(`https://matrix.to/#/${encodeURIComponent(c1)}`);

  // A second invite is one more room, no second space or C1.
  const second = await world.room();
  await world.answered();
  expect(await invitedTo(world)).toEqual({ space: [], chats: [] });
  expect((await world.bot.joinedRooms()).toSorted()).toEqual([room, second, home, c1].toSorted());

  // C1 has its context from the beginning; the inviting room gets its own with the first prompt.
  const mapped = await told(world, c1, '!context', 'platform_chat_id');
  expect(mapped).toContain('agent: echo');
  expect(mapped).toContain('chat: C1');
  await told(world, room, '!context', 'no context yet');
  const first = await world.ask(room, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.ask(c1, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  const answer = (await world.alice.history(room)).findLast(({ sender }) => sender === world.bot.userId);
  expect(answer?.content['msgtype']).toBe('m.text');
  expect(answer?.content['m.relates_to']?.['m.in_reply_to']?.event_id).toBe(first.prompt);
  const lazily = await told(world, room, '!context', 'platform_chat_id');
  expect(lazily.split('\n')[0]).not.toBe(mapped.split('\n')[0]);
  await world.watch('first contact');
});

test('commands: help, agents, agent, new, status, a hint at what is no command, an agent that is gone', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.answered();
  const { chats } = await invitedTo(world);
  const c1 = chats[0]!;

  const help = await told(world, room, '!help', 'Commands:');
  for (const command of ['help [COMMAND]', 'new [NAME]', 'agents', 'agent ID', 'context', 'status'])
    expect(help).toContain(`!${command}:`);
  await told(world, room, '!nonsense', 'There is no command !nonsense. !help lists them.');
  // Asked again where the machine stood still just then: a peer not heard for a lease is not called alive.
  let status = '';
  const ask = async () => (status = await told(world, room, '!status', 'answered by: replica-'));
  await expect
    .poll(ask, { timeout: 60_000, interval: 500 })
    .toMatch(
      /alive besides: replica-[01]\nrelay: connected\nplatform: reached\nlag: homeserver heard \d+ ms ago/,
    );
  expect(status).not.toContain('warning');

  expect(await told(world, c1, '!agents', 'Agents')).toMatch(/→ echo: Echo — Says it again\n· drill: Drill/);
  await told(world, c1, '!agent', 'Usage: !agent ID');
  await told(world, c1, '!agent nobody', 'There is no agent “nobody”.');
  await told(world, c1, '!agent drill', 'This room now talks to Drill (drill), in a fresh context.');
  await sameHeads(world);
  await world.ask(c1, undefined, { text: (token) => `drill #1: say ${token}` });

  // A room that is made now goes to the agent of the person's choice, in a context of its own.
  const made = await told(world, room, '!new "Herb garden"', 'Made C2 “Herb garden”');
  const unnamed = await told(world, room, '!new', 'Made C3 “Chat C3”');
  const [c2, c3] = (await invitedTo(world)).chats.toSorted(
    (a, b) => made.indexOf(encodeURIComponent(b)) - made.indexOf(encodeURIComponent(a)),
  );
  expect(made).toContain(encodeURIComponent(c2!));
  expect(unnamed).toContain(encodeURIComponent(c3!));
  expect((await stateOf(world, c2!, 'm.room.name'))?.['name']).toBe('Herb garden');
  await sameHeads(world);
  await world.ask(c2!, undefined, { text: (token) => `drill #1: say ${token}` });
  await world.answered();
  expect(await told(world, c2!, '!context', 'platform_chat_id')).toContain('chat: C2');

  // The agent of these rooms leaves the registry.
  await world.writeAgents({ default: 'echo', agents: [{ id: 'echo', name: 'Echo', backend: 'echo' }] });
  await world.command(
    c2!,
    'are you there?',
    'The agent “drill” is no longer there. Pick one with !agent ID:',
  );
  await world.answered();
  await told(world, c2!, '!agent echo', 'This room now talks to Echo (echo)');
  await sameHeads(world);
  await world.ask(c2!, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.watch('commands');
});

test('an encrypted room gets one clear notice that points to C1, and a health warning', async () => {
  const world = await cluster({ replicas: 2, settings: { UNDERSTUDY_ADMINS: '*' } });
  const room = await world.room();
  await world.answered();
  const [c1] = (await invitedTo(world)).chats;
  const encryption = v3('rooms', room, 'state', 'm.room.encryption', '');
  await world.alice.call('PUT', encryption, { body: { algorithm: 'm.megolm.v1.aes-sha2' } });
  const secret = () =>
    world.alice.send(room, 'm.room.encrypted', {
      algorithm: 'm.megolm.v1.aes-sha2',
      ciphertext: randomUUID(),
      sender_key: randomUUID(),
      session_id: randomUUID(),
      device_id: world.alice.deviceId,
    });
  await secret();
  const link = `https://matrix.to/#/${encodeURIComponent(c1!)}`.replaceAll('.', '\\.');
  world.messages.push({
    room,
    text: new RegExp(`^This room is encrypted and I cannot read it\\. [^]*${link}`),
  });
  await world.answered();
  await secret();
  expect(await told(world, c1!, '!status', 'answered by')).toMatch(/^warning: 1 encrypted room/m);
  for (const replica of world.replicas) {
    await expect.poll(() => replica.metric('understudy_encrypted_rooms'), { timeout: 60_000 }).toBe(1);
  }
  await world.watch('an encrypted room');
});

everyRoomIsJudged();
