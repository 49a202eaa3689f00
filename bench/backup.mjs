import { join } from 'node:path';
import { Child } from './child.mjs';
import { progress } from './progress.mjs';
import { clusterId } from './rooms-folder.mjs';
import { spread } from './statistics.mjs';

export const name = 'backup';

/** A backup of many rooms by the node that holds them, its verification, and two restores, with fsync. */
export async function measure({ rooms, folder, quick, scratch }) {
  const runs = quick ? 1 : 3;
  const made = [];
  const verified = [];
  const restored = [];
  const again = [];
  for (let run = 1; run <= runs; run += 1) {
    progress(`backing up ${rooms} rooms: run ${run} of ${runs}`);
    const dir = await folder.copy(`backup-${run}`);
    const empty = join(scratch, `restored-${run}`);
    made.push(await alone('create', { dir, clusterId }));
    const { path } = made.at(-1);
    verified.push(await alone('verify', { path }));
    restored.push(await alone('restore', { path, dir: empty, clusterId }));
    again.push(await alone('restore', { path, dir: empty, clusterId }));
    if (restored.at(-1).outcomes.join() !== 'added' || again.at(-1).outcomes.join() !== 'same') {
      throw new Error('the restore did not do what it should');
    }
  }
  const of = (all, field) => spread(all.map((one) => one[field]));
  return {
    runs,
    rooms,
    mb: of(made, 'mb'),
    createMs: of(made, 'ms'),
    longestMs: of(made, 'longestMs'),
    moreMb: of(made, 'moreMb'),
    verifyMs: of(verified, 'ms'),
    restoreMs: of(restored, 'ms'),
    restoreMb: of(restored, 'peakMb'),
    againMs: of(again, 'ms'),
    aims: [],
  };
}

async function alone(what, args) {
  const child = new Child('backup.mjs');
  try {
    return await child.ask(what, args);
  } finally {
    await child.close();
  }
}

export function lines(result) {
  const { mb, createMs, longestMs, moreMb, verifyMs, restoreMs, restoreMb, againMs } = result;
  return [
    ['size', mb, 'MB', 1],
    ['create, with reading it back', createMs, 'ms', 0],
    ['longest time in which the node did nothing else', longestMs, 'ms', 0],
    ['memory that it took (RSS, highest)', moreMb, 'MB', 0],
    ['verify', verifyMs, 'ms', 0],
    ['restore into an empty folder', restoreMs, 'ms', 0],
    ['RSS of the restore, highest', restoreMb, 'MB', 0],
    ['restore where all of it stands already', againMs, 'ms', 0],
  ];
}
