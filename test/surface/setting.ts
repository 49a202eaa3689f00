import type { SimulatedPerson } from '../simulation/person.js';
import { PATIENCE, World } from '../simulation/world.js';
import type { SimulatedReplica } from '../simulation/replica.js';
import { of } from '../rules/setting.js';

export interface Met {
  world: World;
  alice: SimulatedPerson;
  /** The room of hers into which she invited the bot. */
  dm: string;
  /** Her space and her first chat. */
  space: string;
  chat: string;
  first: SimulatedReplica;
  second: SimulatedReplica;
}

/** Two replicas; alice has her space and C1 and is in them. */
export async function met(prepare: (world: World) => void = () => {}): Promise<Met> {
  const world = new World(2);
  prepare(world);
  await world.startAll();
  const alice = world.person('alice');
  const dm = await alice.client.createRoom({ preset: 'private_chat', invite: [world.bot] });
  await quiet(world, () => alice.invites().length === 2);
  const rooms = await alice.acceptsAll();
  const chat = rooms.find((room) => world.seen(room).length > 0) ?? '';
  const space = rooms.find((room) => room !== chat) ?? '';
  world.messages.push({ room: dm, text: /^Hello! Your chat/ }, { room: chat, text: /^Hello! This room/ });
  const [first, second] = world.ranks(dm, alice);
  if (!first || !second) throw new Error('two replicas are needed');
  return { world, alice, dm, space, chat, first, second };
}

/** Until the condition holds and nothing is under way, also a moment later. */
export async function quiet(world: World, condition: () => boolean = () => true): Promise<void> {
  await world.until(condition);
  await world.clock.advance(50);
  await world.until(() => world.quiet(), 120_000);
}

/** The answer that stands to a message; empty where there is none. */
export const answerTo = (world: World, room: string, prompt: string): string =>
  world
    .seen(room)
    .filter(({ inReplyTo }) => inReplyTo === prompt)
    .map(({ body }) => body)
    .join('');

/** Says something, expects one answer that holds `token`, and resolves to the answer once all is quiet. */
export async function told(world: World, person: SimulatedPerson, room: string, body: string, token: string) {
  const prompt = await world.asks(person, room, body, { token });
  await quiet(world, () => answerTo(world, room, prompt) !== '');
  return answerTo(world, room, prompt);
}

/** The same, carried out by both replicas, apart: the first is held at its answer until the second has answered. */
export async function toldTwice(
  { world, alice, first }: Met,
  room: string,
  body: string,
  token: string,
): Promise<string> {
  world.hub.down();
  world.linked = false;
  const held = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  const prompt = await world.asks(alice, room, body, { token });
  await world.until(() => held.used);
  await world.until(() => answerTo(world, room, prompt) !== '', 4 * PATIENCE);
  held.release();
  await quiet(world);
  world.linked = true;
  world.healRelay();
  await quiet(world);
  return answerTo(world, room, prompt);
}

export const nameOf = (world: World, room: string): unknown =>
  world.server.room(room).stateEvent('m.room.name', '')?.event.content['name'];

export const childOf = (world: World, space: string, room: string): unknown =>
  world.server.room(space).stateEvent('m.space.child', room)?.event.content['via'];
