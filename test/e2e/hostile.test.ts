import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { Random } from '../simulation/random.js';
import { cluster, type Cluster } from '../world/cluster.js';
import { HostileEvents, isFile, isOwedAnAnswer, type HostileEvent } from '../world/hostile-events.js';
import { MatrixRefusal, v3 } from '../world/matrix-http.js';
import { newPerson } from '../world/world.js';
import type { Person } from '../world/person.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** Of somebody who may not talk to the bot, and of one who may. */
const EVENTS = { mallory: 260, alice: 60 };
const PROMPTS = 8;
const MOST_BYTES = 700 * 1024 * 1024;

/** Sends an event as it is, once. Undefined where the homeserver does not take it. */
async function send(person: Person, room: string, event: HostileEvent): Promise<string | undefined> {
  const { type, content, stateKey, redacts } = event;
  const path =
    redacts !== undefined
      ? v3('rooms', room, 'redact', redacts, randomUUID())
      : stateKey !== undefined
        ? v3('rooms', room, 'state', type, stateKey)
        : v3('rooms', room, 'send', type, randomUUID());
  try {
    return (await person.call<{ event_id?: string }>('PUT', path, { body: content, deadlineMs: 60_000 }))
      .event_id;
  } catch (error) {
    if (error instanceof MatrixRefusal) return undefined;
    throw error;
  }
}

/** Every event that the bot sent in a room, to aim at. */
const ofBot = async (world: Cluster, room: string) =>
  (await world.alice.history(room))
    .filter(({ sender }) => sender === world.bot.userId)
    .map(({ event_id }) => event_id);

test('hostile events that a homeserver takes end no replica, get no answer that they are not owed, and hold no prompt up', async () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  process.stdout.write(`FUZZ_SEED=${seed}\n`);
  const random = new Random(seed);
  const settings = { UNDERSTUDY_ALLOWED_USERS: '@alice*:*' };
  const world = await cluster({ replicas: 2, proxies: true, settings });
  const mallory = await newPerson('mallory');
  const rooms = [await world.room(), await world.room()];
  for (const room of rooms) {
    await world.alice.invite(room, mallory.userId);
    await mallory.join(room);
    world.messages.push({
      room,
      text: /^This room is encrypted and I cannot read it/,
      times: 'at most once',
    });
  }
  await world.answered();
  const people = [world.alice.userId, mallory.userId];
  const known: string[] = [];
  const foreign = new HostileEvents(random, () => ({ events: known, people, rooms, bot: world.bot.userId }));
  // What she does to what she asked herself counts: she aims at nothing of hers.
  const own = new HostileEvents(random, () => ({ events: [], people, rooms, bot: world.bot.userId }));
  const taken = { mallory: 0, alice: 0, owed: 0, refused: 0 };
  const all = EVENTS.mallory + EVENTS.alice;
  for (let n = 0; n < all; n += 1) {
    const room = random.pick(rooms);
    if (n % Math.floor(all / PROMPTS) === 0) {
      const { prompt } = await world.ask(room);
      known.push(prompt, ...(await ofBot(world, room)));
    }
    const isAlice = random.below(all) < EVENTS.alice;
    const event = (isAlice ? own : foreign).next();
    // Her next prompt would be answered with what is wrong with it; the simulated world has those.
    if (isAlice && isFile(event)) continue;
    const id = await send(isAlice ? world.alice : mallory, room, event);
    if (id === undefined) taken.refused += 1;
    else taken[isAlice ? 'alice' : 'mallory'] += 1;
    if (id === undefined || !isAlice || !isOwedAnAnswer(event)) continue;
    taken.owed += 1;
    // Whatever the words, and in as many messages as they take.
    world.answers.push({ room, prompt: id, token: '', text: (parts) => parts.length > 0 });
  }
  process.stdout.write(`hostile events: ${JSON.stringify(taken)}\n`);
  expect(taken.mallory).toBeGreaterThan(EVENTS.mallory / 3);
  expect(taken.alice).toBeGreaterThan(EVENTS.alice / 4);
  for (const room of rooms) await world.ask(room);
  await world.answered(240_000);
  for (const replica of world.replicas) {
    const bytes = await replica.metric('understudy_process_resident_memory_bytes');
    expect(bytes, replica.name).toBeLessThan(MOST_BYTES);
    expect(replica.lines.filter(({ text }) => text.includes('unhandled'))).toEqual([]);
  }
  expect(await world.problems()).toBe('');
  await world.watch('hostile events');
});

everyRoomIsJudged();
