import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.mjs';
import { progress } from './progress.mjs';
import { spread } from './statistics.mjs';

const MANY = 256;
/** Aim: what is kept of the speed of a bare file, in one file for each chunk, verified and removable. */
const AIM_BATCHING = 5;
const AIM_MEMORY_MB = 10;
const GROWTH = 100_000;
const FILES = 10_000;

export const name = 'storage';

const SAVES = {
  alone: { kind: 'ours', inFlight: 1 },
  batched: { kind: 'ours', inFlight: MANY },
  encrypted: { kind: 'encrypted', inFlight: MANY },
  stockAlone: { kind: 'stock', inFlight: 1 },
  stockMany: { kind: 'stock', inFlight: MANY },
};
const APPENDS = { appendAlone: 1, appendMany: MANY };

/**
 * Chunks of 300 bytes made durable per second, one by one and many at once, beside upstream's NodeFS adapter, which
 * does not sync, and a bare loop of append and fsync; memory after 100,000 saves; and reading 10,000 chunk files. All
 * by turns.
 */
export async function measure({ scratch, quick }) {
  const runs = quick ? 3 : 5;
  const forMs = quick ? 500 : 2000;
  const rates = await speeds(scratch, runs, forMs);
  const memory = await growth(scratch, runs, quick ? GROWTH / 10 : GROWTH);
  const start = await starts(scratch, runs, quick ? FILES / 10 : FILES);
  const gain = spread(rates.batched.runs.map((rate, run) => rate / rates.alone.runs[run]));
  const grown = memory.ours.median;
  return {
    runs,
    rates,
    gain,
    memory,
    start,
    aims: [
      {
        aim: `${AIM_BATCHING} × as many durable saves with ${MANY} in flight as one by one`,
        measured: `${gain.median.toFixed(1)} ×`,
        met: gain.median >= AIM_BATCHING,
      },
      {
        aim: `less than ${AIM_MEMORY_MB} MB more in use after ${GROWTH} saves`,
        measured: `${grown.toFixed(1)} MB`,
        met: grown < AIM_MEMORY_MB,
      },
    ],
  };
}

export function lines({ rates, gain, memory, start }) {
  return [
    'saves per second, 300 bytes each; ours and the bare file are on disk (fsync) when they count, NodeFS never syncs',
    ['ours, one by one', rates.alone, 'saves/s', 0],
    [`ours, ${MANY} in flight (batched)`, rates.batched, 'saves/s', 0],
    [`ours, ${MANY} in flight, encrypted`, rates.encrypted, 'saves/s', 0],
    ['batched ÷ one by one', gain, '×', 1],
    ['NodeFS, one by one', rates.stockAlone, 'saves/s', 0],
    [`NodeFS, ${MANY} in flight`, rates.stockMany, 'saves/s', 0],
    ['bare file, one for each fsync', rates.appendAlone, 'saves/s', 0],
    [`bare file, ${MANY} for each fsync`, rates.appendMany, 'saves/s', 0],
    `memory in use after ${memory.count} saves of which 1,000 are kept, over that after the first 2,000`,
    ['ours', memory.ours, 'MB', 1],
    ['NodeFS', memory.stock, 'MB', 1],
    `opening and reading ${start.files} chunk files of 64 documents; ours verifies each`,
    ['ours', start.ours, 'ms', 0],
    ['NodeFS', start.stock, 'ms', 0],
  ];
}

async function speeds(scratch, runs, forMs) {
  const rates = Object.fromEntries([...Object.keys(SAVES), ...Object.keys(APPENDS)].map((key) => [key, []]));
  for (let run = 1; run <= runs; run += 1) {
    progress(`durable saves: run ${run} of ${runs}`);
    for (const [what, args] of Object.entries(SAVES)) {
      rates[what].push(
        perSecond(await inFolder(scratch, (child, dir) => child.ask('save', { ...args, dir, forMs }))),
      );
    }
    for (const [what, perSync] of Object.entries(APPENDS)) {
      const asked = (child, dir) => child.ask('append', { file: join(dir, 'file'), forMs, perSync });
      rates[what].push(perSecond(await inFolder(scratch, asked)));
    }
  }
  return Object.fromEntries(Object.entries(rates).map(([key, values]) => [key, spread(values)]));
}

async function growth(scratch, runs, count) {
  const grown = { ours: [], stock: [] };
  for (let run = 1; run <= Math.min(runs, 3); run += 1) {
    for (const kind of ['ours', 'stock']) {
      progress(`memory after ${count} saves, ${kind}: run ${run} of ${Math.min(runs, 3)}`);
      const { used } = await inFolder(scratch, (child, dir) => child.ask('grow', { kind, dir, count }));
      grown[kind].push(used / 2 ** 20);
    }
  }
  return { count, ours: spread(grown.ours), stock: spread(grown.stock) };
}

async function starts(scratch, runs, files) {
  const dir = join(scratch, 'storage-filled');
  const took = { ours: [], stock: [] };
  await inFolder(scratch, (child) => child.ask('fill', { dir, chunks: files }));
  for (let run = 1; run <= runs; run += 1) {
    progress(`reading ${files} chunk files: run ${run} of ${runs}`);
    for (const kind of ['ours', 'stock']) {
      const { ms, chunks } = await inFolder(scratch, (child) => child.ask('start', { kind, dir }));
      if (chunks < files * 0.99) throw new Error(`${kind} found ${chunks} of ${files} chunks`);
      took[kind].push(ms);
    }
  }
  await rm(dir, { recursive: true });
  return { files, ours: spread(took.ours), stock: spread(took.stock) };
}

/** In a fresh folder and a fresh process. */
async function inFolder(scratch, ask) {
  const dir = join(scratch, 'storage');
  const child = new Child('storage.mjs', ['--expose-gc']);
  await mkdir(dir);
  try {
    return await ask(child, dir);
  } finally {
    await child.close();
    await rm(dir, { recursive: true });
  }
}

const perSecond = ({ count, ms }) => (count / ms) * 1000;
