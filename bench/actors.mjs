import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.mjs';
import { progress } from './progress.mjs';
import { clusterId } from './rooms-folder.mjs';
import { spread } from './statistics.mjs';

/** Events in each actor's past. */
const EVENTS = 4;
const MODES = [
  { name: 'durable, one at a time', durability: 'fsync', inFlight: 1 },
  { name: 'durable, 64 in flight', durability: 'fsync', inFlight: 64 },
  { name: 'durable, 256 in flight', durability: 'fsync', inFlight: 256 },
  { name: 'not durable, 256 in flight', durability: 'os', inFlight: 256 },
];
/** Of the folded actors, as many as are kept folded. */
const FOLDED = 4000;

export const name = 'actors';

/**
 * Transitions per second, restore and memory of actors, beside a plain XState actor whose `getPersistedSnapshot` goes
 * to a file after each event. Ours keeps every event with its cause, ready to be merged; the peer keeps the last state
 * on one machine. Both sides run by turns, each measured process is fresh.
 */
export async function measure(context) {
  const { scratch, rooms: actors, quick } = context;
  const runs = quick ? 3 : 5;
  const plan = { actors, events: EVENTS };
  const ours = join(scratch, 'actors');
  const plain = join(scratch, 'plain-actors');
  await fill(ours, plain, plan);
  const restored = await restores({ ours, plain, plan, runs });
  const pace = { forMs: quick ? 1000 : 3000, warmUp: quick ? 200 : 1500 };
  const rates = await transitions({ ours, plain, plan, runs, ...pace });
  return { runs, actors, eventsEach: EVENTS, rates, restored, aims: [] };
}

async function fill(ours, plain, plan) {
  progress(`making ${plan.actors} actors with ${EVENTS} events each`);
  await mkdir(ours, { mode: 0o700 });
  await mkdir(plain);
  const filler = inProcess('actors.mjs');
  try {
    await filler.ask('open', { dir: ours, clusterId, actors: plan.actors, found: true, durability: 'os' });
    await filler.ask('fill', plan, 2_400_000);
  } finally {
    await filler.close();
  }
  const peer = inProcess('plain-actors.mjs');
  try {
    await peer.ask('create', { dir: plain, ...plan });
  } finally {
    await peer.close();
  }
}

async function restores({ ours, plain, plan, runs }) {
  const { actors } = plan;
  const times = { open: [], one: [], fold: [], whole: [], peer: [], ratio: [], openRatio: [] };
  const cpu = { open: [], fold: [], peer: [], ratio: [] };
  const memory = { empty: [], unfolded: [], folded: [], foldedHeap: [], peer: [], peerHeap: [] };
  const perActor = (mb, count) => (mb * 1024) / count;
  for (let run = 1; run <= runs; run += 1) {
    progress(`restoring ${actors} actors: run ${run} of ${runs}`);
    const opened = await inFresh('actors.mjs', async (child) => {
      const { ms, cpuMs, rssMb } = await child.ask('open', { dir: ours, clusterId, ...plan });
      const one = await child.ask('one', { index: actors - 1 });
      const few = await child.ask('fold', { ...plan, actors: Math.min(FOLDED, actors - 1) });
      return { ms, cpuMs, rssMb, one, few };
    });
    const whole = await inFresh('actors.mjs', async (child) => {
      const { ms, cpuMs } = await child.ask('open', { dir: ours, clusterId, ...plan });
      return { ms, cpuMs, fold: await child.ask('fold', plan) };
    });
    const peer = await inFresh('plain-actors.mjs', (child) => child.ask('restore', { dir: plain, ...plan }));
    const empty = await inFresh('actors.mjs', (child) => openEmpty(child, `${ours}-empty-${run}`));
    times.open.push(opened.ms);
    times.one.push(opened.one.ms);
    times.fold.push(whole.fold.ms);
    times.whole.push(whole.ms + whole.fold.ms);
    times.peer.push(peer.ms);
    times.ratio.push((whole.ms + whole.fold.ms) / peer.ms);
    times.openRatio.push(opened.ms / peer.ms);
    cpu.open.push(whole.cpuMs);
    cpu.fold.push(whole.fold.cpuMs);
    cpu.peer.push(peer.cpuMs);
    cpu.ratio.push((whole.cpuMs + whole.fold.cpuMs) / peer.cpuMs);
    const few = Math.min(FOLDED, actors - 1);
    memory.empty.push(empty.rssMb);
    memory.unfolded.push(perActor(opened.rssMb - empty.rssMb, actors));
    memory.folded.push(perActor(opened.few.rssMb, few));
    memory.foldedHeap.push(perActor(opened.few.heapMb, few));
    memory.peer.push(perActor(peer.rssMb, actors));
    memory.peerHeap.push(perActor(peer.heapMb, actors));
  }
  return { ms: spreads(times), cpu: spreads(cpu), memory: spreads(memory) };
}

/** The first transitions of a process cost some four times the later ones: they are made before it is measured. */
async function transitions({ ours, plain, plan, runs, forMs, warmUp }) {
  const rates = MODES.map(() => ({ ours: [], peer: [], ratio: [], cpu: [], peerCpu: [] }));
  const perSecond = ({ count, ms }) => (count / ms) * 1000;
  const peer = inProcess('plain-actors.mjs');
  const nodes = [];
  try {
    const peerDir = `${plain}-moved`;
    await mkdir(peerDir);
    await peer.ask('create', { dir: peerDir, ...plan });
    for (const [index, { durability }] of MODES.entries()) {
      const dir = `${ours}-moved-${index}`;
      await cp(ours, dir, { recursive: true });
      const node = inProcess('actors.mjs');
      nodes.push(node);
      await node.ask('open', { dir, clusterId, durability, ...plan });
      await node.ask('move', { actors: plan.actors, inFlight: 64, count: warmUp });
    }
    for (let run = 1; run <= runs; run += 1) {
      progress(`transitions among ${plan.actors} actors: run ${run} of ${runs}`);
      for (const [index, { durability, inFlight }] of MODES.entries()) {
        const asked = { actors: plan.actors, inFlight, forMs };
        const moved = await nodes[index].ask('move', asked);
        await peer.ask('durable', { on: durability === 'fsync' });
        const peerMoved = await peer.ask('move', asked);
        const rate = perSecond(moved);
        const beside = perSecond(peerMoved);
        rates[index].ours.push(rate);
        rates[index].peer.push(beside);
        rates[index].ratio.push(rate / beside);
        rates[index].cpu.push(moved.cpuMs / moved.count);
        rates[index].peerCpu.push(peerMoved.cpuMs / peerMoved.count);
      }
    }
  } finally {
    await Promise.all([peer, ...nodes].map((child) => child.close()));
  }
  return MODES.map(({ name: mode }, index) => ({ mode, ...spreads(rates[index]) }));
}

async function openEmpty(child, dir) {
  await mkdir(dir, { mode: 0o700 });
  return child.ask('open', { dir, clusterId, actors: 0, found: true });
}

const inProcess = (file) => new Child(file, ['--expose-gc']);

/** What a process of its own answers, which ends then. */
async function inFresh(file, ask) {
  const child = inProcess(file);
  try {
    return await ask(child);
  } finally {
    await child.close();
  }
}

const spreads = (lists) =>
  Object.fromEntries(Object.entries(lists).map(([key, values]) => [key, spread(values)]));

export function lines({ actors, eventsEach, rates, restored: { ms, cpu, memory } }) {
  return [
    `${actors} actors with ${eventsEach} events each; ours keeps every event, plain XState the last snapshot in a file`,
    ...rates.flatMap(({ mode, ours, peer, ratio, cpu: busy, peerCpu }) => [
      [`ours ÷ plain, ${mode}`, ratio, '×', 2],
      ['  ours', ours, 'transitions/s', 0],
      ['  ours, processor time of all threads', busy, 'ms each', 2],
      ['  plain XState and a file', peer, 'transitions/s', 0],
      ['  plain, processor time of all threads', peerCpu, 'ms each', 2],
    ]),
    ['restore, ours: node open, actors to be asked for', ms.open, 'ms', 0],
    ['  then the first one asked for', ms.one, 'ms', 2],
    ['restore, ours: node open and all folded', ms.whole, 'ms', 0],
    ['  of it folding', ms.fold, 'ms', 0],
    ['restore, plain: all files read, all started', ms.peer, 'ms', 0],
    ['ours open ÷ plain', ms.openRatio, '×', 2],
    ['ours open and all folded ÷ plain', ms.ratio, '×', 2],
    ['processor time, ours: open', cpu.open, 'ms', 0],
    ['  then folding all', cpu.fold, 'ms', 0],
    ['processor time, plain: all', cpu.peer, 'ms', 0],
    ['ours open and folded ÷ plain, processor time', cpu.ratio, '×', 2],
    ['memory per actor, ours, open (RSS)', memory.unfolded, 'KB', 1],
    ['  more when folded (RSS)', memory.folded, 'KB', 1],
    ['  more when folded (JavaScript heap)', memory.foldedHeap, 'KB', 1],
    ['memory per actor, plain XState (RSS)', memory.peer, 'KB', 1],
    ['memory of an empty node (RSS, once)', memory.empty, 'MB', 0],
  ];
}
