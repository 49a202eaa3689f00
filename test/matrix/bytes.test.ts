import { getHeapStatistics } from 'node:v8';
import { afterEach, describe, expect, test } from 'vitest';
import { openHomeserver } from '../../src/matrix/client.js';
import { type Homeserver, HomeserverError, type SyncAnswer } from '../../src/matrix/homeserver.js';
import { Inbox } from '../../src/matrix/inbox.js';
import type { Batch } from '../../src/matrix/batch.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { scriptedServer } from './scripted-server.js';
import { nothingBefore } from './nothing-before.js';

type Server = Awaited<ReturnType<typeof scriptedServer>>;
const disposals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

const WHOAMI = '{"user_id":"@bot:h","device_id":"D"}';

/** A homeserver that answers with these very bytes whatever else it is asked than who we are. */
async function serve(answer: (server: Server) => Buffer | string, status = 200): Promise<Server> {
  const server = await scriptedServer(({ path }, response) => {
    const isWho = path.endsWith('/whoami');
    response.writeHead(isWho ? 200 : status, { 'content-type': 'application/json' });
    response.end(isWho ? WHOAMI : answer(server));
  });
  disposals.push(() => server.close());
  return server;
}

const open = ({ url }: { url: string }, onDropped: (count: number) => void = () => undefined) =>
  openHomeserver({
    url,
    accessToken: 'secret-token',
    log: silentLog,
    clock: systemClock,
    deadlineMs: 60_000,
    onDropped,
  });

const event = (id: string, content: string) =>
  `{"event_id":"${id}","type":"m.room.message","sender":"@a:b","origin_server_ts":1,"content":${content}}`;
const said = '{"msgtype":"m.text","body":"hello"}';
const syncOf = (...events: string[]) =>
  `{"next_batch":"s1","rooms":{"join":{"!r:h":{"timeline":{"events":[${events.join(',')}]}}}}}`;
const deep = (levels: number) => '{"a":['.repeat(levels) + '1' + ']}'.repeat(levels);
const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

const ids = ({ joined }: SyncAnswer) =>
  joined.flatMap(({ timeline }) => timeline.map(({ event_id }) => event_id));

/** Content that a homeserver may come by, beside an event that is well. */
const CONTENTS: [what: string, content: string | Buffer][] = [
  ['bytes that are no UTF-8', bytes('{"body":"', [0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf5], '"}')],
  ['a character that is cut off', bytes('{"body":"', [0xf0, 0x9f], '"}')],
  ['halves of characters', '{"body":"\\ud800 \\udc00\\udbff","\\ud800":1}'],
  ['numbers beyond all bounds', '{"body":1e999,"a":-1e999,"b":123456789012345678901234567890,"c":1e-999}'],
  [
    'keys of every object',
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}',
  ],
  ['a key twice', '{"body":"a","body":{"x":1},"msgtype":"m.text","msgtype":null}'],
  ['control characters', '{"body":"\\u0000\\u0007\\u001b[2J\\u007f"}'],
  ['100 levels', deep(50)],
  ['50,000 levels', deep(25_000)],
  ['20,000 keys', `{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":${n}`).join(',')}}`],
  ['5 MB of text', `{"body":"${'x'.repeat(5_000_000)}"}`],
];

describe('what a homeserver sends', () => {
  test.each(CONTENTS)('M-bytes: an event with %s keeps no other from being read', async (_, content) => {
    const [before, after] = [event('$before', said), event('$after', said)];
    const odd = event('$odd', '\u0000').split('\u0000');
    const body = syncOf(before, '\u0000', after).split('\u0000');
    const whole = bytes(body[0]!, odd[0]!, [...Buffer.from(content as string)], odd[1]!, body[1]!);
    const server = await serve(() => whole);
    const answer = await open(server).sync({ since: 's0', timeoutMs: 0 });
    expect(ids(answer).filter((id) => id !== '$odd')).toEqual(['$before', '$after']);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  const NO_ANSWERS: [string, Buffer | string][] = [
    ['nothing', ''],
    ['no JSON', '<html>'],
    ['half of it', syncOf(event('$1', said)).slice(0, -20)],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"s1"'],
    ['no position', '{"rooms":{}}'],
    ['a position that is a number', '{"next_batch":5}'],
    ['rooms that are none', '{"next_batch":"s1","rooms":[]}'],
    ['a position of objects', '{"next_batch":{"toString":5}}'],
    ['bytes only', bytes([0xff, 0xfe, 0x00, 0xd8])],
    ['UTF-16', Buffer.from('{"next_batch":"s1"}', 'utf16le')],
    ['levels without end', '['.repeat(200_000)],
    ['an error that is none', '{"errcode":{"toString":1},"error":{"toString":null}}'],
    ['an error of many levels', `{"errcode":"M_X","error":${deep(20_000)}}`],
  ];
  test.each(NO_ANSWERS)('M-bytes: %s for a /sync answer is an outage, and nothing else', async (_, body) => {
    for (const status of [200, 400, 502]) {
      const server = await serve(() => body, status);
      const failure: unknown = await open(server)
        .sync({ since: 's0', timeoutMs: 0 })
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(HomeserverError);
    }
  });

  test('M-bytes: no answer whatever ends the inbox: what is well comes through once, and nothing is held', async () => {
    const odd = [
      ...NO_ANSWERS.map(([, body]) => body),
      ...CONTENTS.slice(0, 8).map(([, content]) => content),
    ];
    let n = 0;
    const server = await serve(() => {
      n += 1;
      if (n > 3 * odd.length) return syncOf(event('$last', said));
      return n % 3 === 0 ? syncOf(event(`$${n}`, said)) : (odd[n % odd.length] ?? '');
    });
    const read: string[] = [];
    const inbox = new Inbox({
      homeserver: open(server),
      clock: { ...systemClock, after: (ms, act) => systemClock.after(Math.min(ms, 5), act) },
      log: silentLog,
      since: 's0',
      timeoutMs: 0,
      probeEveryMs: 3_600_000,
      readBefore: nothingBefore,
      onBatch: (batch: Batch) => {
        read.push(...batch.rooms.flatMap(({ events }) => events.map(({ event_id }) => event_id)));
        return Promise.resolve();
      },
    });
    disposals.push(() => inbox.stop());
    inbox.start();
    await expect.poll(() => read.includes('$last'), { timeout: 60_000 }).toBe(true);
    const wanted = Array.from({ length: odd.length }, (_, i) => `$${3 * (i + 1)}`);
    expect(read.filter((id) => id !== '$last')).toEqual(wanted);
    expect(getHeapStatistics().used_heap_size).toBeLessThan(1e9);
  });
});

describe('what is asked of a homeserver', () => {
  const asks = (homeserver: Homeserver, id: string): (() => Promise<unknown>)[] => [
    () => homeserver.event('!r:h', id),
    () => homeserver.context('!r:h', id),
    () => homeserver.roomState(id),
    () => homeserver.redact('!r:h', id, 'txn'),
    () => homeserver.stateContent('!r:h', 'm.room.name', id),
    () => homeserver.join(id),
    () => homeserver.leave(id),
    () => homeserver.send(id, 'm.room.message', 'txn', {}),
    () => homeserver.setState('!r:h', 'm.space.child', id, {}),
    () => homeserver.resolveAlias(id),
    () => homeserver.readReceipt('!r:h', id),
  ];

  /** Each call's failure, undefined where it had none. A throw where a promise is promised goes past every catch. */
  async function failures(homeserver: Homeserver, id: string): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const ask of asks(homeserver, id))
      found.push(
        await ask().then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
    return found;
  }

  const isOurs = (failure: unknown) => failure === undefined || failure instanceof HomeserverError;

  test.each(['$\ud800', '\udc00', '$a\udbffb'])(
    'M-ids: nothing stands under %j, and nobody is asked',
    async (id) => {
      const server = await serve(() => '{"event_id":"$1","room_id":"!r:h"}');
      expect((await failures(open(server), id)).filter((failure) => !isOurs(failure))).toEqual([]);
      expect(server.asked).toEqual([]);
    },
  );

  test.each(['.', '..'])('M-dots: an id that is %j leads to no other endpoint', async (id) => {
    const server = await serve(() => '{"event_id":"$1","room_id":"!r:h"}');
    expect((await failures(open(server), id)).filter((failure) => !isOurs(failure))).toEqual([]);
    expect(server.asked.map(({ path }) => path)).toEqual([]);
  });

  test.each(['$x/../../y', '$\u0000\n', '$ü#?%2e', '😀', '$'.repeat(5000)])(
    'an id like %j is asked for as it stands',
    async (id) => {
      const server = await serve(() => '{"errcode":"M_NOT_FOUND","error":"none"}', 404);
      const found = await failures(open(server), id);
      expect(found.filter((failure) => !isOurs(failure))).toEqual([]);
      expect(server.asked).toHaveLength(found.length);
      for (const { path } of server.asked) {
        expect(path.startsWith('/_matrix/client/v3/')).toBe(true);
        expect(path.split('/').map(decodeURIComponent)).toContain(id);
      }
    },
  );
});
