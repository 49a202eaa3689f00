import { createServer, type IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lockFolder } from '../../src/storage/lock.js';
import { node } from '../node/world.js';
import { CLUSTER, bytesOf, doctor, healthyFolder, settings } from './world.js';

/** What a homeserver of this test does otherwise than Synapse. */
interface Ways {
  /** As Dendrite 0.13: both of two concurrent sends are events. */
  doubles?: boolean;
  /** And its answers name the first all the same. */
  sameId?: boolean;
  /** As Dendrite 0.13: a second login of a device ends the first token. */
  revokes?: boolean;
  /** So many sends are told to wait first. */
  limits?: number;
  /** Sends are taken, and nothing is in the room. */
  loses?: boolean;
  /** It refuses every send. */
  forbids?: boolean;
}

/** The part of a homeserver that the probe uses. */
async function homeserver(ways: Ways = {}) {
  const tokens: string[] = [];
  const calls: string[] = [];
  const room: { type: string; event_id: string; content: object }[] = [];
  const byTxn = new Map<string, string>();
  let limited = 0;
  const answer = (
    method: string,
    path: string,
    token: string,
    body: Record<string, unknown>,
  ): [number, object] => {
    calls.push(`${method} ${path.split('/')[4] ?? ''} ${path.split('/').at(-1) ?? ''}`);
    if (path.endsWith('/login')) {
      if (ways.revokes) tokens.length = 0;
      tokens.push(`token-${calls.length}`);
      return [200, { user_id: '@bot:x', device_id: String(body['device_id']), access_token: tokens.at(-1) }];
    }
    if (path.endsWith('/versions')) return [200, { versions: ['v1.11'] }];
    if (token !== settings.MATRIX_ACCESS_TOKEN && !tokens.includes(token))
      return [401, { errcode: 'M_UNKNOWN_TOKEN' }];
    if (path.endsWith('/whoami')) return [200, { user_id: '@bot:x', device_id: 'DEVICE' }];
    if (path.endsWith('/joined_rooms'))
      return [200, { joined_rooms: ['!r0:x', '!r1:x', '!r2:x', '!r3:x', '!r4:x'] }];
    if (path.endsWith('/createRoom')) return [200, { room_id: '!probe:x' }];
    if (path.endsWith('/messages')) return [200, { chunk: room, start: 's' }];
    const [, type, txn = ''] = /\/send\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
    if (type === undefined) return [200, {}];
    if (ways.forbids) return [403, { errcode: 'M_FORBIDDEN' }];
    if (limited < (ways.limits ?? 0)) {
      limited += 1;
      return [429, { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 5 }];
    }
    const known = byTxn.get(txn);
    if (known !== undefined && !ways.doubles) return [200, { event_id: known }];
    const event_id = `$${room.length}`;
    byTxn.set(txn, event_id);
    if (!ways.loses) {
      room.push({
        type,
        event_id,
        content: body,
        sender: '@bot:x',
        origin_server_ts: 1,
      } as (typeof room)[number]);
    }
    return [200, { event_id: (ways.sameId && known) || event_id }];
  };
  const read = async (request: IncomingMessage): Promise<Record<string, unknown>> => {
    let text = '';
    for await (const part of request) text += String(part);
    return JSON.parse(text || '{}') as Record<string, unknown>;
  };
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const token = (request.headers.authorization ?? '').replace('Bearer ', '');
      const [status, said] = answer(
        request.method ?? '',
        (request.url ?? '').split('?')[0] ?? '',
        token,
        body,
      );
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, calls, tokens };
}

const password = { MATRIX_ACCESS_TOKEN: '', MATRIX_USER: 'bot', MATRIX_PASSWORD: 'the-password' };

const probe = (dir: string, url: string, env: Record<string, string> = {}) =>
  doctor(dir, {
    only: ['homeserver'],
    probe: true,
    // What it records waits so long for relays, of which there are none.
    limits: { answerMs: 3_000 },
    env: { ...settings, MATRIX_HOMESERVER_URL: url, UNDERSTUDY_RELAY_URLS: '', ...env },
  });

async function judgeOf(dir: string): Promise<unknown> {
  const one = await node([], { dataDir: dir, clusterId: CLUSTER, found: true });
  const { judge } = one.read('cluster', 'cluster') ?? {};
  await one.close();
  return judge;
}

describe('D9: the test of the homeserver', { timeout: 60_000 }, () => {
  it('atomic: 20 pairs over the shared token, one event each, recorded; the room is left and forgotten', async () => {
    const dir = await healthyFolder();
    const { url, calls } = await homeserver();
    const { codes, exit, findings } = await probe(dir, url);
    expect({ codes, exit }).toEqual({ codes: [], exit: 0 });
    expect(findings.map(({ seen }) => seen).join()).toMatch(
      /20 pairs .* over the one token of MATRIX_ACCESS_TOKEN: 0 doubled/,
    );
    expect(calls.filter((call) => call.startsWith('PUT'))).toHaveLength(40);
    expect(calls).toContain('POST rooms leave');
    expect(calls).toContain('POST rooms forget');
    expect(await judgeOf(dir)).toBe('atomic');
    expect((await probe(dir, url)).codes).toEqual([]);
  });

  it('X-shown: both events of a pair stand, whatever the answers say (judge-not-atomic)', async () => {
    const dir = await healthyFolder();
    const { url } = await homeserver({ doubles: true, sameId: true });
    const { codes, exit, findings } = await probe(dir, url);
    expect({ codes, exit }).toEqual({ codes: ['judge-not-atomic'], exit: 1 });
    expect(findings.map(({ seen }) => seen).join()).toContain('20 doubled');
    expect(await judgeOf(dir)).toBe('not_atomic');
  });

  it('signs in twice on a device of its own with a password, and signs that out', async () => {
    const dir = await healthyFolder();
    const { url, calls } = await homeserver();
    const { codes, findings } = await probe(dir, url, password);
    expect(codes).toEqual(['homeserver-no-session']);
    expect(findings.map(({ seen }) => seen).join()).toContain('over two tokens of one device');
    expect(calls.filter((call) => call.includes('login'))).toHaveLength(2);
    expect(calls.filter((call) => call.includes('logout'))).toHaveLength(1);
  });

  it('tokens-revoked: a second login ends the first token', async () => {
    const dir = await healthyFolder();
    const { url } = await homeserver({ revokes: true });
    const { codes, exit } = await probe(dir, url, password);
    expect({ codes, exit }).toEqual({ codes: ['homeserver-no-session', 'tokens-revoked'], exit: 2 });
  });

  it('a pair that was held up by a rate limit is made anew, both at once', async () => {
    const dir = await healthyFolder();
    const { url, calls } = await homeserver({ limits: 5 });
    expect((await probe(dir, url)).codes).toEqual([]);
    expect(calls.filter((call) => call.startsWith('PUT')).length).toBeGreaterThan(40);
    expect(await judgeOf(dir)).toBe('atomic');
  });

  it.each([{ loses: true }, { forbids: true }])('judge-unfinished records nothing: %o', async (ways) => {
    const dir = await healthyFolder();
    const before = await bytesOf(dir);
    const { url, calls } = await homeserver(ways);
    const { codes, exit } = await probe(dir, url);
    expect({ codes, exit }).toEqual({ codes: ['judge-unfinished'], exit: 3 });
    expect(calls).toContain('POST rooms leave');
    expect(await bytesOf(dir)).toEqual(before);
  });

  it('judge-not-recorded: a process holds the folder and does not answer', async () => {
    const dir = await healthyFolder();
    const { url } = await homeserver();
    const lock = await lockFolder(dir);
    expect(await probe(dir, url)).toMatchObject({ codes: ['judge-not-recorded'], exit: 1 });
    await lock.release();
    expect(await judgeOf(dir)).toBe('untested');
  });
});
