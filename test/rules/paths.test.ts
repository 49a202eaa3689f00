import { describe, expect, test } from 'vitest';
import type { SimulatedPerson } from '../simulation/person.js';
import { World } from '../simulation/world.js';

async function world(replicas: number) {
  const made = new World(replicas);
  await made.startAll();
  return { world: made, alice: made.person('alice') };
}

/** alice invites the bot into a room of hers and takes up what it invites her to. */
async function invited(made: World, alice: SimulatedPerson) {
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [made.bot] });
  await made.settleAll();
  const rooms = await alice.acceptsAll();
  const chat = rooms.find((room) => made.seen(room).length > 0);
  const space = rooms.find((room) => room !== chat);
  if (chat === undefined || space === undefined) throw new Error(`alice sees ${rooms.length} rooms`);
  return { dm, chat, space };
}

describe.each([1, 2])('the plain paths with %i replicas', (replicas) => {
  test('an invite makes a space, a first chat with one greeting, and one line in the inviting room', async () => {
    const { world: made, alice } = await world(replicas);
    const { dm, chat, space } = await invited(made, alice);
    made.messages.push({ room: chat, text: /^Hello! This room/ }, { room: dm, text: /^Hello! Your chat/ });
    expect(made.verdict([chat, dm, space])).toBe('');
    expect(made.seen(dm)[0]?.body).toContain(encodeURIComponent(chat));
    const children = made.server.room(space).stateEvent('m.space.child', chat)?.event.content;
    expect(children).toMatchObject({ via: ['sim.test'] });
    expect(made.server.room(chat).stateEvent('m.room.name', '')?.event.content).toMatchObject({
      name: 'Chat',
    });
  });

  test('prompts are answered once each, in order, in the room’s own context', async () => {
    const { world: made, alice } = await world(replicas);
    const { chat, dm } = await invited(made, alice);
    made.messages.push({ room: chat, text: /^Hello! This room/ }, { room: dm, text: /^Hello! Your chat/ });
    await made.asks(alice, chat, 'one');
    await made.asks(alice, chat, 'two');
    await made.asks(alice, dm, 'three');
    await made.settleAll();
    expect(made.verdict()).toBe('');
    expect(made.seen(chat).map(({ body }) => body)).toEqual([expect.any(String), 'echo: one', 'echo: two']);
    expect(made.platform.invocations.map(({ text }) => text).toSorted()).toEqual(['one', 'three', 'two']);
    expect(new Set(made.platform.invocations.map(({ chat: context }) => context)).size).toBe(2);
  });

  test('the commands answer once each', async () => {
    const { world: made, alice } = await world(replicas);
    const { chat, dm } = await invited(made, alice);
    made.messages.push({ room: chat, text: /^Hello! This room/ }, { room: dm, text: /^Hello! Your chat/ });
    const one = async (body: string, text: RegExp, token: string) => {
      await made.asks(alice, chat, body, { token, text });
      await made.settleAll();
    };
    await one('!help', /!new \[NAME\].*!status/s, 'Commands');
    await one('!agents', /→ agent-1: One — the first\n· agent-2: Two$/, 'Agents');
    await one('!agent agent-2', /now talks to Two/, 'agent-2');
    await one('!context', /agent: agent-2/, 'platform_chat_id');
    await one('!status', /answered by: r\d/, 'answered by');
    await one('!new Plans for May', /Made C2 “Plans for May”/, 'C2');
    await one('!new', /Made C3 “Chat C3”/, 'C3');
    await one('!nonsense', /There is no command/, '!nonsense');
    expect(made.verdict()).toBe('');
    const rooms = await alice.acceptsAll();
    expect(rooms).toHaveLength(2);
    for (const room of rooms) await made.asks(alice, room, `in ${room}`);
    await made.settleAll();
    expect(made.verdict()).toBe('');
  });
});

describe('failover', () => {
  test('a prompt whose owner dies in the middle of its run is answered once by the other', async () => {
    const { world: made, alice, room } = await World.withRoom(2);
    made.platform.answer = ({ text }) => ({ text: `echo: ${text}`, takesMs: 3000 });
    const [owner] = made.ranks(room, alice);
    await made.asks(alice, room, 'long');
    await made.clock.advance(1000);
    expect(made.platform.invocations).toHaveLength(1);
    owner?.kill();
    await made.settleAll();
    expect(made.verdict()).toBe('');
    expect(made.platform.invocations).toHaveLength(1);
  });

  test('a prompt sent while one of two is down, and one sent while both are, are answered once', async () => {
    const { world: made, alice, room } = await World.withRoom(2);
    const [owner, second] = made.ranks(room, alice);
    if (!owner || !second) throw new Error('two replicas are needed');
    owner.kill();
    await made.asks(alice, room, 'with one down');
    await made.settleAll();
    second.kill();
    await made.asks(alice, room, 'with both down');
    await made.clock.advance(5000);
    made.restart(owner);
    await made.settleAll();
    made.restart(second);
    await made.settleAll();
    expect(made.verdict()).toBe('');
    expect(made.platform.invocations).toHaveLength(2);
  });
});
