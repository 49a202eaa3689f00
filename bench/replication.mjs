import { join } from 'node:path';
import { Child } from './child.mjs';
import { progress } from './progress.mjs';
import { clusterId } from './rooms-folder.mjs';
import { freePort } from '../dist/dev/port.js';
import { Service } from './service.mjs';
import { latencies, spread } from './statistics.mjs';

/** Aim: within this many times the bare relay's latency, at the median. */
const AIM_RATIO = 3;

export const name = 'replication';

/**
 * One-way latency of a change from one node to the other over `understudy relay`, and of the same bytes over a relay
 * that only forwards: each node, client and relay is a process of its own. Ours counts from the call of `change` to
 * the other node's `onChange`; bare, from `send` to the message. Both sides run by turns.
 */
export async function measure({ scratch, quick }) {
  const pace = [
    { everyMs: 150, count: quick ? 20 : 60 },
    { everyMs: 20, count: quick ? 50 : 250 },
  ];
  const runs = quick ? 3 : 5;
  const result = { runs, pace: [] };
  const opened = [];
  try {
    const ours = await openOurs(scratch, opened);
    const bare = await openBare(opened);
    await oursOnce(ours, { everyMs: 20, count: 50 });
    for (const { everyMs, count } of pace) {
      const sides = { ours: [], bare: [] };
      let frameBytes = 0;
      for (let run = 1; run <= runs; run += 1) {
        progress(`replication, a change every ${everyMs} ms: run ${run} of ${runs}`);
        const { times, frames } = await oursOnce(ours, { everyMs, count });
        sides.ours.push(latencies(times));
        sides.bare.push(latencies(await bareOnce(bare, { everyMs, frames })));
        frameBytes = frames.reduce((sum, frame) => sum + Buffer.byteLength(frame, 'base64'), 0) / count;
      }
      result.pace.push({
        everyMs,
        changesPerRun: count,
        frameBytes: Math.round(frameBytes),
        ...summary(sides),
      });
    }
  } finally {
    await Promise.all(opened.map((one) => one.close()));
  }
  result.aims = result.pace.map(({ everyMs, ratioP50 }) => ({
    aim: `p50 within ${AIM_RATIO} × the bare relay, a change every ${String(everyMs)} ms`,
    measured: `${ratioP50.median.toFixed(2)} ×`,
    met: ratioP50.median <= AIM_RATIO,
  }));
  return result;
}

export function lines({ pace }) {
  return pace.flatMap(({ everyMs, changesPerRun, frameBytes, ratioP50, ratioP95, ours, bare }) => [
    `a change every ${everyMs} ms, ${changesPerRun} per run, ${frameBytes} bytes each on the wire`,
    ['ours ÷ bare relay, p50', ratioP50, '×', 2],
    ['ours ÷ bare relay, p95', ratioP95, '×', 2],
    ['ours, p50', ours.p50, 'ms', 2],
    ['ours, p95', ours.p95, 'ms', 2],
    ['bare relay, p50', bare.p50, 'ms', 2],
    ['bare relay, p95', bare.p95, 'ms', 2],
  ]);
}

function summary({ ours, bare }) {
  const each = (side, share) => spread(side.map((run) => run[share]));
  const ratio = (share) => spread(ours.map((run, index) => run[share] / bare[index][share]));
  return {
    ratioP50: ratio('p50'),
    ratioP95: ratio('p95'),
    ours: { p50: each(ours, 'p50'), p95: each(ours, 'p95') },
    bare: { p50: each(bare, 'p50'), p95: each(bare, 'p95') },
  };
}

async function openOurs(scratch, opened) {
  const port = await freePort();
  const relay = await Service.start('relay', {
    UNDERSTUDY_CLUSTER_ID: clusterId,
    UNDERSTUDY_RELAY_PORT: String(port),
    UNDERSTUDY_DATA_DIR: join(scratch, 'replication-relay'),
  });
  const nodes = [new Child('node.mjs'), new Child('node.mjs')];
  opened.push(relay, ...nodes);
  for (const [index, node] of nodes.entries()) {
    await node.ask('open', {
      dir: join(scratch, `replication-${index}`),
      relay: { url: `ws://127.0.0.1:${port}` },
      clusterId,
      replica: `node-${index}`,
    });
  }
  for (const what of ['others', 'synced']) await Promise.all(nodes.map((node) => node.ask(what)));
  const [sender, receiver] = nodes;
  return { sender, receiver, written: 0 };
}

/** Latencies of new changes, and the frames that carried them. */
async function oursOnce(ours, { everyMs, count }) {
  await ours.receiver.ask('take');
  const sent = await ours.sender.ask('write', { first: ours.written, count, everyMs });
  ours.written += count;
  await ours.receiver.ask('synced');
  const { seen, frames } = await ours.receiver.ask('take');
  const shown = new Map(seen);
  const times = sent.map(([key, at]) => shown.get(key) - at);
  if (times.some(Number.isNaN)) throw new Error('a change did not reach the other node');
  return { times, frames };
}

async function openBare(opened) {
  const [relay, sender, receiver] = [
    new Child('bare-relay.mjs'),
    new Child('bare-client.mjs'),
    new Child('bare-client.mjs'),
  ];
  opened.push(relay, sender, receiver);
  const url = await relay.ask('url');
  for (const client of [sender, receiver]) await client.ask('open', { url });
  return { sender, receiver };
}

async function bareOnce({ sender, receiver }, { everyMs, frames }) {
  await receiver.ask('take');
  const sent = await sender.ask('send', { frames, everyMs });
  const received = await receiver.ask('take');
  if (received.length !== sent.length) throw new Error('the bare relay lost a message');
  return received.map((at, index) => at - sent[index]);
}
