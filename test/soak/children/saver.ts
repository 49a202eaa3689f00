import { readdirSync, writeSync } from 'node:fs';
import { openNode, systemClock, type Log } from '../../../src/index.js';
import { type FileLayer, nodeFiles, type OpenFile } from '../../../src/storage/file-layer.js';
import { KEY, order, ORDER } from '../../actors/children/order.js';

/** Saves as fast as it can, and says each number that was acknowledged; its disk refuses writes now and then. */
const [dir = '', writers = '8', faults = 'on'] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);
const ROOMS = 64;

let isFailing = false;
let refused = 0;
const CODES = ['ENOSPC', 'EIO', 'EMFILE'];
const refuse = (): void => {
  if (!isFailing || Math.random() < 0.5) return;
  refused += 1;
  throw Object.assign(new Error('refused by the test'), { code: CODES[refused % CODES.length] });
};
const failing = <A extends unknown[], R>(act: (...args: A) => Promise<R>) =>
  (async (...args: A) => {
    refuse();
    return act(...args);
  }) as (...args: A) => Promise<R>;
const failingFile = (file: OpenFile): OpenFile => ({
  write: failing((bytes: Uint8Array) => file.write(bytes)),
  sync: failing(() => file.sync()),
  close: () => file.close(),
});
const { create, append, rename, syncFolder } = { ...nodeFiles };
Object.assign(nodeFiles, {
  create: async (path: string) => (refuse(), failingFile(await create(path))),
  append: async (path: string) => (refuse(), failingFile(await append(path))),
  rename: failing(rename),
  syncFolder: failing(syncFolder),
} satisfies Partial<FileLayer>);

const counts = { error: 0, warn: 0, cuts: 0 };
const log: Log = {
  debug: () => {},
  info: () => {},
  warn: () => void (counts.warn += 1),
  error: () => void (counts.error += 1),
  child: () => log,
};
const begin = performance.now();
const node = await openNode({
  clusterId: 'a-cluster-that-is-a-secret-of-this-test',
  dataDir: dir,
  relays: [],
  shards: 4,
  found: true,
  generations: { events: 200, everyMs: 2_000 },
  backups: { everyMs: 20_000, keep: 2 },
  log,
});
node.actors.register(order, ORDER);
const actor = node.actors.get(KEY);
const key = (room: number) => `matrix_room:!r${room}:x`;
const numberOf = (room: number) => Number(node.read('room', key(room))?.display_name ?? 0);
const numbers = Array.from({ length: ROOMS }, (_, room) => numberOf(room));
const items = () => (actor.snapshot()?.context as { items?: number } | undefined)?.items ?? 0;
say(`open ${JSON.stringify({ ms: Math.round(performance.now() - begin), numbers, items: items() })}`);

const latencies: number[] = [];
const timed = async (work: Promise<unknown>): Promise<void> => {
  const from = performance.now();
  await work;
  latencies.push(performance.now() - from);
};

async function saveRooms(writer: number, of: number): Promise<never> {
  for (let turn = 0; ; turn += 1) {
    const room = (writer + of * turn) % ROOMS;
    const n = (numbers[room] ?? 0) + 1;
    numbers[room] = n;
    say(`begun ${room} ${n}`);
    const cause = { id: `$${room}-${n}`, ts: Date.now() };
    const fields = { display_name: String(n) };
    await timed(node.change([{ kind: 'room', key: key(room), fields }], cause));
    say(`saved ${room} ${n}`);
  }
}

let adds = 0;
async function saveEvents(): Promise<never> {
  for (;;) {
    say('begun items');
    adds += 1;
    await timed(
      actor.send({ type: 'ADD' }, { cause: { id: `$add-${process.pid}-${adds}`, ts: Date.now() } }),
    );
    say('saved items');
  }
}

const of = Number(writers);
for (let writer = 0; writer < of; writer += 1) void saveRooms(writer, of);
void saveEvents();

if (faults === 'on') {
  systemClock.every(3_000, () => {
    isFailing = Math.random() < 0.3;
    if (isFailing) systemClock.after(300 + Math.random() * 700, () => void (isFailing = false));
  });
}
systemClock.every(1_000, () => {
  const { rss, heapUsed } = process.memoryUsage();
  const { generations } = node.counters();
  say(
    `figures ${JSON.stringify({
      rss,
      heapUsed,
      fds: readdirSync('/proc/self/fd').length,
      refused,
      errors: counts.error,
      cuts: generations.cuts,
      pending: node.storage().pendingWrites,
      latencies: latencies.splice(0).map((ms) => Math.round(ms * 10) / 10),
    })}`,
  );
});
process.on('SIGTERM', () => {
  void node.close().then(() => process.exit(0));
});
