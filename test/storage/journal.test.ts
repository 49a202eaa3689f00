import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JournalError } from '../../src/storage/journal-error.js';
import { encodeLine } from '../../src/storage/journal-line.js';
import { silentLog } from '../../src/telemetry/log.js';
import { openCounts } from './children/counts.js';
import type { Counts } from './children/counts.js';
import { faultyFiles } from './faulty-files.js';
import type { Call } from './faulty-files.js';
import { recordingLog } from './recording-log.js';
import { scratchFolder } from './scratch.js';

const scratchFile = async () => join(await scratchFolder(), 'delivery.journal');
const log = silentLog;

describe('a journal', () => {
  it('applies at once, acknowledges after the fsync, and makes the same state when opened again', async () => {
    const file = await scratchFile();
    const calls: Call[] = [];
    const journal = await openCounts(file, {
      log,
      files: faultyFiles(
        () => undefined,
        (call) => calls.push(call),
      ),
    });
    calls.length = 0;
    const acknowledged = journal.append([{ name: 'a', n: 1 }]);
    expect(journal.state.get('a')).toBe(1);
    expect(calls).toEqual([]);
    await acknowledged;
    expect(calls).toEqual(['file.write', 'file.sync']);
    await journal.append([
      { name: 'a', n: 2 },
      { name: 'b', n: 7 },
    ]);
    await journal.close();
    const again = await openCounts(file, { log });
    expect([...again.state]).toEqual([
      ['a', 2],
      ['b', 7],
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await again.close();
  });

  it('shares one fsync among appends made together', async () => {
    const calls: Call[] = [];
    const journal = await openCounts(await scratchFile(), {
      log,
      files: faultyFiles(
        () => undefined,
        (call) => calls.push(call),
      ),
    });
    calls.length = 0;
    await Promise.all(Array.from({ length: 100 }, (_, i) => journal.append([{ name: `n${i}`, n: 1 }])));
    expect(calls).toEqual(['file.write', 'file.sync']);
    await journal.close();
  });

  it('writes without fsync when durability is left to the system', async () => {
    const calls: Call[] = [];
    const files = faultyFiles(
      () => undefined,
      (call) => calls.push(call),
    );
    const journal = await openCounts(await scratchFile(), {
      log,
      files,
      durability: 'os',
      compactAfter: 100,
    });
    for (let n = 1; n <= 20; n += 1) await journal.append([{ name: 'a', n }]);
    await journal.close();
    expect(calls).toContain('file.write');
    expect(calls.filter((call) => call.endsWith('ync') || call === 'syncFolder')).toEqual([]);
  });

  it('is rewritten as its snapshot when it has grown far beyond it', async () => {
    const file = await scratchFile();
    const journal = await openCounts(file, { log, compactAfter: 500 });
    for (let n = 1; n <= 500; n += 1) {
      await journal.append([{ name: 'a', n }]);
      expect((await stat(file)).size).toBeLessThan(600);
    }
    await journal.close();
    expect([...(await stateOf(file))]).toEqual([['a', 500]]);
    expect(await readdir(join(file, '..'))).toEqual(['delivery.journal']);
  });

  it('counts nothing twice when it is rewritten while others append', async () => {
    const file = await scratchFile();
    const journal = await openCounts(file, { log, compactAfter: 300 });
    await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name) => {
        for (let n = 1; n <= 200; n += 1) {
          await journal.append([{ name, n }]);
          if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      }),
    );
    await journal.close();
    const state = await stateOf(file);
    expect(Object.fromEntries(state)).toEqual({ a: 200, b: 200, c: 200, d: 200 });
  });

  it('writes an entry once that comes while the file is being rewritten', async () => {
    const file = await scratchFile();
    const journal = await openCounts(file, { log, compactAfter: 300 });
    let n = 1;
    for (; (await stat(file)).size < 300; n += 1) await journal.append([{ name: 'a', n }]);
    const rewriting = journal.append([{ name: 'a', n }]);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    await Promise.all([rewriting, journal.append([{ name: 'a', n: n + 1 }])]);
    expect((await stat(file)).size).toBeLessThan(150);
    await journal.close();
    expect([...(await stateOf(file))]).toEqual([['a', n + 1]]);
  });

  it('cuts a torn end, whatever was lost of the last write, and goes on behind it', async () => {
    const file = await scratchFile();
    const journal = await openCounts(file, { log });
    await journal.append([{ name: 'a', n: 1 }]);
    await journal.close();
    const kept = await readFile(file);
    const last = encodeLine(
      JSON.stringify([
        { name: 'a', n: 2 },
        { name: 'b', n: 1 },
      ]),
    );
    for (let length = 1; length < last.length; length += 1) {
      await writeFile(file, Buffer.concat([kept, last.subarray(0, length)]));
      const lines = recordingLog();
      const again = await openCounts(file, { log: lines });
      expect([...again.state]).toEqual([['a', 1]]);
      expect(lines.lines).toMatchObject([{ level: 'warn', bytes: length }]);
      await again.append([{ name: 'a', n: 2 }]);
      await again.close();
      expect([...(await stateOf(file))]).toEqual([['a', 2]]);
    }
    expect(await readdir(join(file, '..'))).toEqual(['delivery.journal']);
  });

  it('opens after any damage, keeps every line that is whole, and copies the others aside', async () => {
    const file = await scratchFile();
    const whole = Array.from({ length: 8 }, (_, i) => encodeLine(JSON.stringify([{ name: `n${i}`, n: i }])));
    const header = Buffer.from('understudy-journal 1\n');
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 40 }), async (at, noise) => {
        const bytes = Buffer.concat([header, ...whole]);
        const offset = header.length + (at % (bytes.length - header.length));
        const damaged = Buffer.from(bytes);
        damaged.set(noise.subarray(0, bytes.length - offset), offset);
        await writeFile(file, damaged);
        // Lines before and after the damage are whole; the damage may swallow or split lines, not invent them.
        const untouched = (line: Buffer, i: number) => {
          const start = header.length + whole.slice(0, i).reduce((sum, { length }) => sum + length, 0);
          return start + line.length <= offset || start > offset + noise.length;
        };
        const journal = await openCounts(file, { log, clock: countingClock(opened++) });
        for (const [i, line] of whole.entries()) {
          if (untouched(line, i)) expect(journal.state.get(`n${i}`)).toBe(i);
        }
        for (const [name, n] of journal.state) expect(name).toBe(`n${n}`);
        await journal.close();
        const lines = recordingLog();
        await (await openCounts(file, { log: lines })).close();
        expect(lines.lines).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('copies corrupt and unknown lines aside, once, and says so', async () => {
    const file = await scratchFile();
    const good = (n: number) => encodeLine(JSON.stringify([{ name: 'a', n }]));
    const rotten = Buffer.from(good(2));
    rotten.writeUInt8(rotten.readUInt8(20) ^ 1, 20);
    const foreign = encodeLine('[{"kind":"of a later version"}]');
    await writeFile(
      file,
      Buffer.concat([Buffer.from('understudy-journal 1\n'), good(1), rotten, foreign, good(2)]),
    );
    const lines = recordingLog();
    const journal = await openCounts(file, { log: lines, clock: countingClock(17) });
    expect([...journal.state]).toEqual([['a', 2]]);
    await journal.close();
    expect(lines.lines).toMatchObject([
      { level: 'error', lines: 2, reasons: ['wrong checksum', 'unknown entry'] },
    ]);
    expect(await readFile(`${file}.quarantine-17`)).toEqual(Buffer.concat([rotten, foreign]));
    await (await openCounts(file, { log })).close();
    expect(await readdir(join(file, '..'))).toHaveLength(2);
  });

  it('of a later format is refused and left alone', async () => {
    const file = await scratchFile();
    await writeFile(file, 'understudy-journal 2\nwhat only it knows\n');
    await expect(openCounts(file, { log })).rejects.toMatchObject({ code: 'newer' });
    expect(await readFile(file, 'utf8')).toContain('what only it knows');
  });

  it('S-format: whose format number alone is damaged counts, and the number is mended', async () => {
    for (const lines of [[], [1, 2]]) {
      const file = await scratchFile();
      const journal = await openCounts(file, { log });
      for (const n of lines) await journal.append([{ name: 'a', n }]);
      await journal.close();
      const whole = await readFile(file);
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(flipped.readUInt8(19) ^ 2, 19);
      expect(flipped.toString()).toContain('understudy-journal 3\n');
      await writeFile(file, flipped);
      const told = recordingLog();
      const again = await openCounts(file, { log: told, clock: countingClock(23) });
      expect(again.state.get('a')).toBe(lines.at(-1));
      expect(told.lines).toMatchObject([{ level: 'error', lines: 1 }]);
      await again.close();
      expect(await readFile(`${file}.quarantine-23`, 'utf8')).toBe('understudy-journal 3\n');
      expect((await readFile(file, 'utf8')).startsWith('understudy-journal 1\n')).toBe(true);
    }
  });

  it('S-behind: what stands behind lost lines is taken back, and stays so', async () => {
    const file = await scratchFile();
    const journal = await openCounts(file, { log });
    for (const name of ['position', 'source', 'position']) {
      await journal.append([{ name, n: (journal.state.get(name) ?? 0) + 1 }]);
    }
    await journal.close();
    const bytes = await readFile(file);
    const at = bytes.indexOf('source');
    await writeFile(file, Buffer.concat([bytes.subarray(0, at), Buffer.from('S'), bytes.subarray(at + 1)]));
    const afterDamage = (state: Counts) => void state.delete('position');
    const again = await openCounts(file, { log, afterDamage });
    expect([...again.state]).toEqual([]);
    await again.close();
    expect([...(await openedAndClosed(file))]).toEqual([]);
  });

  it('that is a folder is put aside and begun anew', async () => {
    const file = await scratchFile();
    await mkdir(file);
    await writeFile(join(file, 'inside'), 'x');
    const told = recordingLog();
    const journal = await openCounts(file, { log: told, clock: countingClock(29) });
    await journal.append([{ name: 'a', n: 1 }]);
    await journal.close();
    expect(told.lines).toMatchObject([{ level: 'error', aside: `${file}.quarantine-29` }]);
    expect(await readdir(`${file}.quarantine-29`)).toEqual(['inside']);
    const again = await openCounts(file, { log });
    expect(again.state.get('a')).toBe(1);
    await again.close();
  });

  it('refuses what it could not read back, and applies nothing of it', async () => {
    const journal = await openCounts(await scratchFile(), { log });
    const bad = [
      { name: 'a', n: 1 },
      { name: 'b', n: Number.NaN },
    ];
    await expect(journal.append(bad)).rejects.toMatchObject({ code: 'invalid' });
    expect(journal.state.size).toBe(0);
    await journal.close();
    await expect(journal.append([{ name: 'a', n: 1 }])).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('a journal whose disk fails', () => {
  for (const [call, code] of [
    ['file.write', 'ENOSPC'],
    ['file.sync', 'EIO'],
  ] as const) {
    it(`(${call}: ${code}) rejects, acknowledges nothing falsely, and mends itself with the next append`, async () => {
      const file = await scratchFile();
      let broken = false;
      const alarms: JournalError[] = [];
      const files = faultyFiles((made) => (broken && made === call ? code : undefined));
      const journal = await openCounts(file, { log, files, onError: (error) => alarms.push(error) });
      await journal.append([{ name: 'a', n: 1 }]);
      broken = true;
      await expect(journal.append([{ name: 'a', n: 2 }])).rejects.toMatchObject({ code: 'unwritable' });
      await expect(journal.append([{ name: 'a', n: 3 }])).rejects.toMatchObject({ code: 'unwritable' });
      expect(alarms.map((alarm) => alarm.message)).toEqual(Array(2).fill(expect.stringContaining(code)));
      // What a start would find now: what was acknowledged, whole.
      const meanwhile = await stateOf(await copyOf(file));
      expect(meanwhile.get('a')).toBeGreaterThanOrEqual(1);
      broken = false;
      await journal.append([{ name: 'b', n: 1 }]);
      await journal.append([{ name: 'a', n: 4 }]);
      await journal.close();
      const again = await stateOf(file);
      expect([...again]).toEqual([
        ['a', 4],
        ['b', 1],
      ]);
    });
  }

  it('goes on with the old file while a rewrite fails before the rename', async () => {
    const file = await scratchFile();
    let broken = true;
    const files = faultyFiles((call, path) =>
      broken && call === 'rename' && path.endsWith('.tmp') ? 'ENOSPC' : undefined,
    );
    await (await openCounts(file, { log })).close();
    const journal = await openCounts(file, { log, files, compactAfter: 200 });
    for (let n = 1; n <= 50; n += 1) await journal.append([{ name: 'a', n }]);
    expect((await stat(file)).size).toBeGreaterThan(1000);
    broken = false;
    for (let n = 51; n <= 120; n += 1) await journal.append([{ name: 'a', n }]);
    expect((await stat(file)).size).toBeLessThan(1000);
    await journal.close();
    expect([...(await stateOf(file))]).toEqual([['a', 120]]);
  });

  it('acknowledges nothing between a rename and the sync of its folder, and writes anew after it', async () => {
    const file = await scratchFile();
    let broken = false;
    const journal = await openCounts(file, {
      log,
      compactAfter: 200,
      files: faultyFiles((call) => (broken && call === 'syncFolder' ? 'EIO' : undefined)),
    });
    await journal.append([{ name: 'filler', n: 1 }]);
    broken = true;
    const outcomes = [];
    for (let n = 1; n <= 20; n += 1)
      outcomes.push(await journal.append([{ name: 'a', n }]).catch((error: unknown) => error));
    const failed = outcomes.findIndex((outcome) => outcome !== undefined);
    expect(failed).toBeGreaterThan(0);
    expect(outcomes.slice(failed).every((outcome) => (outcome as JournalError).code === 'unwritable')).toBe(
      true,
    );
    broken = false;
    await journal.append([{ name: 'a', n: 21 }]);
    await journal.close();
    expect((await stateOf(file)).get('a')).toBe(21);
  });

  it('does not open as empty when its file cannot be read', async () => {
    const file = await scratchFile();
    await (await openCounts(file, { log })).close();
    const files = faultyFiles((call) => (call === 'read' ? 'EIO' : undefined));
    await expect(openCounts(file, { log, files })).rejects.toMatchObject({ code: 'unwritable' });
  });

  it('keeps every acknowledged append when calls fail at random', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (dice) => {
        const file = await scratchFile();
        let faults = false;
        const files = faultyFiles((call) =>
          faults && call !== 'read' && dice.next().value === 0 ? 'EIO' : undefined,
        );
        const journal = await openCounts(file, { log, files, compactAfter: 150 });
        faults = true;
        let acknowledged = 0;
        for (let n = 1; n <= 40; n += 1) {
          await journal.append([{ name: 'a', n }]).then(
            () => (acknowledged = n),
            (error: JournalError) => expect(error.code).toBe('unwritable'),
          );
          const state = await stateOf(await copyOf(file));
          expect(state.get('a') ?? 0).toBeGreaterThanOrEqual(acknowledged);
          expect(state.size).toBeLessThanOrEqual(1);
        }
        await journal.close();
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});

/** What a later start finds. */
async function stateOf(file: string): Promise<Counts> {
  const journal = await openCounts(file, { log });
  await journal.close();
  return journal.state;
}

/** A start must be looked at in a copy: it mends the file that it opens. */
async function copyOf(file: string): Promise<string> {
  const copy = join(await scratchFolder(), 'copy');
  await appendFile(copy, await readFile(file));
  return copy;
}

async function openedAndClosed(file: string): Promise<Counts> {
  const journal = await openCounts(file, { log });
  await journal.close();
  return journal.state;
}

function countingClock(now: number) {
  const never = () => () => {};
  return { now: () => now, monotonic: () => now, after: never, every: never };
}
