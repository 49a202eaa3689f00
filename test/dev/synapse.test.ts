import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { ensureSynapse, ensureUsers, startSynapse, type Synapse } from '../../src/dev/synapse.js';
import { silentLog } from '../../src/telemetry/log.js';
import { synapseVenv } from '../world/synapse-venv.js';

const builtModule = new URL('../../dist/dev/synapse.js', import.meta.url).href;

let dir: string;
let synapse: Synapse | undefined;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'understudy-dev-'));
});
afterEach(async () => {
  await synapse?.stop();
  synapse = undefined;
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
});

const login = async (url: string, user: string, password: string) => {
  const body = JSON.stringify({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
  });
  return fetch(`${url}/_matrix/client/v3/login`, { method: 'POST', body });
};

test('a local Synapse keeps its users over a kill, and takes another port when its own is used', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  synapse = await startSynapse({ venvDir: synapseVenv, dir, port, log: silentLog });
  expect(synapse.port).not.toBe(port);
  taken.close();

  const users = [{ name: 'alice', password: 'pw-of-alice-1' }];
  const [made] = await ensureUsers(synapse.url, synapse.registrationSecret, users);
  expect(made?.user_id).toBe('@alice:localhost');
  const [again] = await ensureUsers(synapse.url, synapse.registrationSecret, users);
  expect(again).toBeUndefined();

  const { pid } = synapse;
  await synapse.kill();
  await expect(fetch(`${synapse.url}/health`)).rejects.toThrow();
  await synapse.restart();
  expect(synapse.pid).not.toBe(pid);
  expect((await login(synapse.url, 'alice', 'pw-of-alice-1')).status).toBe(200);
  expect((await login(synapse.url, 'alice', 'wrong')).status).toBe(403);
});

test('a local Synapse opens plain rooms, is not open for registration, and keeps its secrets to its owner', async () => {
  synapse = await startSynapse({ venvDir: synapseVenv, dir, log: silentLog });
  const wellKnown = await (await fetch(`${synapse.url}/.well-known/matrix/client`)).json();
  expect(wellKnown).toMatchObject({
    'm.homeserver': { base_url: `${synapse.url}/` },
    'io.element.e2ee': { default: false },
  });
  const register = await fetch(`${synapse.url}/_matrix/client/v3/register`, { method: 'POST', body: '{}' });
  expect(register.status).toBe(403);
  for (const file of ['secrets.json', 'homeserver.yaml', 'signing.key']) {
    expect((await stat(join(dir, file))).mode & 0o077).toBe(0);
  }
  const commandLine = await readFile(`/proc/${synapse.pid}/cmdline`, 'utf8');
  expect(commandLine).not.toContain(synapse.registrationSecret);
});

test('an environment that is there is reused without a step', async () => {
  const steps: string[] = [];
  await ensureSynapse({ venvDir: synapseVenv, report: (step) => steps.push(step) });
  expect(steps).toEqual([]);
  expect(inject('homeserver').url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test('without Python the error says what is missing and names both ways on', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = dir;
  try {
    const refused = ensureSynapse({ venvDir: join(dir, 'venv'), report: () => {} });
    await expect(refused).rejects.toMatchObject({
      code: 'no-python',
      message: expect.stringMatching(/Python 3\.10 .*MATRIX_HOMESERVER_URL.*docker compose/i),
    });
  } finally {
    process.env['PATH'] = path;
  }
});

test('without a network the error says so and names both ways on', async () => {
  const before = { ...process.env };
  Object.assign(process.env, {
    PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
    PIP_NO_CACHE_DIR: '1',
    PIP_RETRIES: '0',
  });
  try {
    const refused = ensureSynapse({ venvDir: join(dir, 'venv'), report: () => {} });
    await expect(refused).rejects.toMatchObject({
      code: 'no-network',
      message: expect.stringMatching(/MATRIX_HOMESERVER_URL.*docker compose/),
    });
  } finally {
    for (const name of ['PIP_INDEX_URL', 'PIP_NO_CACHE_DIR', 'PIP_RETRIES']) delete process.env[name];
    Object.assign(process.env, before);
  }
});

test('a homeserver ends when the process that started it is killed', async () => {
  const program = `
    const { startSynapse } = await import(process.env.MODULE);
    const log = { info() {} };
    const synapse = await startSynapse({ venvDir: process.env.VENV, dir: process.env.DIR, log });
    console.log(synapse.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, MODULE: builtModule, VENV: synapseVenv, DIR: dir },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(printed.toString());
  expect(() => process.kill(pid, 0)).not.toThrow();
  parent.kill('SIGKILL');
  await expect.poll(() => existsSync(`/proc/${pid}/exe`), { timeout: 60_000 }).toBe(false);
});
