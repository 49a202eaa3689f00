import { describe, expect, it } from 'vitest';
import { openState, type StateNode } from '../../src/index.js';
import { readSnapshot } from '../../src/state/snapshot-text.js';
import { node } from '../node/world.js';
import { losePowerAtEveryCall } from '../storage/every-call.js';
import type { LosingDisk } from '../storage/losing-disk.js';
import { entry, heard, task } from './world.js';

const DIR = '/var/lib/understudy';

/** The service on a disk that forgets, over a node whose own disk does not: that one is tested by itself. */
const open = (one: StateNode, { files }: LosingDisk) => openState(one, { dir: DIR, files, autosaveMs: 0 });

const textOf = async ({ files }: LosingDisk, path: string): Promise<string | undefined> =>
  (await files.exists(path)) ? Buffer.from(await files.read(path)).toString() : undefined;

describe('power lost, or the process killed, at every call to the disk', () => {
  it('T-replace: T-sync: a snapshot is the old one or the new one, whole, and the new one once saveState resolved', async () => {
    const one = await node([], { found: true });
    const losses = await losePowerAtEveryCall<number>({
      prepare: async (disk) => {
        const state = await open(one, disk);
        await state.saveTask(task());
        await state.saveState();
      },
      act: async (disk, say) => {
        const state = await open(one, disk);
        say((await state.saveState()).last_saved);
        say((await state.saveState()).last_saved);
      },
      check: async (disk, said) => {
        const bytes = await disk.files.read(`${DIR}/state.json`);
        const read = readSnapshot(bytes);
        expect(read.is).toBe('good');
        const state = await open(one, disk);
        const recovered = heard(state, 'state:recovered');
        const { last_saved } = await state.loadState();
        expect(last_saved).toBeGreaterThanOrEqual(Math.max(0, ...said));
        expect(recovered).toEqual([]);
        await state.saveState();
        expect((await disk.files.list(DIR)).map(({ name }) => name).sort()).toEqual([
          'reports',
          'sessions',
          'state.json',
        ]);
      },
    });
    expect(losses).toBeGreaterThan(60);
  }, 120_000);

  it('T-report: T-report-sync: T-folder: T-leftover: a report is the old one or the new one, whole, and the new one once its path was given', async () => {
    const one = await node([], { found: true });
    const bodyOf = (n: number) => `report ${n}\n`.repeat(50);
    const losses = await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        const state = await open(one, disk);
        for (let n = 1; n < 4; n += 1) {
          await state.saveReport('r', bodyOf(n));
          say(n);
        }
      },
      check: async (disk, said) => {
        const acknowledged = Math.max(0, ...said);
        const found = await textOf(disk, `${DIR}/reports/r.md`);
        if (found === undefined) expect(acknowledged).toBe(0);
        else expect([acknowledged, acknowledged + 1].map(bodyOf)).toContain(found);
        const state = await open(one, disk);
        expect((await disk.files.list(`${DIR}/reports`)).filter(({ name }) => name !== 'r.md')).toEqual([]);
        const path = await state.saveReport('r', 'after');
        expect(await textOf(disk, path)).toBe('after');
      },
    });
    expect(losses).toBeGreaterThan(60);
  }, 120_000);

  it('T-append: T-log-name: every line of a session log that was acknowledged is there, in order, and a torn one is alone', async () => {
    const one = await node([], { found: true });
    const losses = await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        const state = await open(one, disk);
        for (let n = 1; n < 5; n += 1) {
          await state.saveSessionLog('s', [entry(n)]);
          say(n);
        }
      },
      check: async (disk, said) => {
        const acknowledged = Math.max(0, ...said);
        const state = await open(one, disk);
        await state.saveSessionLog('s', [entry(9)]);
        const lines = ((await textOf(disk, `${DIR}/sessions/s.log`)) ?? '').split('\n');
        const whole = lines.filter((line) => line.startsWith('{') && line.endsWith('}'));
        const numbers = whole.map((line) => (JSON.parse(line) as { timestamp: number }).timestamp - 2000);
        const upTo = (n: number) => [...Array.from({ length: n }, (_, at) => at + 1), 9];
        expect([upTo(acknowledged), upTo(acknowledged + 1)]).toContainEqual(numbers);
        // What is no line is at most the one that was being written.
        expect(lines.filter((line) => line !== '' && !whole.includes(line)).length).toBeLessThanOrEqual(1);
      },
    });
    expect(losses).toBeGreaterThan(60);
  }, 120_000);
});
