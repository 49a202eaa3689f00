import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../src/storage/checksum.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { readJson, writeJson } from '../../src/storage/json-file.js';
import { FolderLocked, lockFolder } from '../../src/storage/lock.js';
import { silentLog } from '../../src/telemetry/log.js';
import { openCounts } from './children/counts.js';
import { losePowerAtEveryCall } from './every-call.js';
import type { LosingDisk } from './losing-disk.js';
import { recordingLog } from './recording-log.js';

/** Its folders above are there since long. */
const DIR = '/var/lib/understudy';

function storageOn(disk: LosingDisk, onEvent?: (event: StorageEvent) => void): DurableStorage {
  return new DurableStorage({ dir: DIR, files: disk.files, log: silentLog, ...(onEvent && { onEvent }) });
}

/** Storage as a restart finds it, in which nothing may be torn. */
async function reopened(disk: LosingDisk): Promise<{ storage: DurableStorage; damage: StorageEvent[] }> {
  const damage: StorageEvent[] = [];
  const storage = storageOn(disk, (event) => damage.push(event));
  await storage.open();
  return { storage, damage };
}

const textOf = (data: Uint8Array | undefined): string | undefined => data && Buffer.from(data).toString();

/** Not `expect(…).rejects`: the runner would wait for the one that the loss of power leaves without an end. */
const refusal = (disk: LosingDisk): Promise<unknown> =>
  lockFolder(DIR, disk.files).then(
    () => undefined,
    (error: unknown) => error,
  );

/** Values are kept under keys whose name is no checksum, so that each has a checksum beside it. */
const key = (name: string): string[] => ['abcdef', 'value', name];

/** Named by each flush and each order that the promise rests on: test/mutants takes them out one by one. */
function lossOfPower(rules: string[], what: string, act: () => Promise<unknown>): void {
  it(`${rules.map((rule) => `${rule}: `).join('')}${what}`, act);
}

describe('power lost at every call to the disk', () => {
  async function saving(): Promise<void> {
    const losses = await losePowerAtEveryCall<[name: string, value: number]>({
      act: async (disk, say) => {
        const storage = storageOn(disk);
        for (let value = 1; value < 4; value += 1) {
          await Promise.all(
            ['x', 'y'].map(async (name) => {
              await storage.save(key(name), Buffer.from(`${name} ${value}`));
              say([name, value]);
            }),
          );
        }
      },
      check: async (disk, said) => {
        const { storage, damage } = await reopened(disk);
        for (const name of ['x', 'y']) {
          const acknowledged = Math.max(0, ...said.filter(([one]) => one === name).map(([, value]) => value));
          const found = textOf(await storage.load(key(name)));
          if (found === undefined) expect(acknowledged, name).toBe(0);
          else expect([acknowledged, acknowledged + 1].map((value) => `${name} ${value}`)).toContain(found);
        }
        expect(damage).toEqual([]);
        // And it can be written to as ever.
        await storage.save(key('x'), Buffer.from('after'));
        expect(textOf(await storage.load(key('x')))).toBe('after');
        expect(await disk.files.list(`${DIR}/tmp`)).toEqual([]);
      },
    });
    expect(losses).toBeGreaterThan(150);
  }
  lossOfPower(
    ['S-content', 'S-names', 'S-sidecar', 'S-sidecar-order', 'S-folder', 'S-ack'],
    'what was saved is there, old or new, and nothing is torn',
    saving,
  );

  async function compacting(): Promise<void> {
    let document = A.init<Record<string, number>>({ actor: 'aa' });
    const changes: Uint8Array[] = [];
    for (let n = 0; n < 5; n += 1) {
      document = A.change(document, { time: 0 }, (draft) => {
        draft[`n${n}`] = n;
      });
      changes.push(A.getLastLocalChange(document) ?? new Uint8Array());
    }
    const snapshot = A.save(document);
    const incremental = (change: Uint8Array): string[] => ['abcdef', 'incremental', sha256(change)];
    const losses = await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        const storage = storageOn(disk);
        for (const [n, change] of changes.entries()) {
          await storage.save(incremental(change), change);
          say(n);
        }
        // As upstream compacts, all at once: the order is the storage's own affair.
        const saved = storage.save(['abcdef', 'snapshot', 'heads'], snapshot);
        const removed = changes.map((change) => storage.remove(incremental(change)));
        await Promise.all([saved, ...removed]);
        say(changes.length);
      },
      check: async (disk, said) => {
        const { storage, damage } = await reopened(disk);
        const chunks = await storage.loadRange(['abcdef']);
        const found = A.loadIncremental(
          A.init<Record<string, number>>(),
          Buffer.concat(chunks.map(({ data }) => data ?? new Uint8Array())),
        );
        for (const n of said) if (n < changes.length) expect(found).toHaveProperty(`n${n}`, n);
        if (said.includes(changes.length))
          expect(chunks.map(({ key: [, kind] }) => kind)).toEqual(['snapshot']);
        expect(damage).toEqual([]);
      },
    });
    expect(losses).toBeGreaterThan(100);
  }
  lossOfPower(
    ['S-order', 'S-removal'],
    'a compaction loses no change, and what is removed stays removed',
    compacting,
  );

  async function quarantining(): Promise<void> {
    await losePowerAtEveryCall<string>({
      prepare: async (disk) => {
        const storage = storageOn(disk);
        await storage.save(key('bad'), Buffer.from('was good'));
        await storage.save(key('good'), Buffer.from('good'));
        disk.edit(`${DIR}/ab/cdef/value/bad`, (data) => data.subarray(2));
      },
      act: async (disk, say) => {
        const storage = storageOn(disk);
        expect(await storage.loadRange(['abcdef'])).toHaveLength(1);
        await storage.settled();
        say('moved');
      },
      check: async (disk, said) => {
        const { storage, damage } = await reopened(disk);
        expect((await storage.loadRange(['abcdef'])).map(({ data }) => textOf(data))).toEqual(['good']);
        await storage.settled();
        expect(damage).toHaveLength(said.length === 0 ? damage.length : 0);
        // Under two names, when the move itself was half on disk.
        expect(await disk.files.list(`${DIR}/quarantine`)).not.toEqual([]);
      },
    });
  }
  lossOfPower(['S-quarantine'], 'a bad chunk is never given out, and not lost on its way', quarantining);

  async function appending(): Promise<void> {
    const losses = await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        const options = { files: disk.files, log: silentLog, compactAfter: 200 };
        const journal = await openCounts(`${DIR}/delivery.journal`, options);
        for (let n = 1; n < 9; n += 1) {
          await journal.append([
            { name: 'a', n },
            { name: 'twin', n },
          ]);
          say(n);
        }
        await journal.close();
      },
      check: async (disk, said) => {
        const log = recordingLog();
        const journal = await openCounts(`${DIR}/delivery.journal`, { files: disk.files, log });
        const found = journal.state.get('a') ?? 0;
        const last = said.at(-1) ?? 0;
        expect([last, last + 1]).toContain(found);
        expect(journal.state.get('twin') ?? 0).toBe(found);
        expect([...journal.state.keys()].filter((name) => name.includes('jumped'))).toEqual([]);
        expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
        await journal.append([{ name: 'a', n: found + 1 }]);
        await journal.close();
      },
    });
    expect(losses).toBeGreaterThan(100);
  }
  lossOfPower(
    ['S-append', 'S-rewrite', 'S-rewrite-folder'],
    'a journal keeps what it acknowledged, each append whole, over its rewrites',
    appending,
  );

  async function replacing(): Promise<void> {
    await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        for (let n = 1; n < 5; n += 1) {
          await writeJson(`${DIR}/replica.json`, { n }, disk.files);
          say(n);
        }
      },
      check: async (disk, said) => {
        const found = await readJson(`${DIR}/replica.json`, z.object({ n: z.number() }), disk.files);
        const last = said.at(-1) ?? 0;
        expect([last, last + 1]).toContain(found?.n ?? 0);
        await writeJson(`${DIR}/replica.json`, { n: 9 }, disk.files);
      },
    });
  }
  lossOfPower(['S-replace'], 'a small file holds its old value or its new one', replacing);

  it('a lock is whole or not there, can be taken again, and lets nobody else in meanwhile', async () => {
    await losePowerAtEveryCall<'locked' | 'released'>({
      act: async (disk, say) => {
        for (let turn = 0; turn < 2; turn += 1) {
          const lock = await lockFolder(DIR, disk.files);
          say('locked');
          expect(await refusal(disk)).toBeInstanceOf(FolderLocked);
          await lock.release();
          say('released');
        }
      },
      check: async (disk) => {
        // The one who held it is gone after a loss of power: its number belongs to nobody.
        const held = await disk.files.exists(`${DIR}/lock`);
        if (held) {
          expect(await refusal(disk)).toBeInstanceOf(FolderLocked);
          for (const path of [`${DIR}/lock`, `${DIR}/lock.copy`]) {
            if (!(await disk.files.exists(path))) continue;
            disk.edit(path, (data) => Buffer.from(data.toString().replace(/"pid":\d+/, '"pid":999999999')));
          }
        }
        const lock = await lockFolder(DIR, disk.files);
        expect(await refusal(disk)).toBeInstanceOf(FolderLocked);
        await lock.release();
      },
    });
  });
});
