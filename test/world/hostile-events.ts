import type { Random } from '../simulation/random.js';

/** What an event that somebody makes up may point at. */
export interface Aims {
  /** Events of the room, of other rooms, and ids of none. */
  events: readonly string[];
  people: readonly string[];
  rooms: readonly string[];
  bot: string;
}

export interface HostileEvent {
  type: string;
  content: Record<string, unknown>;
  /** A state event. */
  stateKey?: string;
  /** A redaction of that event. */
  redacts?: string;
}

const TEXTS = [
  'hello',
  '',
  ' ',
  '\u0000',
  '\u0000\u0001\u001b[31m\u007f',
  'a\u202eb\u2066c\u2069',
  '\u200b\u200d\ufeff\u00ad',
  'e\u0301'.repeat(300),
  'x\r\n\u2028\u2029y',
  '<script>alert(1)</script>',
  '<mx-reply><blockquote>not said</blockquote></mx-reply>**x**',
  '> <@alice:sim.test> quoted\n> more\n\nand said',
  '`'.repeat(2000),
  '> '.repeat(1500) + 'x',
  '['.repeat(3000),
  '{"__proto__":{"admin":true}}',
  '${7*7} {{7*7}} %s %n',
  '@room @everyone',
  '1',
  '0',
  '-1',
  '999999999999999999999',
  '٣',
  'NaN',
  '🛑',
  '✅',
  'yes',
];
/** Commands that end nothing that others wait for: no cancel, archive, agent, load or branch that is well-formed. */
const COMMANDS = [
  '!',
  '!!',
  '! status',
  '!status\u0000',
  '!status \u0007\u001b[2J',
  '!STATUS',
  '!help \u202ewen',
  '!help __proto__',
  '!constructor',
  '!__proto__',
  '!toString x',
  '!cancel\u0000',
  '!cancel\u200b now please',
  '!archive\u0001',
  '!rename \u0000\u200b',
  '!rename "',
  `!rename ${'x'.repeat(3000)}`,
  '!save \u202e\u202d',
  "!save '\u0000'",
  '!load \ufeff',
  '!load ../../etc/passwd',
  '!agent \u0000',
  '!agent __proto__',
  '!new "\u0000"',
  `!new ${'y'.repeat(500)}`,
  '!yes',
  '!no\u0000',
  '!chats\n!status',
];
const MSGTYPES = [
  'm.text',
  'm.text',
  'm.text',
  'm.emote',
  'm.notice',
  'm.image',
  'm.file',
  'm.audio',
  'm.video',
  'm.location',
  'm.server_notice',
  'm.key.verification.request',
  'org.example.unheard',
];
const RELATIONS = [
  'm.replace',
  'm.thread',
  'm.annotation',
  'm.reference',
  'm.in_reply_to',
  '__proto__',
  'm.unheard',
];
/** Keys that we, or a library below us, look at. */
const KEYS = [
  'body',
  'msgtype',
  'format',
  'formatted_body',
  'm.relates_to',
  'm.new_content',
  'm.mentions',
  'url',
  'file',
  'info',
  'filename',
  'errcode',
  'error',
  'membership',
  'redacts',
  'dev.understudy.delivery',
  'dev.understudy.made_for',
  'dev.understudy.derived',
  '__proto__',
  'constructor',
  'toString',
  'length',
  'then',
];

const nested = (depth: number): unknown => {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

/** Makes up events as somebody would who wants to break a bot: of every type that it looks at, and with every kind of wrong. */
export class HostileEvents {
  constructor(
    private readonly random: Random,
    private readonly aims: () => Aims,
  ) {}

  next(): HostileEvent {
    const { random } = this;
    const roll = random.next();
    if (roll < 0.62) return { type: 'm.room.message', content: this.message() };
    if (roll < 0.72) return { type: 'm.reaction', content: this.reaction() };
    if (roll < 0.78) return { type: 'm.room.redaction', content: {}, redacts: this.event() };
    if (roll < 0.81) return { type: 'm.room.encrypted', content: this.encrypted() };
    if (roll < 0.9) return this.ofOurs();
    return this.state();
  }

  private ofOurs(): HostileEvent {
    const { random } = this;
    const type = random.pick([
      'dev.understudy.ledger',
      'dev.understudy.probe',
      'dev.understudy.archived',
      'dev.understudy.unheard',
      'm.room.create',
      'm.room.member',
      'm.room.tombstone',
      'm.space.child',
      'm.room.redaction',
      'm.sticker',
      'org.example.unheard',
    ]);
    const content = {
      ...this.rubbish(),
      source: random.pick([this.event(), this.value()]),
      room: random.pick([this.aims().rooms[0] ?? '!x:y', this.value()]),
      'dev.understudy.made_for': { source: this.event(), person: random.pick(this.aims().people) },
    };
    return { type, content };
  }

  /** Nothing here names the bot's own membership: what a homeserver itself says of that is not for people to say. */
  private state(): HostileEvent {
    const { random } = this;
    const { people, rooms } = this.aims();
    const type = random.pick([
      'm.room.name',
      'm.room.topic',
      'm.space.child',
      'm.space.parent',
      'm.room.tombstone',
      'm.room.message',
      'm.room.avatar',
      'm.room.pinned_events',
      'dev.understudy.archived',
      'dev.understudy.derived',
      'org.example.state',
    ]);
    const isRoomed = type === 'm.space.child' || type === 'm.space.parent';
    const stateKey = isRoomed
      ? random.pick([...rooms, '!none:x'])
      : random.pick(['x', 'ü', '\u202e', ...people]);
    // Only a tombstone under the empty key closes a room, and only an own event archives it.
    const isEmpty = type === 'm.room.name' || type === 'm.room.topic' || type === 'dev.understudy.archived';
    const content = { ...this.rubbish(), name: this.value(), via: this.value(), order: this.value() };
    return { type, content, stateKey: isEmpty && random.chance(0.5) ? '' : stateKey };
  }

  private message(): Record<string, unknown> {
    const { random } = this;
    const content: Record<string, unknown> = {
      msgtype: random.chance(0.9) ? random.pick(MSGTYPES) : this.value(),
      body: random.chance(0.85) ? this.text() : this.value(),
    };
    if (random.chance(0.15)) delete content[random.pick(['msgtype', 'body'])];
    if (random.chance(0.3))
      Object.assign(content, { format: 'org.matrix.custom.html', formatted_body: this.text() });
    if (random.chance(0.4)) content['m.relates_to'] = this.relation();
    if (random.chance(0.15))
      content['m.new_content'] = random.pick([this.rubbish(), this.value(), content['body']]);
    if (random.chance(0.15)) content['m.mentions'] = this.mentions();
    if (random.chance(0.15)) content['dev.understudy.delivery'] = this.mark();
    if (random.chance(0.1)) content['info'] = this.rubbish();
    if (random.chance(0.1)) content['url'] = random.pick(['mxc://x/../..', 'mxc://', this.value()]);
    return random.chance(0.2) ? { ...content, ...this.rubbish(), ...pickBody(content) } : content;
  }

  private relation(): unknown {
    const { random } = this;
    if (random.chance(0.15)) return this.value();
    return {
      ...(random.chance(0.8) && { rel_type: random.chance(0.9) ? random.pick(RELATIONS) : this.value() }),
      ...(random.chance(0.9) && { event_id: random.chance(0.9) ? this.event() : this.value() }),
      ...(random.chance(0.4) && {
        'm.in_reply_to': random.chance(0.85) ? { event_id: this.event() } : this.value(),
      }),
      ...(random.chance(0.2) && { is_falling_back: this.value() }),
      ...(random.chance(0.1) && { key: this.text() }),
    };
  }

  private reaction(): Record<string, unknown> {
    const { random } = this;
    if (random.chance(0.2)) return { 'm.relates_to': this.relation(), ...this.rubbish() };
    const key = random.pick(['👍', 'x'.repeat(500), '', this.value(), '\u0000']);
    return { 'm.relates_to': { rel_type: 'm.annotation', event_id: this.event(), key } };
  }

  private encrypted(): Record<string, unknown> {
    return { algorithm: this.random.pick(['m.megolm.v1.aes-sha2', this.value()]), ciphertext: this.value() };
  }

  private mentions(): unknown {
    const { people } = this.aims();
    return this.random.pick([
      this.value(),
      { room: true },
      { user_ids: people },
      { user_ids: this.value() },
      { user_ids: [this.value(), null, 5] },
    ]);
  }

  /** As a replica would write it, or nearly. */
  private mark(): unknown {
    const { random } = this;
    if (random.chance(0.2)) return this.value();
    const step = random.pick([
      'anchor',
      'final',
      'stream/x/1',
      `repair/${this.event()}`,
      'orphan/x',
      this.value(),
    ]);
    const text = {
      hash: random.pick(['h', this.value()]),
      parts: random.pick([1, 2, 1e9, this.value()]),
      part: 1,
    };
    return {
      source: this.event(),
      step,
      final: random.pick([true, false, this.value()]),
      epoch: random.pick([0, -1, 2 ** 53, this.value()]),
      replica: 'r0',
      text,
      ...(random.chance(0.3) && { after: this.value() }),
    };
  }

  private rubbish(): Record<string, unknown> {
    const entries = Array.from({ length: this.random.below(4) }, () => [
      this.random.pick(KEYS),
      this.value(),
    ]);
    // As JSON.parse does, so that `__proto__` is a key like others.
    return JSON.parse(JSON.stringify(Object.fromEntries(entries))) as Record<string, unknown>;
  }

  private text(): string {
    const { random } = this;
    const roll = random.next();
    if (roll < 0.3) return random.pick(COMMANDS);
    if (roll < 0.305) return 'x'.repeat(1 + random.below(50_000));
    return random.pick(TEXTS);
  }

  private value(): unknown {
    const { random } = this;
    return random.pick<unknown>([
      null,
      true,
      false,
      0,
      -1,
      2 ** 53 - 1,
      random.below(1e9),
      '',
      'x',
      '\u0000',
      '__proto__',
      [],
      {},
      [null],
      [[], {}, [[]]],
      { event_id: '$x', rel_type: 'm.replace', body: 'x' },
      { length: 5 },
      JSON.parse('{"then":"x","toString":"x","valueOf":null}'),
      nested(random.below(60)),
      random.pick(TEXTS),
    ]);
  }

  private event(): string {
    const { random } = this;
    const known = this.aims().events;
    if (known.length > 0 && random.chance(0.6)) return random.pick(known);
    return random.pick([
      '$none',
      '$',
      'x',
      '$\u0000',
      '..',
      '$../../..',
      `$${'x'.repeat(400)}`,
      '$ü?#/%00',
      '',
    ]);
  }
}

/** Rubbish may overwrite all but what decides whether it is a prompt: that is said by the message itself. */
function pickBody({ msgtype, body, 'm.relates_to': relation }: Record<string, unknown>): object {
  return {
    ...(msgtype !== undefined && { msgtype }),
    ...(body !== undefined && { body }),
    ...(relation !== undefined && { 'm.relates_to': relation }),
  };
}

/** It may wait for its sender's next prompt, and then has no answer of its own. */
export const isFile = ({ content }: HostileEvent): boolean =>
  FILES.some((kind) => (content as Record<string, unknown> | null)?.['msgtype'] === kind);
const FILES = ['m.image', 'm.file', 'm.audio', 'm.video'];

/** Whether a person who may talk to the bot, where it answers always, is owed an answer to that event (PROTOCOL, Words). */
export function isOwedAnAnswer({ type, content, stateKey, redacts }: HostileEvent): boolean {
  if (type !== 'm.room.message' || stateKey !== undefined || redacts !== undefined) return false;
  const relation = content['m.relates_to'] as { rel_type?: unknown } | null | undefined;
  return (
    typeof content['body'] === 'string' &&
    content['msgtype'] !== 'm.notice' &&
    relation?.rel_type !== 'm.replace'
  );
}
