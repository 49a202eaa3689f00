import { randomBytes } from 'node:crypto';
import { access, chmod, chown, constants, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { watchStandstill } from '../actors/standstill.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { Process, program, type Environment } from '../world/process.js';
import { testPort } from '../world/port.js';

const secret = 'syt_this_is_a_secret_0123456789';
const clusterId = randomBytes(32).toString('base64url');

describe('a wrong or missing setting', { timeout: 180_000 }, () => {
  let dir: string;
  const servers: Server[] = [];
  const processes: Process[] = [];

  beforeAll(buildOnce, 120_000);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'understudy-cli-'));
    await chmod(dir, 0o755);
  });
  afterEach(async () => {
    await Promise.all(processes.splice(0).map((process) => process.kill()));
    for (const server of servers.splice(0)) server.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A homeserver that knows nobody. */
  const homeserver = (): Promise<string> =>
    serve((request, response) => {
      const known = request.url?.startsWith('/_matrix/client/versions');
      response.writeHead(known ? 200 : 401, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(known ? { versions: ['v1.11'] } : { errcode: 'M_UNKNOWN_TOKEN', error: 'no' }),
      );
    });

  async function replica(settings: Environment = {}): Promise<Environment> {
    return {
      MATRIX_HOMESERVER_URL: await homeserver(),
      MATRIX_ACCESS_TOKEN: secret,
      UNDERSTUDY_CLUSTER_ID: clusterId,
      UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${await testPort()}`,
      UNDERSTUDY_PLATFORM_URL: `http://127.0.0.1:${await testPort()}`,
      UNDERSTUDY_DATA_DIR: join(dir, 'data'),
      ...settings,
    };
  }

  /** The one line on standard error; nothing started, no stack, no secret. */
  async function refusal(
    command: string[],
    settings: Environment,
    options: { uid?: number; cwd?: string } = {},
  ): Promise<string> {
    const run = () => understudy(command, { settings, cwd: dir, deadlineMs: 60_000, ...options });
    let standstill = watchStandstill();
    let outcome = await run();
    // The homeserver is this process: where it stood still it was one that does not answer.
    for (let again = 0; standstill() > 1_000 && again < 3; again += 1) {
      standstill = watchStandstill();
      outcome = await run();
    }
    const { code, stdout, stderr } = outcome;
    expect(stderr.trim().split('\n'), stdout).toHaveLength(1);
    expect(stderr).toMatch(/^understudy: /);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout + stderr).not.toContain(secret);
    expect(stdout + stderr).not.toContain(clusterId);
    expect(code, stderr).toBe(2);
    return stderr;
  }

  it.each(['replica', 'relay'])('%s: no cluster id', async (role) => {
    const line = await refusal([role], await replica({ UNDERSTUDY_CLUSTER_ID: '' }));
    expect(line).toContain('UNDERSTUDY_CLUSTER_ID is missing');
    expect(line).toContain('`understudy cluster new` prints one');
  });

  it('a cluster id that could be guessed', async () => {
    expect(await refusal(['relay'], { UNDERSTUDY_CLUSTER_ID: 'test' })).toContain(
      'UNDERSTUDY_CLUSTER_ID must be',
    );
  });

  it('no homeserver, and no way to sign in', async () => {
    expect(await refusal(['replica'], await replica({ MATRIX_HOMESERVER_URL: '' }))).toContain(
      'MATRIX_HOMESERVER_URL is missing',
    );
    expect(await refusal(['replica'], await replica({ MATRIX_ACCESS_TOKEN: '' }))).toContain(
      'MATRIX_ACCESS_TOKEN is missing',
    );
    const settings = await replica({ MATRIX_ACCESS_TOKEN: '', MATRIX_USER: 'bot' });
    expect(await refusal(['replica'], settings)).toContain('MATRIX_PASSWORD is missing');
  });

  it('a wrong access token', async () => {
    const line = await refusal(['replica'], await replica());
    expect(line).toContain('MATRIX_ACCESS_TOKEN is refused by http://127.0.0.1');
    expect(line).toContain('M_UNKNOWN_TOKEN');
  });

  it('a wrong homeserver URL: nothing there, no such host, something else there, no URL at all', async () => {
    const nobody = await replica({ MATRIX_HOMESERVER_URL: `http://127.0.0.1:${await testPort()}` });
    expect(await refusal(['replica'], nobody)).toMatch(
      /MATRIX_HOMESERVER_URL: nothing answers at .*ECONNREFUSED/,
    );
    const unknown = await replica({ MATRIX_HOMESERVER_URL: 'http://nowhere.invalid' });
    expect(await refusal(['replica'], unknown)).toContain('MATRIX_HOMESERVER_URL: nothing answers at');
    const page = await serve((_, response) => response.writeHead(404).end('<html>'));
    expect(await refusal(['replica'], await replica({ MATRIX_HOMESERVER_URL: page }))).toMatch(
      /MATRIX_HOMESERVER_URL: .* is no Matrix homeserver/,
    );
    const text = await replica({ MATRIX_HOMESERVER_URL: 'matrix.example.org' });
    expect(await refusal(['replica'], text)).toContain('MATRIX_HOMESERVER_URL must be a URL');
  });

  it('a relay token that the relay refuses', async () => {
    const port = await testPort();
    const relay = new Process('relay', ['relay'], {
      UNDERSTUDY_CLUSTER_ID: clusterId,
      UNDERSTUDY_RELAY_TOKEN: 'the-right-token',
      UNDERSTUDY_RELAY_PORT: String(port),
      UNDERSTUDY_DATA_DIR: join(dir, 'relay'),
      UNDERSTUDY_HTTP_PORT: String(await testPort()),
    });
    processes.push(relay);
    await relay.start();
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ versions: ['v1.11'], user_id: '@bot:localhost', device_id: 'D' }));
    });
    const settings = { MATRIX_HOMESERVER_URL: url, UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${port}` };
    const wrong = await replica({ ...settings, UNDERSTUDY_RELAY_TOKEN: secret });
    expect(await refusal(['replica'], wrong)).toContain('UNDERSTUDY_RELAY_TOKEN is refused by the relay');
    expect(await refusal(['replica'], await replica(settings))).toContain(
      'UNDERSTUDY_RELAY_TOKEN is missing',
    );
    expect(await relay.stop()).toBe(0);
  });

  it('an unreadable agents file: missing, not YAML, an unknown backend', async () => {
    const file = join(dir, 'agents.yaml');
    const settings = {
      UNDERSTUDY_AGENTS_FILE: file,
      UNDERSTUDY_DATA_DIR: join(dir, 'platform'),
      UNDERSTUDY_PLATFORM_PORT: '0',
    };
    expect(await refusal(['platform'], settings)).toMatch(/UNDERSTUDY_AGENTS_FILE: .*agents\.yaml/);
    await writeFile(file, 'agents: [');
    expect(await refusal(['platform'], settings)).toMatch(/UNDERSTUDY_AGENTS_FILE: .*agents\.yaml/);
    await writeFile(file, 'default: a\nagents: [{id: a, name: A, backend: magic}]');
    expect(await refusal(['platform'], settings)).toMatch(/agent "a": backend/);
  });

  it('machine files: a folder that is not there, a file that is wrong', async () => {
    const settings = await replica({ UNDERSTUDY_MACHINES_DIR: join(dir, 'machines') });
    expect(await refusal(['replica'], settings)).toContain('UNDERSTUDY_MACHINES_DIR: there is no folder');
    await mkdir(join(dir, 'machines'));
    await writeFile(join(dir, 'machines', 'lamp.json'), '{ "id": "lamp", "version": 1 }');
    const line = await refusal(['replica'], settings);
    expect(line).toContain('UNDERSTUDY_MACHINES_DIR: ');
    expect(line).toContain('lamp.json');
  });

  it('a port in use, of the service and of the health pages', async () => {
    const port = new URL(await homeserver()).port;
    const relay = { UNDERSTUDY_CLUSTER_ID: clusterId, UNDERSTUDY_DATA_DIR: join(dir, 'relay') };
    expect(await refusal(['relay', '--port', port], relay)).toMatch(
      new RegExp(`port ${port} on 127.0.0.1 is in use.*UNDERSTUDY_RELAY_PORT`),
    );
    expect(await refusal(['relay', '--port', '0'], { ...relay, UNDERSTUDY_HTTP_PORT: port })).toContain(
      'UNDERSTUDY_HTTP_PORT',
    );
    await writeFile(join(dir, 'agents.yaml'), 'default: a\nagents: [{id: a, name: A, backend: echo}]');
    const platform = {
      UNDERSTUDY_AGENTS_FILE: join(dir, 'agents.yaml'),
      UNDERSTUDY_DATA_DIR: join(dir, 'platform'),
    };
    expect(await refusal(['platform', '--port', port], platform)).toContain('UNDERSTUDY_PLATFORM_PORT');
  });

  it('a data folder that may not be written', async (context) => {
    const locked = join(dir, 'locked');
    await mkdir(locked);
    await chmod(locked, 0o555);
    const isRoot = process.getuid?.() === 0;
    const nobody = 65534;
    if (isRoot) {
      await chown(locked, nobody, nobody);
      const readable = await understudy(['--version'], { uid: nobody, cwd: '/' });
      context.skip(readable.code !== 0, `another user cannot run ${dirname(program)}`);
    }
    const options = isRoot ? { uid: nobody, cwd: '/' } : {};
    const data = join(locked, 'data');
    const relay = { UNDERSTUDY_CLUSTER_ID: clusterId, UNDERSTUDY_DATA_DIR: data };
    const expected = /UNDERSTUDY_DATA_DIR: .*locked\/data cannot be written: permission denied/;
    expect(await refusal(['relay', '--port', '0'], relay, options)).toMatch(expected);
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_DATA_DIR: data }), options)).toMatch(
      expected,
    );
    await expect(access(data, constants.F_OK)).rejects.toThrow();
  });

  it('a second process on one data folder', async () => {
    const settings = async () => ({
      UNDERSTUDY_CLUSTER_ID: clusterId,
      UNDERSTUDY_RELAY_PORT: String(await testPort()),
      UNDERSTUDY_DATA_DIR: join(dir, 'relay'),
      UNDERSTUDY_HTTP_PORT: String(await testPort()),
    });
    const first = new Process('relay', ['relay'], await settings());
    processes.push(first);
    await first.start();
    expect(await refusal(['relay'], await settings())).toMatch(
      new RegExp(`UNDERSTUDY_DATA_DIR: .*relay is in use by process ${first.pid}`),
    );
  });

  it('a relay beyond this machine without a token', async () => {
    const settings = {
      UNDERSTUDY_CLUSTER_ID: clusterId,
      UNDERSTUDY_RELAY_HOST: '0.0.0.0',
      UNDERSTUDY_DATA_DIR: dir,
    };
    expect(await refusal(['relay'], settings)).toContain('UNDERSTUDY_RELAY_TOKEN is missing');
    const platform = { UNDERSTUDY_PLATFORM_HOST: '0.0.0.0', UNDERSTUDY_DATA_DIR: dir };
    expect(await refusal(['platform'], platform)).toContain('UNDERSTUDY_PLATFORM_TOKEN is missing');
  });

  it('values that are no durations, numbers or words of the list', async () => {
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_LEASE: '3' }))).toMatch(
      /UNDERSTUDY_LEASE must be a length of time such as 3s.*is "3"/,
    );
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_BACKUP_EVERY: '24' }))).toMatch(
      /UNDERSTUDY_BACKUP_EVERY must be a length of time such as 24h or 30m, or 0 for never.*is "24"/,
    );
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_AUTOSAVE: '30' }))).toMatch(
      /UNDERSTUDY_AUTOSAVE must be a length of time.*or 0 for never.*is "30"/,
    );
    const seed = await refusal(['replica'], await replica({ UNDERSTUDY_SEED: 'genesis' }));
    expect(seed).toContain('UNDERSTUDY_SEED must be genesis: and a token of your own');
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_SHARDS: 'many' }))).toContain(
      'UNDERSTUDY_SHARDS',
    );
    expect(await refusal(['replica'], await replica({ UNDERSTUDY_HEARTBEAT: '3s' }))).toContain(
      'UNDERSTUDY_HEARTBEAT',
    );
    const relay = { UNDERSTUDY_CLUSTER_ID: clusterId };
    expect(await refusal(['relay', '--storage', 'floppy'], relay)).toContain(
      '--storage (UNDERSTUDY_RELAY_STORAGE)',
    );
    expect(await refusal(['relay', '--storage', 'postgres'], relay)).toContain(
      'UNDERSTUDY_RELAY_DATABASE_URL is missing',
    );
    const pasted = { ...relay, UNDERSTUDY_RELAY_DATABASE_URL: 'bot:hunter22@db' };
    const wrong = await refusal(['relay', '--storage', 'postgres'], pasted);
    expect(wrong).toContain('UNDERSTUDY_RELAY_DATABASE_URL must be a URL');
    expect(wrong).not.toContain('hunter22');
    expect(await refusal(['relay', '--port', '99999'], relay)).toContain('--port (UNDERSTUDY_RELAY_PORT)');
  });

  it('understudy.yaml: an unknown setting, no YAML, a file that is not there', async () => {
    const file = join(dir, 'understudy.yaml');
    await writeFile(file, 'leese: 3s\n');
    expect(await refusal(['relay'], {})).toContain('there is no setting "leese"');
    await writeFile(file, 'lease: [');
    expect(await refusal(['relay'], {})).toContain('understudy.yaml is not YAML, at line 1');
    expect(await refusal(['--config', 'none.yaml', 'relay'], {})).toContain(
      'none.yaml cannot be read (ENOENT)',
    );
    await writeFile(file, 'relay_port: x\n');
    expect(await refusal(['relay'], { UNDERSTUDY_CLUSTER_ID: clusterId })).toContain(
      'UNDERSTUDY_RELAY_PORT (relay_port in understudy.yaml) must be a whole number',
    );
  });

  it('a secret file that is missing or empty, or given twice', async () => {
    const file = join(dir, 'secret');
    expect(await refusal(['relay'], { UNDERSTUDY_CLUSTER_ID_FILE: file })).toContain(
      `UNDERSTUDY_CLUSTER_ID_FILE: ${file} cannot be read (ENOENT)`,
    );
    await writeFile(file, '\n');
    expect(await refusal(['relay'], { UNDERSTUDY_CLUSTER_ID_FILE: file })).toContain('is empty');
    const both = { UNDERSTUDY_CLUSTER_ID_FILE: file, UNDERSTUDY_CLUSTER_ID: clusterId };
    expect(await refusal(['relay'], both)).toContain('are both set');
  });

  it('shows a stack under DEBUG', async () => {
    const { code, stderr } = await understudy(['relay'], { settings: { DEBUG: 'understudy:*' }, cwd: dir });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^\s+at /m);
  });
});
