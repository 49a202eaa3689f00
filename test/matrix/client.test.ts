import { afterEach, describe, expect, test, vi } from 'vitest';
import { openHomeserver } from '../../src/matrix/client.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { logIn } from '../../src/matrix/login.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { json, scriptedServer } from './scripted-server.js';

type Server = Awaited<ReturnType<typeof scriptedServer>>;
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(answer: Parameters<typeof scriptedServer>[0]): Promise<Server> {
  const server = await scriptedServer(answer);
  servers.push(server);
  return server;
}

function open(url: string, more: { deadlineMs?: number; onDropped?: (n: number) => void } = {}) {
  return openHomeserver({
    url,
    accessToken: 'secret-token',
    log: silentLog,
    clock: systemClock,
    deadlineMs: 30_000,
    ...more,
  });
}

async function failure(promise: Promise<unknown>): Promise<HomeserverError> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof HomeserverError)) throw error;
  return error;
}

const event = (id: string, content: object = { body: 'x' }) => ({
  event_id: id,
  type: 'm.room.message',
  sender: '@a:b',
  origin_server_ts: 1,
  content,
});

/** Whoever asks is told so, and that there is nothing new. */
const SYNC = { user_id: '@bot:h', device_id: 'D', next_batch: 's1' };

describe('requests', () => {
  test('a send is a PUT under the transaction id, authorised, with every id encoded', async () => {
    const server = await serve((_, response) => json(response, 200, { event_id: '$new' }));
    await expect(open(server.url).send('!r/oom:h', 'm.room.message', 'a/b=', { body: 'hi' })).resolves.toBe(
      '$new',
    );
    const [asked] = server.asked;
    expect(asked).toMatchObject({
      method: 'PUT',
      path: '/_matrix/client/v3/rooms/!r%2Foom%3Ah/send/m.room.message/a%2Fb%3D',
      body: '{"body":"hi"}',
    });
    expect(asked?.headers).toMatchObject({
      authorization: 'Bearer secret-token',
      'content-type': 'application/json',
    });
  });

  test('D5: no two /sync requests are alike, in one process or in two', async () => {
    const server = await serve((_, response) => json(response, 200, SYNC));
    const [one, two] = [open(server.url), open(server.url)];
    for (const homeserver of [one, one, two]) await homeserver.sync({ since: 's0', timeoutMs: 0 });
    const asked = server.asked.filter(({ path }) => path.endsWith('/sync'));
    expect(new Set(asked.map(({ query }) => query.toString())).size).toBe(3);
    expect(asked).toHaveLength(3);
    expect(asked[0]?.query.get('since')).toBe('s0');
  });

  test('M-state: of a room’s state a /sync asks for what we wrote ourselves, and for types that are read', async () => {
    const server = await serve((_, response) => json(response, 200, SYNC));
    await open(server.url).sync({ timeoutMs: 0 });
    const asked = server.asked.find(({ path }) => path.endsWith('/sync'));
    const filter: unknown = JSON.parse(asked?.query.get('filter') ?? '');
    expect(filter).toMatchObject({
      room: {
        timeline: { limit: 100 },
        state: {
          lazy_load_members: true,
          senders: [SYNC.user_id],
          types: ['m.room.create', 'm.room.member', 'm.room.name', 'm.room.tombstone', 'm.space.child'],
        },
      },
    });
  });

  test('a state event is asked for whole; of a homeserver that gives its content alone all state is', async () => {
    const create = { ...event('$1'), type: 'm.room.create', state_key: '', sender: '@x:y' };
    // What the content says of itself is the room maker's word.
    const whole = { ...create, room_id: '!r:y' };
    const forged = { ...create, sender: '@bot:y', content: { made: 'up' } };
    const answers: unknown[] = [
      whole,
      { creator: '@x:y', sender: '@bot:y' },
      [event('$2'), create],
      // Whoever made the room wrote this before it had an id.
      forged,
      [create],
    ];
    const server = await serve((_, response) => json(response, 200, answers.shift()));
    const homeserver = open(server.url);
    for (let n = 0; n < 3; n++)
      expect(await homeserver.stateEvent('!r:y', 'm.room.create', '')).toMatchObject(create);
    expect(server.asked.map(({ path, query }) => [path.split('/rooms/')[1], query.get('format')])).toEqual([
      [expect.stringMatching(/\/state\/m\.room\.create\/$/), 'event'],
      [expect.stringMatching(/\/state\/m\.room\.create\/$/), 'event'],
      [expect.stringMatching(/\/state$/), null],
      [expect.stringMatching(/\/state\/m\.room\.create\/$/), 'event'],
      [expect.stringMatching(/\/state$/), null],
    ]);
  });

  test('typing names our own user, asked for once', async () => {
    const server = await serve(({ path }, response) =>
      json(response, 200, path.endsWith('whoami') ? { user_id: '@bot:h', device_id: 'D' } : {}),
    );
    const homeserver = open(server.url);
    await homeserver.typing('!r:h', true, 500);
    await homeserver.typing('!r:h', false, 0);
    expect(server.asked.map(({ path, body }) => `${path} ${body}`)).toEqual([
      '/_matrix/client/v3/account/whoami ',
      '/_matrix/client/v3/rooms/!r%3Ah/typing/%40bot%3Ah {"typing":true,"timeout":500}',
      '/_matrix/client/v3/rooms/!r%3Ah/typing/%40bot%3Ah {"typing":false}',
    ]);
  });

  test('a login asks for the device it is given and never logs out', async () => {
    const server = await serve((_, response) =>
      json(response, 200, { access_token: 't', user_id: '@bot:h', device_id: 'DEV' }),
    );
    const session = await logIn({
      url: server.url,
      user: 'bot',
      password: 'p',
      deviceId: 'DEV',
      clock: systemClock,
      deadlineMs: 30_000,
    });
    expect(session).toEqual({ accessToken: 't', userId: '@bot:h', deviceId: 'DEV' });
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]?.headers.authorization).toBeUndefined();
    expect(JSON.parse(server.asked[0]?.body ?? '')).toMatchObject({ device_id: 'DEV', password: 'p' });
  });
});

describe('failures', () => {
  test.each([
    ['retry_after_ms of the body', { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 1234 }, {}, 1234],
    ['the Retry-After header', { errcode: 'M_LIMIT_EXCEEDED' }, { 'retry-after': '7' }, 7000],
    ['the header of a proxy that speaks no JSON', 'slow down', { 'retry-after': '2' }, 2000],
    ['no wait that is not named', { errcode: 'M_LIMIT_EXCEEDED' }, {}, undefined],
    ['no wait that is nonsense', { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 'soon' }, {}, undefined],
    ['no wait below nothing', { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: -5000 }, {}, 0],
    ['a date of long ago', 'slow down', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0],
    ['a date of far away', 'slow down', { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }, 3_600_000],
    ['no header that is nonsense', 'slow down', { 'retry-after': 'soon' }, undefined],
    ['at most an hour', { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 1e12 }, {}, 3_600_000],
  ])('429 is rate-limited and honours %s', async (_, body, headers, retryAfterMs) => {
    const server = await serve((_asked, response) => json(response, 429, body, headers));
    const error = await failure(open(server.url).whoami());
    expect(error.code).toBe('rate-limited');
    expect(error.detail.retryAfterMs).toBe(retryAfterMs);
  });

  test.each([
    [403, { errcode: 'M_FORBIDDEN', error: 'no' }, 'refused', 'M_FORBIDDEN'],
    [401, { errcode: 'M_UNKNOWN_TOKEN' }, 'refused', 'M_UNKNOWN_TOKEN'],
    [413, '<html>too large</html>', 'refused', undefined],
    [404, '<html>proxy</html>', 'unreachable', undefined],
    [500, { errcode: 'M_UNKNOWN' }, 'unreachable', 'M_UNKNOWN'],
    [502, '<html>bad gateway</html>', 'unreachable', undefined],
    [200, '<html>captive portal</html>', 'unreachable', undefined],
    [200, 'null', 'unreachable', undefined],
    [200, { no: 'user' }, 'unreachable', undefined],
  ])('%i with %j is %s', async (status, body, code, errcode) => {
    const server = await serve((_, response) => json(response, status, body));
    const error = await failure(open(server.url).whoami());
    expect(error.code).toBe(code);
    expect(error.detail.errcode).toBe(errcode);
  });

  test('a refused connection, a reset and a body cut short are unreachable', async () => {
    const gone = await scriptedServer(() => undefined);
    await gone.close();
    expect((await failure(open(gone.url).whoami())).code).toBe('unreachable');
    const reset = await serve((_, response) => response.destroy());
    expect((await failure(open(reset.url).whoami())).code).toBe('unreachable');
    const cut = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"user_id":');
      setImmediate(() => response.destroy());
    });
    expect((await failure(open(cut.url).whoami())).code).toBe('unreachable');
  });

  test('a deadline passes over an answer that never comes and over a body that never ends', async () => {
    const silent = await serve(() => undefined);
    expect((await failure(open(silent.url, { deadlineMs: 50 }).whoami())).code).toBe('unreachable');
    const endless = await serve((_, response) => {
      response.writeHead(200);
      response.write('{');
    });
    expect((await failure(open(endless.url, { deadlineMs: 50 }).whoami())).code).toBe('unreachable');
  });

  test('our own signal ends a request as aborted, before it and in the middle of it', async () => {
    const arrived = vi.fn();
    const server = await serve(arrived);
    const controller = new AbortController();
    const pending = failure(open(server.url).whoami(controller.signal));
    await vi.waitFor(() => expect(arrived).toHaveBeenCalled(), 30_000);
    controller.abort();
    expect((await pending).code).toBe('aborted');
    expect((await failure(open(server.url).whoami(controller.signal))).code).toBe('aborted');
    expect(arrived).toHaveBeenCalledTimes(1);
  });

  test('no failure carries the token or is written to the console', async () => {
    const written = vi.spyOn(process.stdout, 'write');
    const server = await serve((_, response) => json(response, 403, { errcode: 'M_FORBIDDEN', error: 'x' }));
    const error = await failure(open(server.url).send('!r:h', 'm.room.message', 't', { body: 'private' }));
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
    expect(JSON.stringify([error.message, error.detail])).not.toMatch(/secret-token|private/);
  });

  test('an alias that nobody has is undefined, any other refusal is an error', async () => {
    let status = 404;
    const server = await serve((_, response) => json(response, status, { errcode: 'M_NOT_FOUND' }));
    await expect(open(server.url).resolveAlias('#a:h')).resolves.toBeUndefined();
    status = 403;
    expect((await failure(open(server.url).resolveAlias('#a:h'))).code).toBe('refused');
  });
});

describe('answers', () => {
  test('malformed events and rooms are dropped and counted, the rest of the batch stays', async () => {
    const onDropped = vi.fn();
    const server = await serve((_, response) =>
      json(response, 200, {
        ...SYNC,
        next_batch: 's2',
        rooms: {
          join: {
            '!good:h': {
              timeline: {
                events: [event('$1'), null, { ...event('$2'), origin_server_ts: 'x' }, event('$3')],
                limited: true,
                prev_batch: 'p',
              },
              state: { events: 'none' },
            },
            '!bad:h': { timeline: 7 },
          },
          invite: { '!inv:h': { invite_state: { events: [{ type: 'm.room.member' }] } } },
          leave: 'nothing',
        },
      }),
    );
    const answer = await open(server.url, { onDropped }).sync({ timeoutMs: 0 });
    expect(answer.joined).toHaveLength(1);
    expect(answer.joined[0]).toMatchObject({ room: '!good:h', limited: true, prevBatch: 'p', state: [] });
    expect(answer.joined[0]?.timeline.map((one) => one.event_id)).toEqual(['$1', '$3']);
    expect(answer.invited).toEqual([{ room: '!inv:h', state: [] }]);
    expect(onDropped.mock.calls.flat().reduce((a: number, b: number) => a + b, 0)).toBe(4);
  });

  test('an event that has an errcode among its keys is still an event', async () => {
    const server = await serve((_, response) => json(response, 200, { ...event('$1'), errcode: 'M_HA' }));
    await expect(open(server.url).event('!r:h', '$1')).resolves.toEqual(event('$1'));
  });
});
