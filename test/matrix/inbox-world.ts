import type { Batch, ReadBefore } from '../../src/matrix/batch.js';
import type { RoomEvent } from '../../src/matrix/homeserver.js';
import { Inbox, type InboxOptions } from '../../src/matrix/inbox.js';
import { silentLog } from '../../src/telemetry/log.js';
import { SimulatedClock } from '../simulation/clock.js';
import type { Match } from '../simulation/faults.js';
import { SimulatedHomeserver } from '../simulation/homeserver.js';

const opened: Inbox[] = [];
export async function closeAll(): Promise<void> {
  for (const inbox of opened.splice(0)) await inbox.stop();
}

/** A bot and alice in one room, and an inbox of the bot that stands at the end of it. */
export async function world(options: Partial<InboxOptions> & { fresh?: boolean; limit?: number } = {}) {
  const clock = new SimulatedClock();
  const server = new SimulatedHomeserver({ clock, timelineLimit: options.limit ?? 5 });
  const bot = server.connect('bot', 'D', { name: 'bot' });
  const alice = server.connect('alice', 'A', { name: 'alice' });
  const room = await alice.createRoom({ preset: 'private_chat', invite: [bot.user] });
  await bot.join(room);
  let txn = 0;
  const say = async (...said: string[]) => {
    for (const body of said) await alice.send(room, 'm.room.message', `a${++txn}`, { body });
  };
  const since = (await bot.sync({ timeoutMs: 0 })).next_batch;
  const batches: Batch[] = [];
  const handed = new Set(server.history(room).map(({ event_id }) => event_id));
  /** Like a receiver's whose floor is what it was handed. */
  const readBefore: ReadBefore = async (given, signal) => {
    if (given.filled || fresh || given.prevBatch === undefined) return { events: [], goesOn: false };
    const until = ({ event_id }: RoomEvent) => handed.has(event_id);
    const reading = { from: given.prevBatch, until, limit: 1000 };
    const { events } = await inbox.readBack(given.room, reading, signal);
    return { events: events.filter((event) => !until(event)), goesOn: false };
  };
  const { fresh, limit: _limit, ...given } = options;
  const inbox = new Inbox({
    homeserver: bot,
    clock,
    log: silentLog,
    random: () => 0.5,
    readBefore,
    onBatch: async (batch) => {
      batches.push(batch);
      for (const { events } of wholeRooms(batch)) for (const { event_id } of events) handed.add(event_id);
    },
    ...(fresh ? {} : { since }),
    ...given,
  });
  opened.push(inbox);
  const heard = () =>
    batches
      .flatMap((batch) => wholeRooms(batch).flatMap(({ events }) => events))
      .map(({ content }) => content['body'])
      .filter((body) => body !== undefined);
  const asked = (call: string) => server.requests.filter((one) => one.client === 'bot' && one.call === call);
  return { clock, server, bot, alice, room, say, inbox, batches, heard, asked };
}

export const wholeRooms = ({ rooms }: Batch) =>
  rooms.map(({ room, before, events }) => ({ room, events: [...before.events, ...events] }));

export const call =
  (name: string, client = 'bot'): Match =>
  (request) =>
    request.call === name && request.client === client;
export const words = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `w${from + i}`);
