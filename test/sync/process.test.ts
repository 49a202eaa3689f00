import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import { tokenProtocol } from '../../src/sync/credentials.js';
import { viewerProtocol } from '../../src/sync/frame.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { metricsOf, relayProcess, writeTokens, type RelayProcess } from './relay-process.js';
import {
  allOpen,
  connect,
  found,
  headsOf,
  newId,
  rawClient,
  repo,
  storedHeads,
  token,
  until,
} from './world.js';

beforeAll(buildOnce, 120_000);

const secrets = {
  rw: 'replica-secret-8f2b1c',
  ro: 'viewer-secret-77aa10',
  old: 'expired-secret-00d1ff',
  wrong: 'wrong-secret-e1e1e1',
  single: 'single-secret-4242aa',
};
const list = [token(secrets.rw), token(secrets.ro, 'viewer'), token(secrets.old, 'replica', Date.now() - 1)];
const withTokens = (settings: Record<string, string> = {}) =>
  relayProcess({ UNDERSTUDY_RELAY_TOKEN: secrets.single, DEBUG: 'understudy:*', ...settings }, (dir) => ({
    UNDERSTUDY_RELAY_TOKENS_FILE: writeTokens(join(dir, 'tokens.json'), list),
  }));
const replica = (relay: RelayProcess, name: string, secret: string) =>
  connect(name, [{ url: relay.url, token: secret }], { clusterCheck: relay.check });

test('a relay reads its tokens again when the file changes and at SIGHUP, and keeps them when it is wrong', async () => {
  const relay = await withTokens();
  const path = join(relay.dir, 'tokens.json');
  const { pid } = relay.process;
  const [alpha, single] = [replica(relay, 'alpha', secrets.rw), replica(relay, 'beta', secrets.single)];
  await allOpen(alpha, single);

  writeFileSync(path, '[{"sha256": ');
  await relay.process.line(({ text }) => text.includes('NOT USED'), { from: 0 });
  expect(alpha.stats().lost).toBe(0);

  writeTokens(path, [token('replica-secret-new')]);
  process.kill(pid, 'SIGHUP');
  await until(
    'ended',
    () => alpha.status()[0]!.reason === 'revoked' || alpha.status()[0]!.reason === 'http-401',
  );
  await allOpen(replica(relay, 'gamma', 'replica-secret-new'));
  // Without a signal too.
  writeTokens(path, [token(secrets.rw), token('replica-secret-new')]);
  await allOpen(alpha);
  expect(single.stats().lost).toBe(0);
  expect(relay.process.pid).toBe(pid);
  expect(await relay.count('closedRevoked')).toBe(1);
}, 60_000);

test('no token stands in any line of the log, nor on the metrics page, however it was presented', async () => {
  const relay = await withTokens();
  await allOpen(replica(relay, 'alpha', secrets.rw));
  for (const secret of [secrets.wrong, secrets.old, secrets.ro]) {
    const refused = replica(relay, 'beta', secret);
    await until('refused', () => refused.status()[0]!.reason?.startsWith('http-40'));
    refused.close();
  }
  const browser = rawClient(relay.url, {}, [viewerProtocol, tokenProtocol(secrets.ro)]);
  await until('open', () => browser.socket.readyState === browser.socket.OPEN);
  const stray = rawClient(`${relay.url}/?token=${secrets.wrong}`, {
    headers: { authorization: `Basic ${secrets.wrong}`, cookie: secrets.ro },
  });
  await until('refused', stray.closed);
  writeFileSync(join(relay.dir, 'tokens.json'), secrets.rw);
  process.kill(relay.process.pid, 'SIGHUP');
  await relay.process.line(({ text }) => text.includes('NOT USED'), { from: 0 });
  const metrics = (await metricsOf(relay.process)) ?? '';
  await relay.process.stop();
  const said = relay.log() + metrics;
  expect(relay.process.lines.length).toBeGreaterThan(8);
  for (const secret of Object.values(secrets)) {
    for (const form of [secret, Buffer.from(secret).toString('base64url'), token(secret).sha256]) {
      expect(said).not.toContain(form);
    }
  }
  expect(said).not.toContain(relay.check);
}, 60_000);

test('the metrics page tells connections by role, documents, bytes, lag, and refusals by reason', async () => {
  const relay = await withTokens();
  const alpha = replica(relay, 'alpha', secrets.rw);
  const viewer = connect('devtool', [{ url: relay.url, token: secrets.ro }], {
    clusterCheck: relay.check,
    readOnly: true,
  });
  found(repo(alpha), newId()).change((doc) => void (doc['a'] = 1));
  await allOpen(alpha, viewer);
  const refused = replica(relay, 'beta', secrets.wrong);
  await until('refused', () => refused.status()[0]!.reason === 'http-401');
  await until('stored', async () => (await relay.count('documents')) === 1);
  const page = (await metricsOf(relay.process))!;
  const value = (metric: string, label: string) =>
    Number(new RegExp(`^understudy_${metric}\\{${label}[,}].*? (\\S+)$`, 'm').exec(page)?.[1]);
  expect(value('relay_connections', 'peer="replica"')).toBe(1);
  expect(value('relay_connections', 'peer="viewer"')).toBe(1);
  expect(value('relay_connections', 'peer="admin"')).toBe(0);
  expect(value('relay_documents', 'state="memory"')).toBe(1);
  expect(value('relay_bytes_total', 'direction="in"')).toBeGreaterThan(100);
  expect(value('relay_bytes_total', 'direction="out"')).toBeGreaterThan(10);
  expect(value('relay_backlog_bytes', 'of="slowest"')).toBe(0);
  expect(value('relay_refusals_total', 'reason="refusedToken"')).toBeGreaterThan(0);
  expect(value('relay_refusals_total', 'reason="closedMalformed"')).toBe(0);
}, 60_000);

test('asked to end it says that it is draining, is not ready, and all that it said was stored is', async () => {
  const relay = await withTokens();
  const alpha = replica(relay, 'alpha', secrets.rw);
  const mine = repo(alpha);
  const handles = Array.from({ length: 30 }, () => found(mine, newId()));
  handles.forEach((handle, n) => handle.change((doc) => void (doc['n'] = n)));
  const ids = handles.map(({ documentId }) => documentId);
  const stored = async () => (await alpha.relayHeads(ids, 2_000)).get(relay.url);
  await until('stored', async () => {
    const heads = await stored();
    return handles.every((handle) => heads?.get(handle.documentId)?.join() === headsOf(handle).join());
  });
  /** Ends it; whether it was seen to drain, for which this process may have been too slow. */
  const drains = async (): Promise<boolean> => {
    const sleeper = rawClient(relay.url, { headers: { authorization: `Bearer ${secrets.rw}` } });
    await until('open', () => sleeper.socket.readyState === sleeper.socket.OPEN);
    // Never answers a close frame, so that the drain takes its time.
    sleeper.socket.pause();
    let isOver = false;
    const ended = relay.process.stop().finally(() => (isOver = true));
    let seen = false;
    while (!seen && !isOver) {
      const page = await relay.process.page('/readyz');
      seen = page?.status === 503 && page.text.includes('draining');
    }
    await until(
      'told',
      () => alpha.status()[0]!.reason === 'draining' || alpha.status()[0]!.reason === 'ECONNREFUSED',
    );
    expect(await ended).toBe(0);
    return seen;
  };
  await until(
    'it was seen to drain',
    async () => {
      if (!relay.process.isRunning) await relay.process.start();
      return drains();
    },
    90_000,
  );
  // Who brings nothing with it asks, so that what is there was on disk.
  alpha.close();
  await relay.process.start();
  const late = replica(relay, 'late', secrets.rw);
  await allOpen(late);
  const heads = await storedHeads(late, relay, ids);
  for (const handle of handles) expect(heads.get(handle.documentId)).toEqual(headsOf(handle));
  expect(relay.process.crashes).toEqual([]);
}, 180_000);

test.each(['fs', 'pglite'])(
  'what a killed relay said was stored in %s is there when it starts again',
  async (storage) => {
    const relay = await withTokens({ UNDERSTUDY_RELAY_STORAGE: storage });
    const alpha = replica(relay, 'alpha', secrets.rw);
    const handle = found(repo(alpha), newId());
    const id = handle.documentId;
    const stored = async () => (await alpha.relayHeads([id], 2_000)).get(relay.url)?.get(id)?.join();
    handle.change((doc) => void (doc['kept'] = true));
    const heads = headsOf(handle);
    await until('stored', async () => (await stored()) === heads.join());
    alpha.close();
    await relay.process.kill();
    await relay.process.start();
    const late = replica(relay, 'late', secrets.rw);
    await allOpen(late);
    expect((await storedHeads(late, relay, [id])).get(id)).toEqual(heads);
  },
  60_000,
);

const openssl = 'openssl';

/** A self-signed certificate for localhost, as a person would make it. */
function certificate(dir: string, name: string): Record<string, string> {
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(openssl, ['req', '-x509', ...made, ...subject, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { UNDERSTUDY_RELAY_TLS_CERT_FILE: cert, UNDERSTUDY_RELAY_TLS_KEY_FILE: key };
}

function hasOpenssl(): boolean {
  try {
    execFileSync(openssl, ['version']);
    return true;
  } catch {
    return false;
  }
}

test.runIf(hasOpenssl())(
  'serves TLS, and another certificate after SIGHUP, without a restart',
  async () => {
    const relay = await relayProcess({ UNDERSTUDY_RELAY_TOKEN: secrets.rw }, (dir) =>
      certificate(dir, 'first'),
    );
    const port = Number(new URL(relay.url).port);
    const name = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        }).on('error', reject);
      });
    expect(await name()).toBe('first');
    const ca = readFileSync(join(relay.dir, 'cert.pem'));
    const client = rawClient(`wss://localhost:${port}`, {
      ca,
      headers: { authorization: `Bearer ${secrets.rw}` },
    });
    await until('open', () => client.socket.readyState === client.socket.OPEN);
    // Who says nothing is ended after some seconds.
    client.send(['hello', relay.check, 'alpha', 'raw']);
    await until('welcome', () => client.frames.some(([kind]) => kind === 'welcome'));
    const plain = rawClient(relay.url, { headers: { authorization: `Bearer ${secrets.rw}` } });
    await until('refused', plain.closed);

    certificate(relay.dir, 'second');
    process.kill(relay.process.pid, 'SIGHUP');
    await until('the new one', async () => (await name()) === 'second');
    expect(client.socket.readyState).toBe(client.socket.OPEN);

    writeFileSync(join(relay.dir, 'cert.pem'), 'no certificate');
    process.kill(relay.process.pid, 'SIGHUP');
    await relay.process.line(({ text }) => text.includes('NOT USED'), { from: 0 });
    expect(await name()).toBe('second');
  },
  60_000,
);

test('`relay token create` makes a token that the relay takes by the line that it prints', async () => {
  const { stdout, code } = await understudy([
    'relay',
    'token',
    'create',
    '--role',
    'viewer',
    '--expires',
    '90d',
    '--name',
    'devtool',
    '--json',
  ]);
  expect(code).toBe(0);
  const {
    version,
    token: secret,
    entry,
  } = JSON.parse(stdout) as {
    version: number;
    token: string;
    entry: Record<string, string>;
  };
  expect(version).toBe(1);
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(entry).toMatchObject({ role: 'viewer', name: 'devtool', sha256: token(secret).sha256 });
  expect(Date.parse(entry['expires']!) - Date.now()).toBeGreaterThan(89 * 86_400_000);

  const text = await understudy(['relay', 'token', 'create', '--role', 'replica']);
  const line = text.stdout.split('\n').find((each) => each.startsWith('- '))!;
  const fresh = text.stdout.split('\n').find((each) => /^[\w-]{43}$/.test(each))!;
  const relay = await relayProcess({}, (dir) => {
    const path = join(dir, 'tokens.yaml');
    writeTokens(path, []);
    writeFileSync(path, `${line}\n- ${JSON.stringify(entry)}\n`);
    return { UNDERSTUDY_RELAY_TOKENS_FILE: path };
  });
  await allOpen(replica(relay, 'alpha', fresh));
  expect(readdirSync(relay.dir)).toContain('tokens.yaml');

  for (const wrong of [['--role', 'writer'], ['--role', 'viewer', '--expires', 'soon'], []]) {
    const refused = await understudy(['relay', 'token', 'create', ...wrong]);
    expect([refused.code, refused.stdout]).toEqual([2, '']);
  }
}, 120_000);

test('a list of tokens that cannot be used keeps a relay from starting, and says what to do', async () => {
  const start = (text: string) =>
    relayProcess({}, (dir) => {
      const path = join(dir, 'tokens.json');
      writeTokens(path, []);
      writeFileSync(path, text);
      return { UNDERSTUDY_RELAY_TOKENS_FILE: path };
    });
  await expect(start('{}')).rejects.toThrow(/UNDERSTUDY_RELAY_TOKENS_FILE: .* is no list of/);
  await expect(start('[]')).rejects.toThrow(/lists no token, .*relay token create/);
}, 60_000);
