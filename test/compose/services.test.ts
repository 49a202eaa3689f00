import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findServer, startPostgres } from '../platform/postgres.js';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';
import { cleanEnvironment, Process, type Environment } from '../world/process.js';
import { sharedHomeserver } from '../world/world.js';
import { ownServices, readCompose, root, type Service } from './file.js';

const file = readCompose();

/** The services of docker-compose.yml as plain processes: addresses and folders of the containers, put on this machine. */
class OnLoopback {
  private readonly ports = new Map<string, number>();

  constructor(
    readonly dir: string,
    private readonly homeserver: string,
  ) {}

  get secrets(): string {
    return join(this.dir, 'secrets');
  }

  async process(name: string, service: Service): Promise<Process> {
    const settings: Environment = {};
    for (const [key, value] of Object.entries(service.environment ?? {})) {
      settings[key] = await this.value(name, key, String(value ?? ''));
    }
    return new Process(name, await this.arguments(name, service), {
      ...settings,
      UNDERSTUDY_HTTP_PORT: settings['UNDERSTUDY_HTTP_PORT'] ?? '',
    });
  }

  arguments(name: string, service: Service): Promise<string[]> {
    return Promise.all((service.command ?? []).map((word) => this.value(name, '', word)));
  }

  /** Runs the health check as Docker would, and says whether it passed. */
  check(service: Service, settings: Environment): boolean {
    const [kind, program, ...words] = service.healthcheck?.test ?? [];
    expect([kind, program]).toEqual(['CMD', 'node']);
    const args = words.map((word) => word.replace(/^\/app\//, root));
    return (
      spawnSync(process.execPath, args, { env: cleanEnvironment(settings), timeout: 60_000 }).status === 0
    );
  }

  private async value(name: string, key: string, value: string): Promise<string> {
    if (key.endsWith('_HOST') && value === '0.0.0.0') return '127.0.0.1';
    if (key === 'UNDERSTUDY_HTTP_PORT') return String(await this.port(`${name} pages`));
    if (key.endsWith('_PORT')) return String(await this.port(`${name}:${value}`));
    const agents = file.configs['agents']?.file ?? '';
    return value
      .replace('/run/understudy', this.secrets)
      .replace('/var/lib/understudy', join(this.dir, name))
      .replace('/etc/understudy/agents.yaml', resolve(root, agents))
      .replace('http://synapse:8008', this.homeserver)
      .replace('relay:3030', `127.0.0.1:${await this.port('relay:3030')}`)
      .replace('platform:3040', `127.0.0.1:${await this.port('platform:3040')}`);
  }

  private async port(what: string): Promise<number> {
    const port = this.ports.get(what) ?? (await testPort());
    this.ports.set(what, port);
    return port;
  }
}

/** A database for the platform where this machine has a PostgreSQL server; else the platform takes SQLite. */
async function database(): Promise<string | undefined> {
  const server = findServer();
  if ('missing' in server) return undefined;
  const postgres = await startPostgres(server.bin);
  onTestFinished(() => postgres.stop());
  return postgres.createDatabase();
}

test('every service of ours runs as a plain process with its command, settings and health check, and the bot answers', async () => {
  const homeserver = sharedHomeserver();
  const dir = await mkdtemp(join(tmpdir(), 'us-compose-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  const here = new OnLoopback(dir, homeserver.url);
  const services = new Map(ownServices(file));
  const service = (name: string): Service => services.get(name) as Service;

  /** Runs a service that ends by itself. */
  const once = async (name: string, input = '') => {
    const { settings } = await here.process(name, service(name));
    const outcome = await understudy(await here.arguments(name, service(name)), {
      settings,
      input,
      cwd: dir,
    });
    expect(outcome.code, outcome.stderr).toBe(0);
    return outcome.stdout;
  };

  // The tests' homeserver has a registration secret already; what is there is kept.
  await mkdir(here.secrets, { mode: 0o700 });
  await writeFile(join(here.secrets, 'synapse-registration'), homeserver.registrationSecret);
  expect(await once('secrets')).toContain('bot-password');
  const kept = await readFile(join(here.secrets, 'cluster-id'), 'utf8');
  expect(await once('secrets')).toContain('every secret is there already');
  expect(await readFile(join(here.secrets, 'cluster-id'), 'utf8')).toBe(kept);
  expect(await once('accounts')).toContain(`@bot:${homeserver.serverName}`);
  expect(await once('accounts')).toContain(`@alice:${homeserver.serverName}`);

  const url = await readFile(join(here.secrets, 'database-url'), 'utf8');
  const { POSTGRES_USER, POSTGRES_DB } = file.services['postgres']?.environment ?? {};
  const password = await readFile(join(here.secrets, 'postgres-password'), 'utf8');
  expect(url).toBe(`postgresql://${POSTGRES_USER}:${password}@postgres:5432/${POSTGRES_DB}`);
  const mine = await database();
  if (mine !== undefined) await writeFile(join(here.secrets, 'database-url'), mine);

  for (const name of ['relay', 'platform', 'replica-1', 'replica-2']) {
    const running = await here.process(name, service(name));
    if (name === 'platform' && mine === undefined) {
      delete (running.settings as Environment)['DATABASE_URL_FILE'];
      running.settings['UNDERSTUDY_DATA_DIR'] = join(dir, name);
    }
    expect(here.check(service(name), running.settings), `${name} before its start`).toBe(false);
    onTestFinished(async () => {
      await running.kill();
    });
    await running.start();
    // Not ready for a moment where the machine stood still just then: Docker asks several times too.
    const check = () => here.check(service(name), running.settings);
    await expect.poll(check, { message: name, timeout: 60_000, interval: 500 }).toBe(true);
  }
  expect(await once('chat', 'hello from a pipe\n')).toBe('echo #1: hello from a pipe\n');
});
