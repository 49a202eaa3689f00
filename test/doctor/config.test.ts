import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodeVersion } from '../../src/cli/doctor/config.js';
import { startControl, controlPath } from '../../src/telemetry/control.js';
import { silentLog } from '../../src/telemetry/log.js';
import { lockFolder } from '../../src/storage/lock.js';
import { folder } from '../node/world.js';
import { doctor, settings } from './world.js';

const config = async (options: Parameters<typeof doctor>[1] = {}) =>
  doctor(await folder(), { only: ['config'], ...options });

async function file(name: string, content: string, mode = 0o600): Promise<string> {
  const path = join(await folder(), name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe('the doctor at the settings', { timeout: 60_000 }, () => {
  it('finds nothing where nothing is wrong', async () => {
    expect(await config()).toMatchObject({ codes: [], exit: 0 });
  });

  it('settings-file: a key that is none, with the key', async () => {
    const configFile = await file('understudy.yaml', 'relay_ulrs: ws://127.0.0.1:1\n');
    const { codes, exit, of } = await config({ configFile });
    expect({ codes, exit }).toEqual({ codes: ['settings-file'], exit: 2 });
    expect(of('settings-file').seen).toContain('"relay_ulrs"');
  });

  it('setting-wrong: each by its name, and all of them', async () => {
    const env = { ...settings, UNDERSTUDY_LEASE: 'three', UNDERSTUDY_PATIENCE: '5' };
    const { codes, exit, findings } = await config({ env });
    expect({ codes, exit }).toEqual({ codes: ['setting-wrong', 'setting-wrong'], exit: 2 });
    expect(findings.map(({ seen }) => seen).join(' ')).toMatch(/UNDERSTUDY_LEASE.*UNDERSTUDY_PATIENCE/);
  });

  it('setting-missing: what a replica does not start without', async () => {
    const { codes, findings } = await config({ env: {} });
    expect(codes).toEqual(['setting-missing', 'setting-missing', 'setting-missing']);
    expect(findings.map(({ seen }) => seen.split(' ')[0])).toContain('UNDERSTUDY_CLUSTER_ID');
    const { MATRIX_ACCESS_TOKEN: _, ...rest } = settings;
    expect((await config({ env: { ...rest, MATRIX_USER: 'bot' } })).of('setting-missing').seen).toContain(
      'MATRIX_PASSWORD',
    );
  });

  it('settings-contradict: heartbeat and lease, two ways to sign in, half a key, half a certificate', async () => {
    const contradictions = [
      { UNDERSTUDY_HEARTBEAT: '2s' },
      { MATRIX_USER: 'bot' },
      { UNDERSTUDY_STORAGE_KEY_PREVIOUS: Buffer.alloc(32).toString('base64url') },
      { UNDERSTUDY_RELAY_TLS_CERT_FILE: '/nowhere' },
    ];
    for (const one of contradictions) {
      const { codes, exit } = await config({ env: { ...settings, ...one } });
      expect({ one, codes, exit }).toEqual({ one, codes: ['settings-contradict'], exit: 2 });
    }
  });

  it('secret-readable: a file that is named for a secret, and a secret in understudy.yaml', async () => {
    const open = await file('token', 'the-relay-token', 0o644);
    const env = { ...settings, UNDERSTUDY_RELAY_TOKEN_FILE: open };
    const { codes, exit, of, findings } = await config({ env });
    expect({ codes, exit }).toEqual({ codes: ['secret-readable'], exit: 2 });
    expect(of('secret-readable')).toMatchObject({
      seen: expect.stringContaining('0644'),
      todo: `chmod 600 ${open}`,
    });
    expect(JSON.stringify(findings)).not.toContain('the-relay-token');
    const yaml = await file('understudy.yaml', 'relay_token: the-relay-token\n', 0o640);
    expect((await config({ configFile: yaml })).codes).toEqual(['secret-readable']);
    await chmod(yaml, 0o600);
    expect((await config({ configFile: yaml })).codes).toEqual([]);
  });

  it('secret-in-clear is a note: a private network may be meant', async () => {
    const env = { ...settings, MATRIX_HOMESERVER_URL: 'http://synapse:8008' };
    expect(await config({ env })).toMatchObject({ codes: ['secret-in-clear'], exit: 0 });
  });

  it('node-version', () => {
    for (const good of ['20.19.0', '22.1.0', '24.0.0']) expect(nodeVersion(good)).toEqual([]);
    for (const old of ['18.20.1', '20.18.9'])
      expect(nodeVersion(old)).toMatchObject([{ code: 'node-version' }]);
  });

  it('knows the settings that `understudy up` gave a replica, below those that are given here', async () => {
    const up = await folder();
    const dir = join(up, 'replica-1');
    await mkdir(dir, { mode: 0o700 });
    const url = (port: number, kind = 'http') => ({ url: `${kind}://127.0.0.1:${port}` });
    const record = {
      version: 1,
      pid: 1,
      homeserver: { ...url(1), local: true },
      bot: 'bot',
      people: {},
      relay: url(2, 'ws'),
      platform: url(3),
      processes: [{ name: 'replica-1', pid: 1, dataDir: dir, health: 'http://127.0.0.1:4', log: 'x' }],
    };
    await writeFile(join(up, 'up.json'), JSON.stringify(record));
    const secrets = {
      cluster: 'the-cluster-id-of-this-up',
      relay: 'relay-token',
      platform: 'platform-token',
    };
    await writeFile(join(up, 'secrets.json'), JSON.stringify(secrets));
    const { codes, of } = await doctor(dir, { only: ['config'], env: {} });
    expect(codes).toEqual([]);
    expect(of('config').seen).toContain('`understudy up`');
    const wrong = { UNDERSTUDY_RELAY_URLS: 'http://no-relay' };
    expect((await doctor(dir, { only: ['config'], env: wrong })).codes).toEqual(['setting-wrong']);
  });

  it('says to run with the replica’s own settings where a replica runs', async () => {
    const dir = await folder();
    const lock = await lockFolder(dir);
    const handlers = { status: () => ({ replica: 'one', ready: true }) };
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    const { of } = await doctor(dir, { only: ['config'], env: {} });
    expect(of('setting-missing').todo).toContain('run the doctor with the settings');
    await control.close();
    await lock.release();
  });
});
