import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.mjs';
import { roomWrite } from './children/records.mjs';
import { progress } from './progress.mjs';
import { clusterId } from './rooms-folder.mjs';
import { spread } from './statistics.mjs';

/** Aim: this many times the changes per second of the peer. */
const AIM_RATIO = 20;
const IN_FLIGHT = [1, 16, 256];

export const name = 'changes';

/**
 * Durable changes per second on a node that holds many rooms, against `SimpleFsStorageProvider` of matrix-bot-sdk
 * with as many keys. Ours resolves after fsync, with who and when of every field; the peer writes its whole file for
 * each change, without fsync, and stores the plain fields only. Both sides run by turns.
 */
export async function measure({ scratch, rooms, folder, quick }) {
  const runs = quick ? 3 : 5;
  const forMs = quick ? 1000 : 3000;
  const ours = new Child('state.mjs');
  const peer = new Child('simple-fs.mjs');
  const rates = { peer: [], ...Object.fromEntries(IN_FLIGHT.map((inFlight) => [inFlight, []])) };
  try {
    await ours.ask('open', { dir: await folder.copy('changes'), clusterId });
    const values = await openPeer(peer, join(scratch, 'simple-fs'), rooms);
    await ours.ask('change', { rooms, count: 100, inFlight: 16 });
    for (let run = 1; run <= runs; run += 1) {
      progress(`durable changes at ${rooms} rooms: run ${run} of ${runs}`);
      for (const inFlight of IN_FLIGHT) {
        rates[inFlight].push(perSecond(await ours.ask('change', { rooms, count: 1e6, inFlight, forMs })));
      }
      const keys = Array.from({ length: 97 }, (_, index) => keyOf((index * 7919 + run) % rooms));
      rates.peer.push(perSecond(await peer.ask('change', { keys, values, count: 1e6, forMs })));
    }
  } finally {
    await Promise.all([ours.close(), peer.close()]);
  }
  const inFlight = IN_FLIGHT.map((count) => ({
    count,
    perSecond: spread(rates[count]),
    ratio: spread(rates[count].map((rate, index) => rate / rates.peer[index])),
  }));
  return {
    runs,
    rooms,
    inFlight,
    peer: { perSecond: spread(rates.peer) },
    aims: inFlight.map(({ count, ratio }) => ({
      aim: `${AIM_RATIO} × SimpleFsStorageProvider at ${rooms} keys, ${count} in flight`,
      measured: `${ratio.median.toFixed(1)} ×`,
      met: ratio.median >= AIM_RATIO,
    })),
  };
}

export function lines({ inFlight, peer }) {
  return [
    'ours is on disk (fsync) when it counts; SimpleFsStorageProvider never syncs',
    ...inFlight.map(({ count, ratio }) => [`ours ÷ SimpleFs, ${count} in flight`, ratio, '×', 1]),
    ...inFlight.map(({ count, perSecond: rate }) => [`ours, ${count} in flight`, rate, 'changes/s', 0]),
    ['SimpleFsStorageProvider', peer.perSecond, 'changes/s', 1],
  ];
}

const perSecond = ({ count, ms }) => (count / ms) * 1000;
const keyOf = (index) => roomWrite(index).write.key;
const valueOf = (index) => JSON.stringify(roomWrite(index).write.fields);

/** Filling it through its own API writes the whole file 20,000 times; so its file is made, in its own format. */
async function openPeer(peer, dir, rooms) {
  await mkdir(dir);
  const file = join(dir, 'bot.json');
  const kvStore = Object.fromEntries(
    Array.from({ length: rooms }, (_, index) => [keyOf(index), valueOf(index)]),
  );
  const empty = { syncToken: null, filter: null, appserviceUsers: {}, appserviceTransactions: {} };
  await writeFile(file, JSON.stringify({ ...empty, kvStore }, null, 2));
  await peer.ask('open', { file });
  if ((await peer.ask('read', { key: keyOf(rooms - 1) })) !== valueOf(rooms - 1)) {
    throw new Error('SimpleFsStorageProvider does not read the file that was made for it');
  }
  return Array.from({ length: 89 }, (_, index) => valueOf(index));
}
