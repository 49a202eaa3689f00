import { Child } from './child.mjs';
import { progress } from './progress.mjs';
import { clusterId } from './rooms-folder.mjs';
import { spread } from './statistics.mjs';

const AIM_MS = 4000;
const AIM_MB = 300;

export const name = 'opening';

/**
 * Time and memory of `openNode` on a folder with many rooms, in a fresh process each time; the files are in the
 * system's cache. Memory is the whole process's (RSS), Node and libraries included.
 */
export async function measure({ rooms, folder, quick }) {
  const runs = quick ? 3 : 5;
  const dir = await folder.copy('opening');
  const opened = [];
  for (let run = 1; run <= runs; run += 1) {
    progress(`opening ${rooms} rooms: run ${run} of ${runs}`);
    const child = new Child('state.mjs');
    try {
      opened.push(await child.ask('open', { dir, clusterId }));
      const count = await child.ask('count');
      if (count !== rooms) throw new Error(`${count} of ${rooms} rooms were there after opening`);
    } finally {
      await child.close();
    }
  }
  const each = (field) => spread(opened.map((run) => run[field]));
  const result = {
    runs,
    rooms,
    ms: each('ms'),
    cpuMs: each('cpuMs'),
    rssMb: each('rssMb'),
    peakMb: each('peakMb'),
  };
  const { ms, peakMb } = result;
  return {
    ...result,
    emptyRssMb: each('emptyRssMb'),
    aims: [
      {
        aim: `${rooms} rooms open in under ${AIM_MS / 1000} s`,
        measured: `${(ms.median / 1000).toFixed(2)} s`,
        met: ms.median < AIM_MS,
      },
      {
        aim: `in under ${AIM_MB} MB (highest RSS)`,
        measured: `${peakMb.median.toFixed(0)} MB`,
        met: peakMb.median < AIM_MB,
      },
    ],
  };
}

export function lines({ ms, cpuMs, rssMb, peakMb, emptyRssMb }) {
  return [
    ['openNode', ms, 'ms', 0],
    ['openNode, processor time of all its threads', cpuMs, 'ms', 0],
    ['RSS, highest until open', peakMb, 'MB', 0],
    ['RSS, once open', rssMb, 'MB', 0],
    ['RSS, before opening (Node and libraries)', emptyRssMb, 'MB', 0],
  ];
}
