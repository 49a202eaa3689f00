import { APPROVAL_KEY } from '../../src/bot/approvals/request.js';
import type { SimulatedPerson } from '../simulation/person.js';
import type { World } from '../simulation/world.js';
import { type Setting, setting } from './setting.js';

export const QUESTION = /^May I\?/;

/** Two replicas; a prompt that begins with "ask" makes the agent ask, and wait for a decision. */
export const asking = (prepare: (world: World) => void = () => {}): Promise<Setting> =>
  setting((made) => {
    made.platform.forgetful = false;
    made.platform.answer = ({ text }) => (text.startsWith('ask') ? { text, asks: '1' } : { text });
    prepare(made);
  });

/** The questions that stand in a room, oldest first, as people see them. */
export const questions = (world: World, room: string) =>
  world
    .sent(room)
    .filter(({ content }) => APPROVAL_KEY in content)
    .map(({ event_id }) => ({
      event: event_id,
      body: world.seen(room).find(({ eventId }) => eventId === event_id)?.body ?? '',
    }));

/** A prompt whose agent asks; resolves to its event and the question's, once that stands. */
export async function asked({ world, alice, room }: Pick<Setting, 'world' | 'alice' | 'room'>, text = 'ask') {
  const before = questions(world, room).length;
  const prompt = await world.asks(alice, room, text, { asks: QUESTION });
  await world.until(() => questions(world, room).length > before);
  return { prompt, question: questions(world, room).at(-1)?.event ?? '' };
}

/** Somebody else who is in the room. */
export async function bobIn({ world, alice, room }: Setting): Promise<SimulatedPerson> {
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.acceptsAll();
  return bob;
}
