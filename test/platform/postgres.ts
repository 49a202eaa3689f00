import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';

const NOBODY = 65534;
const SETPRIV = 'setpriv';
const DEBIAN = '/usr/lib/postgresql';

/** The folder of a PostgreSQL server on this machine, or why there is none that we could run. */
export function findServer(): { bin: string } | { missing: string } {
  const debian = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : [];
  const folders = [...debian, ...(process.env['PATH'] ?? '').split(delimiter)];
  const bin = folders.find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  );
  if (!bin) return { missing: 'no initdb on this machine' };
  if (process.getuid?.() === 0 && spawnSync(SETPRIV, ['--version']).error) {
    return { missing: 'root cannot run PostgreSQL and there is no setpriv' };
  }
  return { bin };
}

export interface PostgresServer {
  /** URL of an empty database of its own. */
  createDatabase(): Promise<string>;
  /** Ends the server as a crash would; what it held stays on disk. */
  halt(): Promise<void>;
  /** Starts it again after {@link halt}. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server of our own on a free loopback port, as an unprivileged user. */
export async function startPostgres(bin: string): Promise<PostgresServer> {
  const root = process.getuid?.() === 0;
  const dir = await mkdtemp(join(tmpdir(), 'understudy-postgres-'));
  if (root) chownSync(dir, NOBODY, NOBODY);
  const command = (program: string, args: string[]): [string, string[]] => {
    const path = join(bin, program);
    if (!root) return [path, args];
    return [SETPRIV, [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', path, ...args]];
  };
  const data = join(dir, 'data');
  const made = spawnSync(
    ...command('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8']),
    {
      cwd: dir,
    },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr?.toString()}`);
  const port = await freePort();
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `unix_socket_directories=${dir}`];
  const launch = () =>
    spawn(
      ...command('postgres', [
        '-D',
        data,
        '-p',
        String(port),
        ...settings.flatMap((setting) => ['-c', setting]),
      ]),
      { cwd: dir, stdio: 'ignore' },
    );
  let server = launch();
  const url = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  const query = async (sql: string) => {
    const client = new pg.Client({ connectionString: url('postgres') });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  const answers = async (): Promise<void> => {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const failure = await query('select 1').then(
        () => undefined,
        (error: Error) => error,
      );
      if (!failure) break;
      if (server.exitCode !== null || Date.now() > deadline)
        throw new Error('postgres did not start', { cause: failure });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await answers();
  let databases = 0;
  return {
    async createDatabase() {
      const name = `test_${++databases}`;
      await query(`create database ${name}`);
      return url(name);
    },
    async halt() {
      const ended = once(server, 'exit');
      server.kill('SIGQUIT');
      await ended;
    },
    async resume() {
      server = launch();
      await answers();
    },
    async stop() {
      if (server.exitCode !== null) server = launch();
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
