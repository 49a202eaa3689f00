import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { clusterCheck, tokenProtocol } from '../../src/sync/credentials.js';
import { protocol } from '../../src/sync/frame.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { allOpen, cluster, connect, rawClient, relay, until } from './world.js';

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

test('a wrong or missing token is refused with 401 before the upgrade', async () => {
  const guarded = await relay({ tokens: ['right'] });
  for (const options of [
    {},
    bearer('wrong'),
    bearer('right2'),
    { headers: { authorization: 'Basic cmlnaHQ=' } },
  ]) {
    const client = rawClient(guarded.url, options);
    await until('refused', client.closed);
    expect(client.closed()?.error).toContain('401');
  }
  expect(guarded.stats()).toMatchObject({ refusedToken: 4, accepted: 0, connections: 0 });
});

test('any token of the list is let in', async () => {
  const guarded = await relay({ tokens: ['old', 'new'] });
  const alpha = connect('alpha', [{ url: guarded.url, token: 'old' }]);
  const beta = connect('beta', [{ url: guarded.url, token: 'new' }]);
  await allOpen(alpha, beta);
});

test('a browser offers its token as a subprotocol, and it is not echoed', async () => {
  const guarded = await relay({
    tokens: ['geheim/+=~'],
    origins: ['https://devtool.example'],
  });
  const offered = [protocol, tokenProtocol('geheim/+=~')];
  const client = rawClient(guarded.url, { origin: 'https://devtool.example' }, offered);
  await until('open', () => client.socket.readyState === client.socket.OPEN);
  expect(client.socket.protocol).toBe(protocol);

  const elsewhere = rawClient(guarded.url, { origin: 'https://evil.example' }, offered);
  await until('refused', elsewhere.closed);
  expect(elsewhere.closed()?.error).toContain('403');
});

test('another wire version is refused before the upgrade', async () => {
  const started = await relay();
  for (const offered of [[], ['understudy.v0'], ['understudy.v1x']]) {
    const client = rawClient(started.url, {}, offered);
    await until('refused', client.closed);
    expect(client.closed()?.error).toContain('400');
  }
  expect(started.stats().refusedVersion).toBe(3);
});

test('a relay beyond loopback does not listen without a token', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'relay.example']) {
    await expect(relay({ host })).rejects.toMatchObject({ code: 'token-required' });
  }
  await expect(relay({ tokens: [] })).rejects.toMatchObject({ code: 'bad-token' });
  await expect(relay({ tokens: ['with space'] })).rejects.toMatchObject({ code: 'bad-token' });
});

test('a port in use is a named error', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  await expect(relay({ port })).rejects.toMatchObject({ code: 'port-in-use' });
});

test('a client of another cluster is refused and says so', async () => {
  const started = await relay({ clusterCheck: clusterCheck('cluster one') });
  const stranger = connect('alpha', [started], { clusterCheck: clusterCheck('cluster two') });
  await until('refused', () => stranger.status()[0]!.reason === 'wrong-cluster');
  expect(started.stats().refusedCluster).toBeGreaterThan(0);
  await allOpen(connect('beta', [started], { clusterCheck: clusterCheck('cluster one') }));
});

test('a full relay refuses with 503 and takes the next one when there is room', async () => {
  const small = await relay({ limits: { connections: 1 } });
  const alpha = connect('alpha', [small]);
  await allOpen(alpha);
  const beta = connect('beta', [small]);
  await until('refused', () => beta.status()[0]!.reason === 'http-503');
  alpha.close();
  await allOpen(beta);
});

test('no token and no cluster check is ever logged', async () => {
  const lines: string[] = [];
  const write = (fields: object, message: string) => void lines.push(JSON.stringify(fields) + message);
  const log: Log = { ...silentLog, debug: write, info: write, warn: write, error: write, child: () => log };
  const guarded = await relay({ tokens: ['s3cret-token'], log });
  const good = connect('alpha', [{ url: guarded.url, token: 's3cret-token' }], { log });
  await allOpen(good);
  const bad = connect('beta', [{ url: guarded.url, token: 'wr0ng' }], {
    log,
  });
  await until('refused', () => bad.status()[0]!.reason === 'http-401');
  await guarded.close();
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.join('\n')).not.toMatch(/s3cret|wr0ng/);
  expect(lines.join('\n')).not.toContain(cluster);
});

test('plain HTTP requests go to the handler that the process gives', async () => {
  const plain = await relay();
  expect((await fetch(plain.url.replace('ws', 'http'))).status).toBe(404);
  const withHealth = await relay({ onRequest: (_request, response) => void response.end('fine') });
  expect(await (await fetch(`${withHealth.url.replace('ws', 'http')}/healthz`)).text()).toBe('fine');
});
