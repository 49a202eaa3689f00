import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { startPlatform, type PlatformOptions } from '../../src/platform/service/start.js';
import { silentLog } from '../../src/telemetry/log.js';
import { onSqlite } from './databases.js';
import { AGENTS, scratchFile, world } from './world.js';

const start = async (options: Pick<PlatformOptions, 'database'> & Partial<PlatformOptions>) =>
  startPlatform({
    port: 0,
    log: silentLog,
    env: {},
    agentsFile: await scratchFile('agents.yaml', AGENTS),
    ...options,
  });

onSqlite((fresh) => {
  it('keeps its data where only its own user reads them', async () => {
    const database = (await fresh()) as { sqlite: string };
    await world(database);
    expect((await stat(database.sqlite)).mode & 0o777).toBe(0o600);
    expect((await stat(`${database.sqlite}-wal`)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(database.sqlite))).mode & 0o777).toBe(0o700);
  });

  it('refuses a database file that another platform has, and takes it when that one has gone', async () => {
    const database = await fresh();
    const first = await start({ database });
    await expect(start({ database })).rejects.toMatchObject({
      name: 'PlatformStartError',
      code: 'database-in-use',
      message: expect.stringContaining('platform.db is in use by another platform process'),
    });
    await first.close();
    await (await start({ database })).close();
  });

  it('names the port that is in use, and leaves nothing open', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const database = await fresh();
    await expect(start({ database, port })).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringContaining(String(port)),
    });
    other.close();
    await (await start({ database })).close();
  });

  it('names what is wrong with the database', async () => {
    const file = await scratchFile('not-a-database', 'x'.repeat(5_000));
    await expect(start({ database: { sqlite: file } })).rejects.toMatchObject({ code: 'database-unusable' });
    await expect(start({ database: { sqlite: `${file}/below/a.db` } })).rejects.toMatchObject({
      code: 'database-unusable',
      message: expect.stringContaining(file),
    });
    const url = 'postgresql://someone:pass-secret@127.0.0.1:1/none';
    await expect(start({ database: { url } })).rejects.toMatchObject({
      code: 'database-unreachable',
      message: expect.stringMatching(
        /^(?!.*pass-secret).*DATABASE_URL \(127\.0\.0\.1:1\/none\).*ECONNREFUSED/,
      ),
    });
  });

  it('names what is wrong with the agents file before it opens anything', async () => {
    const agentsFile = await scratchFile('agents.yaml', '');
    await writeFile(agentsFile, 'default: x');
    const database = (await fresh()) as { sqlite: string };
    await expect(start({ database, agentsFile })).rejects.toMatchObject({
      name: 'AgentsFileError',
      code: 'invalid',
    });
    await expect(stat(database.sqlite)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
