import { next as A } from '@automerge/automerge';
import { deflateRawSync } from 'node:zlib';
import { expect } from 'vitest';
import { z } from 'zod';
import { encodeCbor } from '../../src/sync/codec.js';
import type { ConnectOptions } from '../../src/sync/connect.js';
import { encodeFrame, type FrameToRelay } from '../../src/sync/frame.js';
import { allOpen, cluster, connect, found, newId, repo, until } from './world.js';

/** `npm run soak` takes the long way. */
export const isSoak = process.env['UNDERSTUDY_SOAK'] === '1';

/** A line of the report: `npm run soak` prints those of a run together. */
export function report(what: string, figures: Record<string, number | string>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`soak: ${what}: ${text.join(', ')}\n`);
}

/** The seed of a run, printed so that a failing one can be had again with `FUZZ_SEED`. */
export function seedOfRun(): number {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  process.stdout.write(`FUZZ_SEED=${seed}\n`);
  return seed;
}

/** Two replicas on a relay that share a document, and a look whether they still converge. */
export async function watched(relay: { url: string; token?: string }, options: Partial<ConnectOptions> = {}) {
  const [alpha, beta] = [connect('alpha', [relay], options), connect('beta', [relay], options)];
  const id = newId();
  const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
  await allOpen(alpha, beta);
  const latencies: number[] = [];
  const stillConverge = async (): Promise<void> => {
    const mark = `mark ${Math.random()}`;
    const begin = performance.now();
    mine.change((doc) => void (doc['mark'] = mark));
    await until('they converge', () => theirs.doc()['mark'] === mark);
    latencies.push(performance.now() - begin);
    let heard = false;
    const stop = beta.channel.on('alive', z.string(), (text) => (heard ||= text === mark));
    alpha.channel.broadcast('alive', mark);
    await until('the channel works', () => heard);
    stop();
    expect([alpha.stats().lost, beta.stats().lost]).toEqual([0, 0]);
  };
  return {
    id,
    mine,
    theirs,
    stillConverge,
    /** Lets them converge again and again until `attack` is over; says how long it took them. */
    async whileAttacked(attack: Promise<unknown>): Promise<{ rounds: number; p50: string; worst: string }> {
      let isOver = false;
      const over = attack.finally(() => (isOver = true));
      latencies.length = 0;
      while (!isOver) await stillConverge();
      await over;
      await stillConverge();
      const sorted = latencies.toSorted((a, b) => a - b);
      const ms = (value: number | undefined) => `${Math.round(value ?? Number.NaN)} ms`;
      return { rounds: sorted.length, p50: ms(sorted[sorted.length >> 1]), worst: ms(sorted.at(-1)) };
    },
  };
}

/** A first sync message of someone who has this many changes. */
export function syncMessage(changes: number): Uint8Array {
  let doc = A.init<Record<string, number>>();
  for (let n = 0; n < changes; n += 1) doc = A.change(doc, { time: 0 }, (draft) => void (draft[`k${n}`] = n));
  const [, message] = A.generateSyncMessage(doc, A.initSyncState());
  return message!;
}

/** A sync message that brings one change; `damage` flips a bit of it, so that only its checksum is wrong. */
export function changesMessage(damage = false): Uint8Array {
  const doc = A.change(A.init<Record<string, string>>(), { time: 0 }, (draft) => {
    draft['text'] = 'some text that is long enough to be hit by a flipped bit';
  });
  const change = Uint8Array.from(A.getLastLocalChange(doc)!);
  if (damage) change[change.length - 20]! ^= 1;
  return A.encodeSyncMessage({ heads: A.getHeads(doc), need: [], have: [], changes: [change] });
}

/** Frames of every kind that a client may send, each then damaged by chance, some of them made of chance alone. */
export function mutator(random: () => number, id: string, check = cluster): () => Uint8Array {
  const below = (n: number) => Math.floor(random() * n);
  const samples: FrameToRelay[] = [
    ['hello', check, 'm', 'raw'],
    ['attach'],
    ['detach'],
    ['sync', id, syncMessage(3)],
    ['sync', id, changesMessage()],
    ['sync', newId(), changesMessage()],
    ['request', newId(), syncMessage(0)],
    ['doc-unavailable', id],
    ['ephemeral', id, 'm/raw', 'session', 1, encodeCbor({ a: 1 })],
    ['channel', null, 'm', 'raw', 1, 'topic', encodeCbor({ a: 1 })],
    ['channel', 'alpha', 'm', 'raw', 2, 'topic', encodeCbor([1, 2])],
    ['heads?', 1, [id, newId()]],
  ];
  const encoded = samples.map(encodeFrame);
  return () => {
    if (below(10) === 0) return Uint8Array.from({ length: below(300) }, () => below(256));
    const bytes = Uint8Array.from(encoded[below(encoded.length)]!);
    for (let flips = below(4); flips > 0; flips -= 1) bytes[below(bytes.length)] = below(256);
    return below(8) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
  };
}

/** A change that is small and inflates to `mb` megabytes, in a sync message. */
export function inflatingMessage(mb: number): Uint8Array {
  const leb = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...leb(Math.floor(value / 128))];
  const body = deflateRawSync(new Uint8Array(mb * 1024 * 1024), { level: 9 });
  const chunk = Buffer.concat([
    Buffer.from([0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 2, ...leb(body.length)]),
    body,
  ]);
  return Buffer.concat([Buffer.from([0x42, 0, 0, 0, 1, ...leb(chunk.length)]), chunk]);
}
