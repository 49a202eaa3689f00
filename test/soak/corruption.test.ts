import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Repo } from '@automerge/automerge-repo';
import type { StorageKey } from '@automerge/automerge-repo';
import { expect, it, onTestFinished } from 'vitest';
import { placeOfKey } from '../../src/storage/chunk-key.js';
import { ChunkReader } from '../../src/storage/chunk-reader.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { VerifiedChunks } from '../../src/storage/verified-chunks.js';
import { silentLog } from '../../src/telemetry/log.js';
import { seeded } from '../storage/random.js';
import { deadline, isSoak, say } from './time.js';

const DOCUMENTS = isSoak ? 40 : 4;
const START_EVERY_MS = 2_000;

interface Chunk {
  key: StorageKey;
  /** In the folder. */
  file: string;
  bytes: Uint8Array;
}

/** Documents with snapshots of about 20 kB and increments, each with its checksum beside it. */
async function bigFolder(dir: string): Promise<Chunk[]> {
  const storage = new DurableStorage({ dir, log: silentLog, durability: 'os' });
  const repo = new Repo({ storage });
  for (let n = 0; n < DOCUMENTS; n += 1) {
    const random = seeded(n + 1);
    const handle = repo.create<Record<string, unknown>>({ n });
    handle.change((doc) => {
      for (let row = 0; row < 600; row += 1) doc[`row ${row}`] = Math.floor(random() * 2 ** 40).toString(36);
    });
    await repo.flush();
    for (let more = 0; more < 3; more += 1) {
      handle.change((doc) => void (doc[`later ${more}`] = random()));
      await repo.flush();
    }
  }
  await storage.settled();
  const all = await storage.loadRange([]);
  await storage.close(AbortSignal.timeout(10_000));
  return all.map(({ key, data }) => ({
    key,
    file: join(...placeOfKey(key)),
    bytes: data ?? new Uint8Array(),
  }));
}

/** One real start over a copy of the folder in which one bit is another. */
async function startsWithout(
  dir: string,
  copy: string,
  chunk: Chunk,
  bit: number,
  all: Chunk[],
): Promise<void> {
  await rm(copy, { recursive: true, force: true, maxRetries: 10 });
  await cp(dir, copy, { recursive: true });
  const path = join(copy, chunk.file);
  await writeFile(path, flipped(await readFile(path), bit));
  const recovered: StorageKey[] = [];
  const storage = new DurableStorage({
    dir: copy,
    log: silentLog,
    onEvent: (event) => event.type === 'state:recovered' && recovered.push(event.key),
  });
  const found = await storage.loadRange([]);
  await storage.close(AbortSignal.timeout(10_000));
  const at = `${chunk.file}, bit ${bit}`;
  expect(recovered, at).toEqual([chunk.key]);
  expect(found.length, at).toBe(all.length - 1);
  const bytes = new Map(all.map((one) => [one.key.join('/'), one.bytes]));
  for (const { key, data } of found) expect(Buffer.compare(data!, bytes.get(key.join('/'))!), at).toBe(0);
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}

/** So that the n-th, for n from 0, comes to every number below `count` once, and soon to every part of them. */
function strideOver(count: number): (n: number) => number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let stride = Math.max(1, Math.floor(count * 0.618_033_988_75));
  while (common(stride, count) !== 1) stride += 1;
  return (n) => Number((BigInt(n) * BigInt(stride)) % BigInt(count));
}

it('every bit of a big folder flipped: each is seen before anything reads it', async () => {
  const base = await mkdtemp(join(tmpdir(), 'understudy-soak-'));
  onTestFinished(() => rm(base, { recursive: true, force: true, maxRetries: 10 }));
  const dir = join(base, 'data');
  const chunks = await bigFolder(dir);
  const sums = (await readdir(join(dir, 'checksums'))).map((name) => join('checksums', name));
  const files = [...chunks.map(({ file }) => file), ...sums];
  const contents = await Promise.all(files.map((file) => readFile(join(dir, file))));
  const until = deadline(3_000);

  // Reads what is in memory: one bit of one file is another.
  let [changedFile, changedBytes]: [string, Uint8Array] = ['', new Uint8Array()];
  const read = (path: string) =>
    path === changedFile ? Promise.resolve(changedBytes) : nodeFiles.read(path);
  const reader = new VerifiedChunks(new ChunkReader(dir, { ...nodeFiles, read }));
  const chunkOf = (index: number): Chunk | undefined =>
    chunks[index] ?? chunks.find(({ file }) => files[index]?.endsWith(file.split('/').at(-1) ?? '?'));

  const starts = contents.map((_, index) =>
    contents.slice(0, index).reduce((sum, { length }) => sum + length * 8, 0),
  );
  const bits = contents.reduce((sum, { length }) => sum + length * 8, 0);
  const nth = strideOver(bits);
  const counts = { seen: 0, harmless: 0, missed: 0, starts: 0 };
  const missed: string[] = [];
  const figures = (flips: number) => ({
    files: files.length,
    bytes: bits / 8,
    flips,
    of: bits,
    'seen by its checksum or content': counts.seen,
    'in a checksum, the chunk whole': counts.harmless,
    'not seen': counts.missed,
    'real starts': counts.starts,
  });
  let nextStart = performance.now();
  let flips = 0;
  /** What it is to be about, however little a busy machine does in its time. */
  const isEnough = () => counts.seen > 100 && counts.starts > 0;
  for (; flips < bits && (performance.now() < until || !isEnough()); flips += 1) {
    const at = nth(flips);
    let index = starts.findLastIndex((start) => start <= at);
    while (contents[index]?.length === 0) index -= 1;
    const bit = at - (starts[index] ?? 0);
    const [file, bytes] = [files[index] ?? '', contents[index] ?? Buffer.alloc(0)];
    const chunk = chunkOf(index);
    if (chunk === undefined) throw new Error(`${file} belongs to no chunk`);
    [changedFile, changedBytes] = [join(dir, file), flipped(bytes, bit)];
    const look = await reader.look(chunk.key);
    if (index < chunks.length && look.state !== 'good') counts.seen += 1;
    else if (
      index >= chunks.length &&
      (look.state !== 'good' || Buffer.compare(look.bytes, chunk.bytes) === 0)
    ) {
      counts.harmless += 1;
    } else {
      counts.missed += 1;
      missed.push(`${file}, bit ${bit}`);
    }
    if (performance.now() >= nextStart && index < chunks.length) {
      await startsWithout(dir, join(base, 'copy'), chunk, bit, chunks);
      counts.starts += 1;
      nextStart = performance.now() + START_EVERY_MS;
    }
    say('corruption', figures(flips + 1));
  }
  say('corruption', figures(flips), true);
  expect(missed).toEqual([]);
  expect(counts.seen).toBeGreaterThan(100);
  expect(counts.starts).toBeGreaterThan(0);
}, 86_400_000);
