import { createInterface } from 'node:readline/promises';
import { systemClock } from '../../time/clock.js';
import { duration } from '../config/values.js';
import { SettingsReader } from '../config/reader.js';
import * as setting from '../config/settings.js';
import { Conversation } from '../person/conversation.js';
import { directName, Person } from '../person/person.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { Screen } from '../screen.js';
import { readRecord, recordPath, type UpRecord } from '../up/record.js';
import { UserError, wrongSetting } from '../user-error.js';

interface Options {
  as: string;
  room: string | undefined;
  up: string;
  waitMs: number;
}

/** `understudy chat`: a conversation on a terminal; with piped input each line is asked and answered in turn. */
export async function run(invocation: Invocation, given: Record<string, unknown>): Promise<number> {
  const options = read(given);
  const record = await readRecord(options.up);
  if (!record) {
    throw new UserError(
      3,
      `nothing was brought up in ${options.up} (there is no ${recordPath(options.up)}): run npm start first`,
    );
  }
  const { user, password } = account(
    record,
    options.as,
    new SettingsReader(invocation.env, invocation.flags, invocation.configFile),
  );
  const person = await Person.logIn(record.homeserver.url, user, password, systemClock);
  const room = await chosenRoom(person, record, options.room);
  const conversation = new Conversation(person, record.bot, systemClock);
  if (!process.stdin.isTTY) return piped(conversation, room, options.waitMs);
  return terminal(conversation, room);
}

function read(given: Record<string, unknown>): Options {
  const text = (name: string): string | undefined =>
    typeof given[name] === 'string' ? given[name] : undefined;
  const wait = duration.safeParse(text('wait') ?? '60s');
  if (!wait.success) throw wrongSetting(`--wait ${wait.error.issues[0]?.message ?? 'is wrong'}`);
  return { as: text('as') ?? 'alice', room: text('room'), up: text('up') ?? 'data', waitMs: wait.data };
}

/** The account of somebody whom `up` made, or the one named by the settings. */
function account(
  record: UpRecord,
  name: string,
  settings: SettingsReader,
): { user: string; password: string } {
  const known = Object.hasOwn(record.people, name) ? record.people[name] : undefined;
  if (known) return known;
  const user = settings.optional(setting.personUser);
  if (user !== undefined) return { user, password: settings.required(setting.personPassword) };
  const names = Object.keys(record.people).join(', ');
  throw wrongSetting(
    names === ''
      ? `--as ${name}: no account is known on ${record.homeserver.url}: set UNDERSTUDY_PERSON_USER and UNDERSTUDY_PERSON_PASSWORD`
      : `--as ${name}: there is ${names}`,
  );
}

async function chosenRoom(person: Person, record: UpRecord, wanted: string | undefined): Promise<string> {
  if (wanted === undefined) {
    const rooms = await person.joinedRooms();
    if (record.room !== undefined && rooms.includes(record.room)) return record.room;
    for (const room of rooms) if ((await person.roomName(room)) === directName) return room;
    return person.createRoom(directName, [record.bot]);
  }
  if (wanted.startsWith('!') || wanted.startsWith('#')) return person.join(wanted);
  const names: string[] = [];
  for (const room of await person.joinedRooms()) {
    const name = await person.roomName(room);
    if (name === wanted) return room;
    if (name !== undefined) names.push(name);
  }
  throw wrongSetting(
    `--room ${wanted}: there is no such room; there is ${names.join(', ') || 'none with a name'}`,
  );
}

/** Every line is a prompt; the answers are all that is printed. Exit code 3 when one does not come in time. */
async function piped(conversation: Conversation, room: string, waitMs: number): Promise<number> {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim() === '') continue;
    const reply = await conversation.ask(room, line, waitMs);
    if (!reply) throw new UserError(3, `no answer within ${waitMs / 1000} s; is a replica running?`);
    process.stdout.write(`${printable(reply.text)}\n`);
  }
  return 0;
}

async function terminal(conversation: Conversation, room: string): Promise<number> {
  const stop = new AbortController();
  const screen = new Screen(process.stdin, process.stdout, 'you> ');
  screen.note(
    `You are ${conversation.person.userId} and talk with ${conversation.bot}. !help lists the commands; Ctrl-D ends.`,
  );
  await conversation.next(0);
  const listening = listen(conversation, room, screen, stop.signal);
  try {
    await Promise.race([
      screen.eachLine(async (line) => {
        if (line.trim() !== '') await conversation.person.say(room, line);
      }),
      listening,
    ]);
  } finally {
    stop.abort(new Error('the conversation ended'));
    screen.close();
  }
  return 0;
}

async function listen(
  conversation: Conversation,
  room: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const answer of await conversation.next(30_000, signal)) {
        const where =
          answer.room === room
            ? ''
            : ` in ${(await conversation.person.roomName(answer.room)) ?? answer.room}`;
        const who = answer.replica === undefined ? 'bot' : `bot (${answer.replica})`;
        screen.show(answer.event, `${who}${where}> ${answer.text}`, answer.isFinal);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }
}
