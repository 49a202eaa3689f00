import * as A from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import pg from 'pg';
import { afterEach, expect, it, vi } from 'vitest';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { PostgresChunks } from '../../src/storage/postgres-chunks.js';
import { idOf } from '../../src/storage/postgres-key.js';
import { PostgresSession } from '../../src/storage/postgres-session.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { openLine, type Line } from './cut-line.js';
import { recordingLog } from './recording-log.js';
import { onServer } from './stores.js';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface More {
  log?: Log;
  statementMs?: number;
  patienceMs?: number;
  onEvent?: (event: StorageEvent) => void;
}

function storageAt(url: string, more: More = {}): DurableStorage {
  const { log = silentLog, onEvent = () => {}, ...options } = more;
  const storage = new DurableStorage({ store: new PostgresChunks({ url, log, ...options }), log, onEvent });
  open.push(() => storage.close(AbortSignal.timeout(2_000)));
  return storage;
}

function besides(url: string): pg.Pool {
  const direct = new pg.Pool({ connectionString: url, max: 2 });
  open.push(() => direct.end());
  return direct;
}

/** The same database over a line that can be cut. */
async function overLine(url: string): Promise<{ line: Line; url: string }> {
  const line = await openLine(Number(new URL(url).port));
  open.push(() => line.close());
  return { line, url: Object.assign(new URL(url), { port: String(line.port) }).href };
}

const key = (name: string): string[] => ['doc', 'value', name];

onServer((freshUrl) => {
  it('acknowledges only what is committed, over a connection that breaks again and again', async () => {
    const url = await freshUrl();
    const { line, url: cuttable } = await overLine(url);
    const direct = besides(url);
    const events: StorageEvent[] = [];
    const storage = storageAt(cuttable, { onEvent: (event) => events.push(event) });
    await storage.open();
    const acknowledged: Promise<void>[] = [];
    for (let n = 0; n < 400; n += 1) {
      const value = Uint8Array.of(n & 255, n >> 8);
      const saved = storage.save(key(`${n}`), value);
      acknowledged.push(
        saved.then(async () => {
          const { rows } = await direct.query<{ bytes: Buffer }>(
            'select bytes from understudy_chunks where id = $1',
            [idOf(key(`${n}`))],
          );
          expect(rows.map(({ bytes }) => [...bytes])).toEqual([[...value]]);
        }),
      );
      // Now between two statements, now in the middle of one, now with the answer to `commit` on its way.
      if (n % 40 === 20) line.abandon();
      if (n === 200) {
        line.cut();
        await vi.waitFor(() => expect(storage.status().state).toBe('failing'), 30_000);
        expect(await storage.load(key('200'))).toEqual(value);
        line.mend();
      }
      if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(acknowledged);
    expect(storage.status()).toMatchObject({ state: 'idle', pendingWrites: 0 });
    expect(events.at(-1)).toMatchObject({ type: 'state:save-restored' });
    expect(await storage.loadRange(['doc'])).toHaveLength(400);
  });

  it('S-ghost: outwaits a server that answers no more, also when that one still holds the lock for the lost session', async () => {
    const { line, url } = await overLine(await freshUrl());
    const storage = storageAt(url, { statementMs: 500 });
    await storage.save(key('before'), Uint8Array.of(1));
    line.freeze();
    const saved = storage.save(key('during'), Uint8Array.of(2));
    await vi.waitFor(() => expect(storage.status().state).toBe('failing'), 30_000);
    await saved;
    expect(await storage.loadRange(['doc'])).toHaveLength(2);
  });

  it('answers a reader once the server is back, and with an error, never with "nothing there", when it stays away', async () => {
    const { line, url } = await overLine(await freshUrl());
    const patient = storageAt(url, { patienceMs: 30_000 });
    await patient.save(key('x'), Uint8Array.of(1));
    line.cut();
    const reading = patient.loadRange(['doc']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    line.mend();
    expect(await reading).toHaveLength(1);
    await patient.close(AbortSignal.timeout(30_000));
    const impatient = storageAt(url, { patienceMs: 0 });
    await impatient.open();
    line.cut();
    await expect(impatient.loadRange(['doc'])).rejects.toThrow();
    await expect(impatient.load(key('x'))).rejects.toMatchObject({ code: 'storage-unreachable' });
  });

  it('S-status: says that the server is gone, and that it is back, also when nothing is written', async () => {
    const { line, url } = await overLine(await freshUrl());
    const storage = storageAt(url);
    await storage.save(key('x'), Uint8Array.of(1));
    expect(storage.status().state).toBe('idle');
    line.cut();
    await vi.waitFor(() => expect(storage.status().state).toBe('failing'), 30_000);
    line.mend();
    await vi.waitFor(() => expect(storage.status().state).toBe('idle'), 30_000);
  });

  it('S-close: is closed at the deadline, whatever the server does', async () => {
    const { line, url } = await overLine(await freshUrl());
    // Longer than this test may take: it is not the statement that ends.
    const storage = storageAt(url, { statementMs: 120_000 });
    await storage.save(key('x'), Uint8Array.of(1));
    line.freeze();
    void storage.save(key('x'), Uint8Array.of(2));
    const reading = storage.load(key('y')).catch((error: unknown) => error);
    const before = performance.now();
    await storage.close(AbortSignal.timeout(200));
    expect(performance.now() - before).toBeLessThan(30_000);
    expect(await reading).toBeInstanceOf(Error);
  });

  it('S-lock: refuses a second process on the same tables, and lets it in when the first is gone', async () => {
    const url = await freshUrl();
    const first = storageAt(url);
    await first.save(key('x'), Uint8Array.of(1));
    const second = storageAt(url, { patienceMs: 0 });
    await expect(second.open()).rejects.toMatchObject({ code: 'storage-in-use' });
    await first.close(AbortSignal.timeout(30_000));
    expect(await second.load(key('x'))).toEqual(Uint8Array.of(1));
  });

  it('S-lock: never writes again once another process has the lock', async () => {
    const url = await freshUrl();
    const { line, url: cuttable } = await overLine(url);
    const lost = storageAt(cuttable);
    await lost.save(key('x'), Uint8Array.of(1));
    line.cut();
    const direct = besides(url);
    await vi.waitFor(async () => {
      const { rows } = await direct.query(`select 1 from pg_locks where locktype = 'advisory'`);
      expect(rows).toEqual([]);
    }, 30_000);
    const next = storageAt(url);
    await next.save(key('x'), Uint8Array.of(2));
    line.mend();
    let acknowledged = false;
    void lost.save(key('x'), Uint8Array.of(3)).then(() => (acknowledged = true));
    await vi.waitFor(() => expect(lost.status().saveErrors).toBeGreaterThan(1), 30_000);
    expect(acknowledged).toBe(false);
    expect(await next.load(key('x'))).toEqual(Uint8Array.of(2));
  });

  it('carries a repo over broken connections and restarts', async () => {
    const { line, url } = await overLine(await freshUrl());
    const storage = storageAt(url);
    const repo = new Repo({ storage });
    const handle = repo.create<{ n: number }>({ n: 0 });
    for (let n = 1; n < 20; n += 1) {
      handle.change((doc) => {
        doc.n = n;
      });
      if (n % 5 === 0) line.abandon();
      await repo.flush();
    }
    await storage.close(AbortSignal.timeout(30_000));
    const later = storageAt(url, { patienceMs: 30_000 });
    line.abandon();
    const found = await new Repo({ storage: later }).find<{ n: number }>(handle.documentId);
    expect(found.doc()).toEqual({ n: 19 });
    await later.close(AbortSignal.timeout(30_000));
    // What cannot be read fails for now, and ends nothing. (A repo that is made meanwhile would: it asks for its own
    // id and leaves a rejection unhandled. So a store is opened, and outwaits an outage, before it is given to one.)
    const cut = new Repo({ storage: storageAt(url, { patienceMs: 0 }) });
    await cut.storageId();
    line.cut();
    await expect(cut.find(handle.documentId)).rejects.toThrow();
  });

  it('moves rows that are not what was written aside, and gives the others', async () => {
    const url = await freshUrl();
    const events: StorageEvent[] = [];
    const log = recordingLog();
    const storage = storageAt(url, { log, onEvent: (event) => events.push(event) });
    for (const name of ['a', 'b', 'c']) {
      await storage.save(['doc', 'snapshot', name], A.save(A.from({ name })));
    }
    const direct = besides(url);
    await direct.query(
      `update understudy_chunks set bytes = set_byte(bytes, 20, get_byte(bytes, 20) # 1) where id = $1`,
      [idOf(['doc', 'snapshot', 'b'])],
    );
    await direct.query(`insert into understudy_chunks values ('x', 'x', 'not a key', 'x', 'x')`);
    expect((await storage.loadRange([])).map(({ key: [, , name] }) => name)).toEqual(['a', 'c']);
    expect(events).toMatchObject([
      { type: 'state:recovered', document: 'doc', reason: expect.stringContaining('checksum') as string },
    ]);
    await storage.settled();
    const { rows } = await direct.query<{ key: string }>('select key from understudy_quarantine');
    expect(rows).toEqual([{ key: '["doc","snapshot","b"]' }]);
    expect(log.lines.filter(({ message }) => message.includes('keys of no one'))).not.toEqual([]);
  });

  it('lets one row that the server refuses wait alone', async () => {
    const url = await freshUrl();
    const storage = storageAt(url);
    await storage.open();
    const direct = besides(url);
    await direct.query(`alter table understudy_chunks add check (key <> '["doc","value","refused"]')`);
    void storage.save(key('refused'), Uint8Array.of(1));
    await Promise.all(['a', 'b', 'c'].map((name) => storage.save(key(name), Uint8Array.of(2))));
    expect(storage.status()).toMatchObject({ state: 'failing', pendingWrites: 1 });
    await direct.query('alter table understudy_chunks drop constraint understudy_chunks_key_check');
    await storage.settled();
    expect(await storage.loadRange(['doc'])).toHaveLength(4);
  });

  it('S-commit: waits for the disk of the server, also where the database is set up not to', async () => {
    const url = await freshUrl();
    const direct = besides(url);
    const { rows } = await direct.query<{ name: string }>('select current_database() as name');
    await direct.query(`alter database ${rows[0]?.name} set synchronous_commit = off`);
    const session = new PostgresSession(url, silentLog, 10_000);
    open.push(() => session.close());
    const shown = await session.run((own) => own.query('show synchronous_commit'));
    expect(shown.rows).toEqual([{ synchronous_commit: 'on' }]);
  });

  it('leaves tables of a newer version alone', async () => {
    const url = await freshUrl();
    const direct = besides(url);
    await direct.query('create table understudy_storage (format integer not null)');
    await direct.query('insert into understudy_storage values (2)');
    await expect(storageAt(url).open()).rejects.toMatchObject({ code: 'storage-newer' });
    const { rows } = await direct.query(`select 1 from pg_tables where tablename = 'understudy_chunks'`);
    expect(rows).toEqual([]);
  });

  it('names the server in errors and logs, and no password', async () => {
    const { line, url } = await overLine(await freshUrl());
    line.cut();
    const secret = Object.assign(new URL(url), { password: 'not-to-be-seen' }).href;
    const log = recordingLog();
    const storage = storageAt(secret, { log, patienceMs: 0 });
    void storage.save(key('x'), Uint8Array.of(1));
    const error = await storage.open().catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'storage-unreachable',
      message: expect.stringContaining(`127.0.0.1:${line.port}`) as string,
    });
    await vi.waitFor(() => expect(storage.status().state).toBe('failing'), 30_000);
    expect(JSON.stringify([log.lines, String(error), (error as Error).stack])).not.toContain(
      'not-to-be-seen',
    );
    await storage.close(AbortSignal.abort());
  });
});
