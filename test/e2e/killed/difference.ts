import { contextsIn, type Standing } from './standing.js';

/** What the ids of one use of a command are called, so that two uses compare. */
export interface Roles {
  person: string;
  bot: string;
  space: string;
  room: string;
  /** The command's own event. */
  source: string;
  /** A prompt before it, which it answers too. */
  prompt: string | undefined;
  /** The one word of this use. */
  word: string;
}

/** What a command changed, one line each, in the words of its roles; the same for every use that did the same. */
export function difference(before: Standing, after: Standing, roles: Roles): string[] {
  const changed = [...after].filter(([name, value]) => before.get(name) !== value);
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const lines = [
    ...changed
      .filter(([name]) => !isEither(name, roles))
      .map(([name, value]) => `${name}: ${JSON.stringify(plain(name, value, after))}`),
    ...gone.map((name) => `${name}: gone`),
  ];
  const names = namesOf(before, after, changed, roles);
  return lines
    .map((line) => names.reduce((text, [id, role]) => text.replaceAll(id, role), line))
    .map((line) => line.replace(EDIT, '$1EDIT'))
    .toSorted();
}

/** An answer that ends a placeholder is final by an edit of it, which shows as no message of its own. */
const EDIT = /( final_event_id: \{"value":")\$[^"]+/;

/** A command that passes ahead of a prompt may be settled before it or after it, and the floor is the last one. */
const isEither = (name: string, { prompt }: Roles): boolean =>
  prompt !== undefined && name.startsWith('record floor:');

/** Longer ones first: one may stand in another. */
function namesOf(
  before: Standing,
  after: Standing,
  changed: readonly (readonly [string, string])[],
  roles: Roles,
): [string, string][] {
  const made = [...after.keys()].flatMap((name) => /^room (\S+) made for$/.exec(name)?.[1] ?? []);
  const rooms = made.filter((room) => room !== roles.room);
  const said = changed.flatMap(([name]) => /^said \S+ (\S+)$/.exec(name)?.[1] ?? []);
  const known = contextsIn(before);
  const contexts = [...contextsIn(after)].filter((chat) => !known.has(chat));
  const own = numberOf(after, roles.room);
  const names: [string, string][] = [
    [roles.person, 'PERSON'],
    [roles.bot, 'BOT'],
    [roles.space, 'SPACE'],
    [roles.room, 'HERE'],
    [roles.source, 'COMMAND'],
    ...(roles.prompt === undefined ? [] : [[roles.prompt, 'PROMPT'] satisfies [string, string]]),
    [roles.word, 'WORD'],
    ...rooms.flatMap((room, n) => [
      [room, `NEW ${n + 1}`] satisfies [string, string],
      ...numbered(numberOf(after, room), `NEW ${n + 1}`),
    ]),
    ...said.map((event) => [event, 'SAID'] satisfies [string, string]),
    ...[...known].map((chat) => [chat, 'CONTEXT'] satisfies [string, string]),
    ...contexts.map((chat, n) => [chat, `NEW CONTEXT ${n + 1}`] satisfies [string, string]),
    ...numbered(own, 'HERE'),
  ];
  const encoded = names.map(([id, role]) => [encodeURIComponent(id), role] satisfies [string, string]);
  return [...names, ...encoded]
    .filter(([id]) => id !== '')
    .toSorted(([one], [other]) => other.length - one.length);
}

/** A chat's number, as its record has it. */
function numberOf(standing: Standing, room: string): number | undefined {
  const record = standing.get(`record matrix_room:${room} chat_id`);
  const found = /"C(\d+)"/.exec(record ?? '');
  return found ? Number(found[1]) : undefined;
}

/** How a number shows: in words, and as an order in the space, and the one after it. */
const numbered = (number: number | undefined, role: string): [string, string][] =>
  number === undefined
    ? []
    : [
        [`"C${number}"`, `"number of ${role}"`],
        [`\\"C${number}\\"`, `"number of ${role}"`],
        [`C${number} “`, `number of ${role} “`],
        [`C${number} is archived`, `number of ${role} is archived`],
        [`chat: C${number}`, `chat: number of ${role}`],
        [`"${String(number).padStart(6, '0')}"`, `"number of ${role}"`],
        [`next_chat_index: {"value":${number + 1},`, `next_chat_index: {"value":number of ${role} + 1,`],
      ];

/** Without what differs from one moment to the next: who answers, who is there, how long ago. */
function plain(name: string, value: string, after: Standing): unknown {
  const parsed: unknown = JSON.parse(value);
  if (!name.startsWith('said ')) return parsed;
  const { body, ...rest } = parsed as { body: string };
  if (body.startsWith('Your chats') && listed(body) === chatsIn(after))
    return { ...rest, body: 'every chat, once' };
  return { ...rest, body: body.split('\n').map((line) => plainLine(line)) };
}

const listed = (body: string): string =>
  inOrder([...body.matchAll(/\bC(\d+) “/g)].map(([, number]) => Number(number)));

const chatsIn = (standing: Standing): string =>
  inOrder(
    [...standing]
      .filter(([name]) => /^record chat:.* chat_id$/.test(name))
      .map(([, value]) => Number(/"C(\d+)"/.exec(value)?.[1])),
  );

const inOrder = (numbers: readonly number[]): string => numbers.toSorted((a, b) => a - b).join();

const plainLine = (line: string): string =>
  line
    .replace(/^answered by: replica-\d$/, 'answered by: a replica')
    .replace(/^alive besides: (?:none|replica-\d)(?: \(not ready\))?$/, 'alive besides: who is there')
    .replace(/^relay: (?:connected|out of reach, working alone)$/, 'relay: connected or not')
    .replace(/^platform: .*$/, 'platform: in reach or not')
    .replace(/^lag: .*$/, 'lag: so long')
    .replace(/^tasks: .*$/, 'tasks: so many');
