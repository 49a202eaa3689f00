import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findServer, startPostgres, type PostgresServer } from '../platform/postgres.js';
import { buildOnce } from '../world/build.js';
import { metricsOf, relayProcess, writeTokens, type RelayProcess } from './relay-process.js';
import {
  allOpen,
  connect,
  found,
  headsOf,
  newId,
  rawClient,
  relay,
  repo,
  storedHeads,
  TestStorage,
  token,
  until,
} from './world.js';
import { join } from 'node:path';

const server = findServer();

/** What a relay's pages say of its storage. */
async function readiness(relay: RelayProcess): Promise<{ status: number; text: string }> {
  return (await relay.process.page('/readyz')) ?? { status: 0, text: '' };
}

describe.skipIf('missing' in server && !process.env['CI'])(
  'a relay whose PostgreSQL server goes away',
  () => {
    let postgres: PostgresServer;
    beforeAll(async () => {
      await buildOnce();
      if ('missing' in server) throw new Error(server.missing);
      postgres = await startPostgres(server.bin);
    }, 120_000);
    afterAll(() => postgres.stop());

    const onDatabase = async (launch = true): Promise<RelayProcess> =>
      await relayProcess(
        {
          UNDERSTUDY_RELAY_STORAGE: 'postgres',
          UNDERSTUDY_RELAY_DATABASE_URL: await url(),
        },
        (dir): Record<string, string> => ({
          UNDERSTUDY_RELAY_TOKENS_FILE: writeTokens(join(dir, 'tokens.json'), [token('rw')]),
        }),
        launch,
      );
    let databases: string[] = [];
    const url = async () => databases.pop() ?? (await postgres.createDatabase());
    const replica = (relay: RelayProcess, name: string) =>
      connect(name, [{ url: relay.url, token: 'rw' }], { clusterCheck: relay.check });

    test('it passes changes on from memory, says that nothing is stored, and stores all once the server is back', async () => {
      const relay = await onDatabase();
      const [alpha, beta] = [replica(relay, 'alpha'), replica(relay, 'beta')];
      const id = newId();
      const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
      await allOpen(alpha, beta);
      const stored = async (ms: number) => (await alpha.relayHeads([id], ms)).get(relay.url)?.get(id);
      mine.change((doc) => void (doc['before'] = 1));
      await until('stored', async () => (await stored(2_000))?.join() === headsOf(mine).join());
      const { pid } = relay.process;

      await postgres.halt();
      mine.change((doc) => void (doc['during'] = 1));
      await until('it comes through all the same', () => theirs.doc()['during'] === 1);
      await until('health says so', async () => {
        const { status, text } = await readiness(relay);
        return status === 503 && text.includes('database is out of reach');
      });
      // Nothing is said to be stored that is not.
      expect((await stored(3_000))?.join()).not.toBe(headsOf(mine).join());
      theirs.change((doc) => void (doc['more'] = 1));
      await until('both ways', () => mine.doc()['more'] === 1);
      expect(await metricsOf(relay.process)).toMatch(/^understudy_\w*(save_errors|pending)\w*\b.* [1-9]/m);

      await postgres.resume();
      await until(
        'all of it is stored',
        async () => (await stored(2_000))?.join() === headsOf(mine).join(),
        60_000,
      );
      await until('health says so', async () => (await readiness(relay)).status === 200);
      expect([relay.process.pid, relay.process.crashes]).toEqual([pid, []]);
      expect([alpha.stats().lost, beta.stats().lost]).toEqual([0, 0]);

      // What it said is true: nobody but the database has it now.
      alpha.close();
      beta.close();
      await relay.process.kill();
      await relay.process.start();
      const late = replica(relay, 'late');
      await allOpen(late);
      expect((await storedHeads(late, relay, [id])).get(id)).toEqual(headsOf(mine));
    }, 120_000);

    test('started while the server is down it waits, says for what, minds no SIGHUP, and serves once it is back', async () => {
      databases = [await postgres.createDatabase()];
      await postgres.halt();
      const relay = await onDatabase(false);
      relay.process.launch();
      await until(
        'its pages say what it waits for',
        async () => {
          const { status, text } = await readiness(relay);
          return status === 503 && text.includes('cannot be reached');
        },
        40_000,
      );
      const { pid } = relay.process;
      process.kill(pid, 'SIGHUP');
      const early = rawClient(relay.url, { headers: { authorization: 'Bearer rw' } });
      await until('nobody is let in', early.closed);
      await postgres.resume();
      await relay.process.ready();
      expect(relay.process.pid).toBe(pid);
      await relay.process.line(({ text }) => text.includes('read again, and in force'), { from: 0 });
      await allOpen(replica(relay, 'alpha'));
    }, 120_000);

    test('asked to end while it waits it ends at once, and a database that refuses it is an error at once', async () => {
      databases = [await postgres.createDatabase()];
      await postgres.halt();
      const relay = await onDatabase(false);
      relay.process.launch();
      await until('it waits', async () => (await readiness(relay)).status === 503, 40_000);
      expect(await relay.process.stop()).toBe(0);
      await postgres.resume();
      const wrong = new URL(await postgres.createDatabase());
      wrong.pathname = '/nowhere';
      databases = [wrong.href];
      await expect(onDatabase()).rejects.toThrow(/UNDERSTUDY_RELAY_DATABASE_URL: .*"nowhere" does not exist/);
    }, 120_000);
  },
);

test('R-id: a storage that goes away while the relay is made from it ends nothing', async () => {
  class Leaving extends TestStorage {
    #asked = 0;
    override load(key: string[]) {
      this.failing ||= key[0] === 'storage-adapter-id' && (this.#asked += 1) === 2;
      return super.load(key);
    }
  }
  const storage = new Leaving();
  const started = await relay({ storage });
  expect(storage.failing).toBe(true);
  storage.failing = false;
  const [alpha, beta] = [connect('alpha', [started]), connect('beta', [started])];
  const id = newId();
  const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
  await allOpen(alpha, beta);
  mine.change((doc) => void (doc['a'] = 1));
  await until('they converge', () => theirs.doc()['a'] === 1);
});
