import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createServer as createHttp } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { clusterCheck } from '../../src/sync/credentials.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { lockFolder } from '../../src/storage/lock.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { fill } from '../backup/world.js';
import { folder, node } from '../node/world.js';
import { relay as startRelay, TestStorage, token } from '../sync/world.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { CLUSTER, bytesOf, doctor, healthyFolder, settings } from './world.js';

const relay = (options: Parameters<typeof startRelay>[0] = {}) =>
  startRelay({ clusterCheck: clusterCheck(CLUSTER), ...options });

const at = (
  dir: string,
  urls: string,
  more: Record<string, string> = {},
  options: Parameters<typeof doctor>[1] = {},
) =>
  doctor(dir, {
    only: ['relay'],
    env: { ...settings, UNDERSTUDY_RELAY_URLS: urls, ...more },
    ...options,
  });

const openssl = 'openssl';

function hasOpenssl(): boolean {
  try {
    execFileSync(openssl, ['version']);
    return true;
  } catch {
    return false;
  }
}

/** A server on a free port that is closed with the test. */
async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** A folder and a relay that have the same, the node closed. */
async function synced(options: Parameters<typeof relay>[0] = {}) {
  const storage = new TestStorage();
  const started = await relay({ storage, ...options });
  const dir = join(await folder(), 'replica');
  const one = await node([started], { dataDir: dir, clusterId: CLUSTER });
  await fill(one, 0, 3);
  expect(await one.replicated(30_000)).toBe(true);
  await one.close();
  return { started, dir, storage };
}

describe('the doctor at the relays', { timeout: 60_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('finds nothing where both have the same, and changes nothing here or there', async () => {
    const { started, dir, storage } = await synced();
    const before = [await bytesOf(dir), storage.chunks.size];
    const { codes, exit, of } = await at(dir, started.url);
    expect({ codes, exit }).toEqual({ codes: [], exit: 0 });
    expect(of('relay').seen).toBe('1 of 1 relay in reach; connected: no replica');
    expect([await bytesOf(dir), storage.chunks.size]).toEqual(before);
    expect(started.stats().closedReadOnly).toBe(0);
  });

  it('X-viewer: no replica hears of it, also where it fetches documents to count what is missing here', async () => {
    const { started, dir } = await synced();
    const other = await node([started], { clusterId: CLUSTER });
    const heard = new Set<string>();
    other.channel.onPresence(() => [...other.channel.present().keys()].forEach((name) => heard.add(name)));
    await fill(other, 20, 21);
    expect(await other.replicated(30_000)).toBe(true);
    const { codes, of } = await at(dir, started.url);
    expect(codes).toEqual(['heads-behind']);
    expect(of('relay').seen).toContain(other.self.replica);
    expect([...heard]).toEqual([]);
    await other.close();
  });

  it('relay-unreachable: nobody listens, or nobody ever answers, within the time limit', async () => {
    const dir = await healthyFolder();
    expect(await at(dir, 'ws://127.0.0.1:9')).toMatchObject({ codes: ['relay-unreachable'], exit: 3 });
    const silent = await listening(createServer(() => {}));
    const from = performance.now();
    const { codes, of } = await at(dir, `ws://127.0.0.1:${silent}`, {}, { limits: { answerMs: 300 } });
    expect(codes).toEqual(['relay-unreachable']);
    expect(of('relay-unreachable').seen).toContain('no answer in time');
    expect(performance.now() - from).toBeLessThan(30_000);
  });

  it('relay-token: none, wrong, expired; never shown', async () => {
    const dir = await healthyFolder();
    const list = [token('the-good-token'), token('the-old-token', 'replica', Date.now() - 1000)];
    const { url } = await relay({ tokens: list });
    expect((await at(dir, url)).of('relay-token').seen).toContain('none is set');
    for (const wrong of ['the-wrong-token', 'the-old-token']) {
      const { codes, exit, findings } = await at(dir, url, { UNDERSTUDY_RELAY_TOKEN: wrong });
      expect({ codes, exit }).toEqual({ codes: ['relay-token'], exit: 2 });
      expect(JSON.stringify(findings)).not.toContain(wrong);
    }
    const good = await at(dir, url, { UNDERSTUDY_RELAY_TOKEN: 'the-good-token' });
    expect(good.codes).toEqual(['heads-unknown']);
  });

  it('relay-role: a viewer’s token', async () => {
    const dir = await healthyFolder();
    const { url } = await relay({ tokens: [token('only-looking-on', 'viewer')] });
    const { codes, exit } = await at(dir, url, { UNDERSTUDY_RELAY_TOKEN: 'only-looking-on' });
    expect({ codes, exit }).toEqual({ codes: ['relay-role'], exit: 2 });
  });

  it('relay-other-cluster', async () => {
    const dir = await healthyFolder();
    const { url } = await relay({ clusterCheck: clusterCheck('quite-another-cluster') });
    expect(await at(dir, url)).toMatchObject({ codes: ['relay-other-cluster'], exit: 2 });
  });

  it('relay-protocol: something else answers there', async () => {
    const dir = await healthyFolder();
    const port = await listening(createHttp((_, response) => response.writeHead(404).end()));
    expect(await at(dir, `ws://127.0.0.1:${port}`)).toMatchObject({ codes: ['relay-protocol'], exit: 2 });
  });

  it('relay-busy', async () => {
    const dir = await healthyFolder();
    const { url } = await relay({ limits: { connections: 0 } });
    expect(await at(dir, url)).toMatchObject({ codes: ['relay-busy'], exit: 3 });
  });

  it('relay-clock: this machine and the relay’s are apart', async () => {
    const { started, dir } = await synced();
    const clock = { ...systemClock, now: () => Date.now() + 3_600_000 };
    const { codes, of } = await at(dir, started.url, {}, { clock });
    expect(codes).toEqual(['relay-clock']);
    expect(of('relay-clock').seen).toMatch(/60 min behind/);
  });

  it.runIf(hasOpenssl())('certificate-refused, and certificate-expiring where it is accepted', async () => {
    const dir = await healthyFolder();
    const place = await folder();
    const [cert, key] = [join(place, 'cert.pem'), join(place, 'key.pem')];
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    const name = ['-subj', '/CN=relay', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync(openssl, [...made, ...name, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const { url } = await relay({ tls: { cert: readFileSync(cert), key: readFileSync(key) } });
    const refused = await at(dir, url);
    expect({ codes: refused.codes, exit: refused.exit }).toEqual({ codes: ['certificate-refused'], exit: 3 });
    // Node reads that variable at the start of a process.
    const look = () =>
      understudy(['doctor', '--data', dir, '--only', 'relay', '--json'], {
        settings: { ...settings, UNDERSTUDY_RELAY_URLS: url, NODE_EXTRA_CA_CERTS: cert },
      });
    let said = await look();
    // The relay is in this process, which may have stood still for longer than the doctor waits.
    for (let again = 0; again < 3 && said.stdout.includes('"relay-unreachable"'); again += 1)
      said = await look();
    const { code, stdout } = said;
    expect(code).toBe(1);
    expect(stdout).toContain('"certificate-expiring"');
    expect(stdout).toContain('"heads-unknown"');
  });

  it('heads-unknown: the relay lost its disk', async () => {
    const dir = await healthyFolder();
    const { url } = await relay();
    const { codes, exit, of } = await at(dir, url);
    expect({ codes, exit }).toEqual({ codes: ['heads-unknown'], exit: 1 });
    expect(of('heads-unknown').seen).toMatch(/^5 documents not known/);
  });

  it('heads-ahead: by so many changes, until the relay has them', async () => {
    const { started, dir } = await synced();
    const alone = await node([], { dataDir: dir, clusterId: CLUSTER, found: true });
    await fill(alone, 10, 12);
    await alone.close();
    const { codes, exit, of } = await at(dir, started.url);
    expect({ codes, exit }).toEqual({ codes: ['heads-ahead'], exit: 1 });
    expect(of('heads-ahead').seen).toMatch(/(routing|actors)\/\d by \d/);
  });

  it('heads-behind: others wrote what is not here', async () => {
    const { started, dir } = await synced();
    const other = await node([started], { clusterId: CLUSTER });
    await fill(other, 20, 22);
    expect(await other.replicated(30_000)).toBe(true);
    await other.close();
    const { codes, exit, of } = await at(dir, started.url);
    expect({ codes, exit }).toEqual({ codes: ['heads-behind'], exit: 0 });
    expect(of('heads-behind').seen).toMatch(/routing\/\d by \d/);
  });

  it('heads-unanswered: the relay cannot read its disk', async () => {
    const { dir, storage } = await synced();
    const again = await relay({ storage });
    storage.failing = true;
    const { codes, exit } = await at(dir, again.url);
    storage.failing = false;
    expect({ codes, exit }).toEqual({ codes: ['heads-unanswered'], exit: 3 });
  });

  it('takes the word of a running holder for what is not on the disk as it was read', async () => {
    const { started, dir } = await synced();
    const one = await node([started], { dataDir: dir, clusterId: CLUSTER });
    expect(await one.replicated(30_000)).toBe(true);
    const heads = one.heads();
    await one.close();
    const alone = await node([], { dataDir: dir, clusterId: CLUSTER, found: true });
    await fill(alone, 10, 12);
    await alone.close();
    const lock = await lockFolder(dir);
    const handlers = { status: () => ({ replica: 'one' }), heads: () => ({ documents: heads }) };
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    expect((await at(dir, started.url, {}, { limits: { settleMs: 0 } })).codes).toEqual([]);
    await control.close();
    await lock.release();
  });
});
