import type { Clock } from '../../time/clock.js';
import { Conversation, type Reply } from '../person/conversation.js';
import { directName, Person } from '../person/person.js';
import { UserError } from '../user-error.js';

/** A first start has a room to be joined and an account to be prepared before the answer. */
const answerMs = 60_000;

/**
 * The proof that all of it works: a person writes to the bot in a real room, over plain Matrix requests, and the
 * answer is awaited. Uses `room` again where the person is still in it.
 */
export async function prove(options: {
  homeserver: string;
  person: { user: string; password: string };
  bot: string;
  room: string | undefined;
  clock: Clock;
  signal: AbortSignal;
}): Promise<{ room: string; prompt: string; reply: Reply }> {
  const { homeserver, bot, clock, signal } = options;
  const person = await Person.logIn(homeserver, options.person.user, options.person.password, clock);
  const conversation = new Conversation(person, bot, clock);
  await conversation.next(0, signal);
  const room = (await roomWith(person, bot, options.room)) ?? (await person.createRoom(directName, [bot]));
  const prompt = 'Hello, is anybody there?';
  const reply = await conversation.ask(room, prompt, answerMs, signal);
  if (!reply) throw new UserError(1, `the bot gave no answer within ${answerMs / 1000} s; the logs say more`);
  return { room, prompt, reply };
}

async function roomWith(person: Person, bot: string, room: string | undefined): Promise<string | undefined> {
  if (room === undefined || !(await person.joinedRooms()).includes(room)) return undefined;
  return (await person.members(room)).includes(bot) ? room : undefined;
}
