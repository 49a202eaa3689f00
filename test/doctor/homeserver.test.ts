import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/time/clock.js';
import { node } from '../node/world.js';
import { CLUSTER, doctor, healthyFolder, settings } from './world.js';

type Answers = Record<
  string,
  [status: number, body: unknown] | ((request: IncomingMessage) => [number, unknown])
>;

/** Answers as a homeserver does, for what no real one can be brought to say; the rest is in test/e2e/doctor.test.ts. */
async function homeserver(answers: Answers = {}): Promise<string> {
  const all: Answers = {
    '/_matrix/client/versions': [200, { versions: ['v1.11'] }],
    '/_matrix/client/v3/account/whoami': [200, { user_id: '@bot:x', device_id: 'DEVICE' }],
    '/_matrix/client/v3/joined_rooms': [200, { joined_rooms: ['!r0:x', '!r1:x', '!r2:x', '!r3:x', '!r4:x'] }],
    ...answers,
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const found = all[request.url?.split('?')[0] ?? ''] ?? [404, { errcode: 'M_UNRECOGNIZED' }];
    const [status, body] = typeof found === 'function' ? found(request) : found;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

const at = (dir: string, url: string, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, {
    only: ['homeserver'],
    ...options,
    env: { ...settings, MATRIX_HOMESERVER_URL: url, ...options.env },
  });

/** A folder whose cluster serves @bot:x over DEVICE, on a homeserver that was tested. */
async function signedIn(judge: 'atomic' | 'not_atomic' | 'untested' = 'atomic'): Promise<string> {
  const dir = await healthyFolder();
  const one = await node([], { dataDir: dir, clusterId: CLUSTER, found: true });
  const fields = { account: '@bot:x', device_id: 'DEVICE', judge };
  await one.change([{ kind: 'cluster', key: 'cluster', fields }], { id: '$test' });
  await one.close();
  return dir;
}

describe('the doctor at the homeserver', { timeout: 60_000 }, () => {
  it('finds nothing where nothing is wrong', async () => {
    const { codes, exit, of } = await at(await signedIn(), await homeserver());
    expect({ codes, exit }).toEqual({ codes: [], exit: 0 });
    expect(of('homeserver').seen).toContain('speaks v1.11; signed in as @bot:x on DEVICE');
  });

  it('homeserver-unreachable: nobody there, and one that fails', async () => {
    const dir = await signedIn();
    expect(await at(dir, 'http://127.0.0.1:9')).toMatchObject({ codes: ['homeserver-unreachable'], exit: 3 });
    const failing = await homeserver({
      '/_matrix/client/v3/account/whoami': [502, { errcode: 'M_UNKNOWN' }],
    });
    expect(await at(dir, failing)).toMatchObject({ codes: ['homeserver-unreachable'], exit: 3 });
  });

  it('homeserver-not-matrix', async () => {
    const other = await homeserver({ '/_matrix/client/versions': [200, { hello: 'world' }] });
    expect(await at(await signedIn(), other)).toMatchObject({ codes: ['homeserver-not-matrix'], exit: 2 });
  });

  it('homeserver-limited, with how long', async () => {
    const limits = { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 4200 };
    const limited = await homeserver({ '/_matrix/client/v3/account/whoami': [429, limits] });
    const { codes, exit, of } = await at(await signedIn(), limited);
    expect({ codes, exit }).toEqual({ codes: ['homeserver-limited'], exit: 3 });
    expect(of('homeserver-limited').seen).toContain('5 seconds');
  });

  it('homeserver-clock', async () => {
    const clock = { ...systemClock, now: () => Date.now() - 120_000 };
    const { codes, exit, of } = await at(await signedIn(), await homeserver(), { clock });
    expect({ codes, exit }).toEqual({ codes: ['homeserver-clock'], exit: 1 });
    expect(of('homeserver-clock').seen).toMatch(/(2 min|1\d\d s) ahead/);
  });

  it('homeserver-token: that of the settings, and the one that is kept; never shown', async () => {
    const dir = await signedIn();
    const refusing = await homeserver({
      '/_matrix/client/v3/account/whoami': [401, { errcode: 'M_UNKNOWN_TOKEN' }],
    });
    const given = await at(dir, refusing);
    expect({ codes: given.codes, exit: given.exit }).toEqual({ codes: ['homeserver-token'], exit: 2 });
    expect(JSON.stringify(given.findings)).not.toContain(settings.MATRIX_ACCESS_TOKEN);
    const kept = {
      homeserver: refusing,
      user: 'bot',
      accessToken: 'kept-token',
      userId: '@bot:x',
      deviceId: 'D',
    };
    await writeFile(join(dir, 'matrix.json'), JSON.stringify(kept), { mode: 0o600 });
    const env = { MATRIX_ACCESS_TOKEN: '', MATRIX_USER: 'bot', MATRIX_PASSWORD: 'secret-password' };
    const { of, findings } = await at(dir, refusing, { env });
    expect(of('homeserver-token').seen).toContain('matrix.json');
    expect(JSON.stringify(findings)).not.toContain('kept-token');
  });

  it('homeserver-account and homeserver-device', async () => {
    const dir = await signedIn();
    const whoami = (user: string, device: string): Answers => ({
      '/_matrix/client/v3/account/whoami': [200, { user_id: user, device_id: device }],
    });
    const another = await homeserver(whoami('@other:x', 'DEVICE'));
    expect(await at(dir, another)).toMatchObject({ codes: ['homeserver-account'], exit: 2 });
    const elsewhere = await homeserver(whoami('@bot:x', 'ELSEWHERE'));
    expect(await at(dir, elsewhere)).toMatchObject({ codes: ['homeserver-device'], exit: 2 });
  });

  it('homeserver-no-session: no token is made', async () => {
    const env = { MATRIX_ACCESS_TOKEN: '', MATRIX_USER: 'bot', MATRIX_PASSWORD: 'x' };
    const asked: string[] = [];
    const login: Answers = { '/_matrix/client/v3/login': () => (asked.push('login'), [200, {}]) };
    const found = await at(await signedIn(), await homeserver(login), { env });
    expect({ codes: found.codes, asked }).toEqual({ codes: ['homeserver-no-session'], asked: [] });
  });

  it('rooms-left and rooms-unrecorded', async () => {
    const joined = { joined_rooms: ['!r0:x', '!r1:x', '!r2:x', '!new:x'] };
    const moved = await homeserver({ '/_matrix/client/v3/joined_rooms': [200, joined] });
    const { codes, exit, of } = await at(await signedIn(), moved);
    expect({ codes, exit }).toEqual({ codes: ['rooms-left', 'rooms-unrecorded'], exit: 1 });
    expect(of('rooms-left').seen).toMatch(/^2 rooms of 5 .*!r3:x, !r4:x$/);
    expect(of('rooms-unrecorded').seen).toMatch(/^the bot is in 1 room .*!new:x$/);
  });

  it('judge-untested and judge-not-atomic, as the cluster’s document says', async () => {
    const url = await homeserver();
    expect(await at(await signedIn('untested'), url)).toMatchObject({ codes: ['judge-untested'], exit: 0 });
    expect(await at(await signedIn('not_atomic'), url)).toMatchObject({
      codes: ['judge-not-atomic'],
      exit: 1,
    });
  });
});
