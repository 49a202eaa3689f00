import { describe, expect, it } from 'vitest';
import { LocalState } from '../../src/node/matrix-storage/local-state.js';
import { silentLog, systemClock } from '../../src/index.js';
import { losePowerAtEveryCall } from '../storage/every-call.js';
import type { LosingDisk } from '../storage/losing-disk.js';
import { faultyFiles } from '../storage/faulty-files.js';
import { folder, eventually } from '../node/world.js';
import { recordingLog } from '../storage/recording-log.js';

const DIR = '/var/lib/understudy';

const open = ({ files }: Pick<LosingDisk, 'files'>) =>
  LocalState.open(DIR, { files, log: silentLog, clock: systemClock });

const event = (n: number) => ({
  name: 'message',
  id: `$${n}`,
  room: '!r:example.org',
  text: `{"event_id":"$${n}"}`,
  at: n,
  attempts: 0,
});

const numberOf = (token: string | null): number => Number(token ?? 0);

describe('power lost, or the process killed, at every call to the disk', () => {
  it('N-file: N-before: the token is an acknowledged one or the one after, and what was heard before it stands beside it', async () => {
    const losses = await losePowerAtEveryCall<number>({
      act: async (disk, say) => {
        const state = await open(disk);
        state.holdsBack = true;
        for (let n = 1; n < 5; n += 1) {
          // As the SDK does: the token, then what came with it; everything older than two batches is done.
          await state.setToken('', String(n));
          say(n);
          state.heard.add(event(n));
          state.heard.remove(`message $${n - 2}`);
        }
      },
      check: async (disk, said) => {
        const state = await open(disk);
        const acknowledged = Math.max(0, ...said);
        const token = numberOf(state.account('').token);
        // Held back by one: what came with it may not have been heard when the power went.
        expect([acknowledged - 1, acknowledged]).toContain(token + (acknowledged === 0 ? -1 : 0));
        const ids = state.heard.all().map(({ id }) => id);
        if (token > 0) expect(ids).toContain(`$${token}`);
        await state.setToken('', 'after');
        expect((await disk.files.list(DIR)).map(({ name }) => name)).toEqual(['matrix-storage.json']);
      },
    });
    expect(losses).toBeGreaterThan(60);
  }, 60_000);
});

describe('a disk that refuses', () => {
  it('keeps whoever sets a token waiting until it takes it again; one that is closed meanwhile is told', async () => {
    let full = true;
    const log = recordingLog();
    const files = faultyFiles((call) => (full && call === 'create' ? 'ENOSPC' : undefined));
    const dir = await folder();
    const state = await LocalState.open(dir, { files, log, clock: systemClock });
    let isSet = false;
    const setting = state.setToken('', 's1').then(() => (isSet = true));
    await eventually(() => log.lines.filter(({ level }) => level === 'error').length > 1);
    expect(isSet).toBe(false);
    full = false;
    await setting;
    const again = await LocalState.open(dir, { log, clock: systemClock });
    expect(again.account('').token).toBe('s1');
    full = true;
    const late = state.setToken('', 's2');
    const told = expect(late).rejects.toMatchObject({ code: 'closed' });
    await state.close(systemClock);
    await told;
  }, 60_000);

  it('N-room: the position goes no further while as many events as may are not done', async () => {
    const state = await LocalState.open(await folder(), { log: silentLog, clock: systemClock });
    for (let n = 0; n < 1_000; n += 1) expect(state.heard.add(event(n))).toBe(true);
    let may = false;
    const room = state.heard.room(state.signal).then(() => (may = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(may).toBe(false);
    state.heard.remove('message $7');
    await room;
    expect(may).toBe(true);
  });
});
