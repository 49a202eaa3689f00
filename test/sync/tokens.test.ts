import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { tokenProtocol } from '../../src/sync/credentials.js';
import { protocol, viewerProtocol } from '../../src/sync/frame.js';
import type { Relay } from '../../src/sync/relay.js';
import { RelayTokens } from '../../src/sync/relay-tokens.js';
import { systemClock, type Clock } from '../../src/time/clock.js';
import { allOpen, connect, rawClient, relay, token, until } from './world.js';

const compared: number[] = [];
beforeAll(() => {
  const { timingSafeEqual } = crypto;
  vi.spyOn(crypto, 'timingSafeEqual').mockImplementation((a, b) => {
    compared.push(a.byteLength);
    return timingSafeEqual(a, b);
  });
  syncBuiltinESMExports();
});
afterAll(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

const past = Date.now() - 1;
const list = [
  token('rw'),
  token('ro', 'viewer'),
  token('root', 'admin'),
  token('old', 'replica', past),
  token('old-ro', 'viewer', past),
];

/** The status of a refused upgrade, or 101. */
async function upgrade(started: Relay, secret: string | undefined, spoken: string): Promise<number> {
  const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  const client = rawClient(started.url, { headers }, spoken);
  await until('decided', () => client.closed() ?? client.socket.readyState === client.socket.OPEN);
  const status = /\d{3}/.exec(client.closed()?.error ?? '101')?.[0];
  client.socket.terminate();
  return Number(status);
}

test.each([
  [undefined, protocol, 401],
  ['', protocol, 401],
  ['wrong', protocol, 401],
  ['rw ', protocol, 101],
  ['rwx', protocol, 401],
  ['old', protocol, 401],
  ['old-ro', viewerProtocol, 401],
  ['rw', protocol, 101],
  ['rw', viewerProtocol, 101],
  ['ro', viewerProtocol, 101],
  ['root', viewerProtocol, 101],
  ['ro', protocol, 403],
  ['root', protocol, 403],
  ['ro', 'understudy.v0', 400],
])('R-role: the token %j, speaking %s, is answered %i', async (secret, spoken, status) => {
  const started = await relay({ tokens: list });
  expect(await upgrade(started, secret, spoken)).toBe(status);
  const { accepted, refusedToken, refusedExpired, refusedRole, refusedVersion } = started.stats();
  expect(accepted).toBe(status === 101 ? 1 : 0);
  expect(refusedToken + refusedExpired).toBe(status === 401 ? 1 : 0);
  expect(refusedExpired).toBe(secret?.startsWith('old') ? 1 : 0);
  expect([refusedRole, refusedVersion]).toEqual([status === 403 ? 1 : 0, status === 400 ? 1 : 0]);
});

test('R-constant: every token is compared, whichever is presented, and with a hash of the same length', () => {
  const tokens = new RelayTokens(list);
  for (const secret of ['rw', 'old-ro', 'wrong', 'x'.repeat(1000), undefined]) {
    compared.length = 0;
    tokens.identify(secret, Date.now());
    expect(compared).toEqual(list.map(() => 32));
  }
});

test('a browser’s viewer offers its token as a subprotocol, and hears back only the version', async () => {
  const started = await relay({ tokens: list, origins: ['https://devtool.example'] });
  const offered = [viewerProtocol, tokenProtocol('ro')];
  const client = rawClient(started.url, { origin: 'https://devtool.example' }, offered);
  await until('open', () => client.socket.readyState === client.socket.OPEN);
  expect(client.socket.protocol).toBe(viewerProtocol);
  const writer = rawClient(started.url, { origin: 'https://devtool.example' }, [
    protocol,
    tokenProtocol('ro'),
  ]);
  await until('refused', writer.closed);
  expect(writer.closed()?.error).toContain('403');
});

test('R-expiry: a connection ends at the moment when its token expires', async () => {
  // Not a round number: no other timer of a relay is of this length.
  const lifeMs = 54_321;
  let now = Date.now();
  const expires = now + lifeMs;
  const looks: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    now: () => now,
    after(ms, run) {
      if (ms !== lifeMs && ms !== 1) return systemClock.after(ms, run);
      looks.push(run);
      return () => {};
    },
  };
  const started = await relay({ tokens: [token('short', 'replica', expires), token('rw')], clock });
  const [brief, lasting] = [
    connect('brief', [{ url: started.url, token: 'short' }]),
    connect('lasting', [{ url: started.url, token: 'rw' }]),
  ];
  await allOpen(brief, lasting);
  expect(looks).toHaveLength(1);
  now = expires - 1;
  looks[0]!();
  expect(looks).toHaveLength(2);
  expect(started.stats()).toMatchObject({ closedRevoked: 0, replicas: 2 });
  now = expires;
  looks[1]!();
  await until('ended', () => brief.status()[0]!.reason === 'revoked');
  await until('refused after that', () => started.stats().refusedExpired > 0);
  expect(lasting.stats().lost).toBe(0);
  expect(started.stats().closedRevoked).toBe(1);
});

test('R-revoked: a token that is taken off the list, or given another role, ends its connections; a new one is let in', async () => {
  const started = await relay({ tokens: list });
  const [alpha, viewer] = [
    connect('alpha', [{ url: started.url, token: 'rw' }]),
    connect('devtool', [{ url: started.url, token: 'ro' }], { readOnly: true }),
  ];
  await allOpen(alpha, viewer);
  started.setTokens([token('new'), token('ro', 'admin')]);
  await until('both ended', () => started.stats().closedRevoked === 2);
  await until('refused', () => alpha.status()[0]!.reason === 'http-401');
  await allOpen(connect('beta', [{ url: started.url, token: 'new' }]));
  started.setTokens([token('new'), token('rw')]);
  await allOpen(alpha);
});

test('a rotation, with both tokens listed for a while, interrupts nobody', async () => {
  const started = await relay({ tokens: ['old'] });
  const before = connect('alpha', [{ url: started.url, token: 'old' }]);
  await allOpen(before);
  started.setTokens([token('old'), token('new')]);
  before.close();
  const after = connect('alpha', [{ url: started.url, token: 'new' }]);
  await allOpen(after);
  started.setTokens([token('new')]);
  await until('decided', () => started.stats().replicas === 1);
  expect([after.stats().lost, started.stats().closedRevoked]).toEqual([0, 0]);
});

test('an administrator sees who is connected, and nobody else does', async () => {
  const started = await relay({ tokens: [...list, { ...token('named'), name: 'replica one' }] });
  await allOpen(connect('alpha', [{ url: started.url, token: 'named' }]));
  const ask = (secret?: string) =>
    fetch(`${started.url.replace('ws', 'http')}/admin/connections`, {
      headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` },
    });
  const statuses = await Promise.all([undefined, 'wrong', 'old', 'rw', 'ro'].map(ask));
  expect(statuses.map(({ status }) => status)).toEqual([401, 401, 401, 403, 403]);
  const answer = await ask('root');
  expect(answer.status).toBe(200);
  const { version, connections } = (await answer.json()) as { version: number; connections: object[] };
  expect(version).toBe(1);
  expect(connections).toEqual([
    expect.objectContaining({ replica: 'alpha', as: 'replica', name: 'replica one', backlogBytes: 0 }),
  ]);
});
