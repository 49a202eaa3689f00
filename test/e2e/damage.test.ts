import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askControl, controlPath } from '../../src/telemetry/control.js';
import { cluster, type Cluster, type Replica } from '../world/cluster.js';
import { atRest, drill, heads, invoked, records, sameHeads } from '../world/inside.js';
import { isAnswered } from '../world/judge.js';
import { SmallDisk, whyNotMount } from '../world/small-disk.js';
import { everyRoomIsJudged } from '../world/watch.js';

/**
 * Prompts that the replica has begun when it dies: nobody else is there to finish them. Where the machine was so slow
 * that one of them was answered by then, it is done once more, with more time.
 */
async function diesAtWork(world: Cluster, replica: Replica, rooms: string[]): Promise<void> {
  for (let seconds = 2; seconds < 100; seconds *= 2) {
    const before = await world.invocations();
    const asked = await Promise.all(
      rooms.map((room) => world.ask(room, (token) => `wait ${seconds} ${token}`)),
    );
    await invoked(world, before + rooms.length);
    await replica.kill();
    const histories = await Promise.all(rooms.map((room) => world.alice.history(room)));
    if (!asked.some((one, n) => isAnswered(histories[n] ?? [], world.bot.userId, one))) return;
    await replica.start();
    await world.answered();
  }
  throw new Error('no run was long enough to die in its middle');
}

async function flip(path: string, at: (bytes: Buffer) => number): Promise<void> {
  const bytes = await readFile(path);
  const where = at(bytes);
  expect(where).toBeGreaterThan(0);
  bytes.writeUInt8(bytes.readUInt8(where) ^ 1, where);
  await writeFile(path, bytes);
}

const saying = (replica: Replica, text: string) =>
  replica.lines.filter((line) => line.text.includes(text)).length;

test('a replica alone starts over a damaged journal, id file and lock, and answers what it had begun, once', async () => {
  const world = await cluster({ replicas: 1, agents: drill });
  const rooms = [await world.room(), await world.room()];
  await world.answered();
  const replica = world.replica(0);
  const restart = async (said: string): Promise<void> => {
    await replica.start();
    await replica.line(({ text }) => text.includes(said), { from: 0 });
    await world.answered(240_000);
  };

  // The line of a prompt that is not answered yet: the position that stands behind it is not to be trusted.
  await diesAtWork(world, replica, rooms);
  await flip(join(replica.dir, 'delivery.journal'), (bytes) => bytes.lastIndexOf('"t":"source"') + 6);
  await restart('journal: corrupt lines left out');

  await diesAtWork(world, replica, rooms);
  await rm(join(replica.dir, 'delivery.journal'));
  await mkdir(join(replica.dir, 'delivery.journal'));
  await restart('journal: a folder stood in its place');

  await diesAtWork(world, replica, rooms);
  await flip(join(replica.dir, 'replica.json'), (bytes) => bytes.indexOf('replica-') + 3);
  await writeFile(join(replica.dir, 'matrix.json'), '{"homeserver": ');
  await writeFile(join(replica.dir, 'lock'), '');
  await restart('no replica.json that can be read');
  const kept = (await readdir(replica.dir)).filter((name) => name.includes('quarantine'));
  const journals = ['delivery.journal', 'delivery.journal'];
  expect(kept.map((name) => name.split('.quarantine')[0] ?? '').toSorted()).toEqual([
    ...journals,
    ...['lock', 'matrix.json', 'replica.json'],
  ]);
  expect((await records(replica, 'member:')).length).toBe(1);
  await world.watch('damaged files of a replica alone');
});

test('a replica whose cluster document is damaged waits for the others, who answer meanwhile, and has everything', async () => {
  const world = await cluster({ replicas: 2, agents: drill, gates: true });
  const room = await world.room();
  await world.ask(room);
  await world.answered();
  await atRest(world);
  const replica = world.replica(0);
  const { documents } = (await askControl(controlPath(replica.dir), 'heads')) as {
    documents: { name: string; id: string }[];
  };
  const id = documents.find(({ name }) => name === 'cluster')?.id ?? '';
  await replica.kill();
  const folder = join(replica.dir, 'documents', id.slice(0, 2), id.slice(2));
  const chunks = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((one) =>
    one.isFile(),
  );
  for (const one of chunks) await flip(join(one.parentPath, one.name), (bytes) => bytes.length >> 1);
  await rm(join(replica.dir, 'backups'), { recursive: true, force: true, maxRetries: 10 });
  replica.cutOff();
  const from = replica.lines.length;
  replica.launch();
  await replica.line(({ fields }) => fields?.['state'] === 'waiting-for-peers', { from });
  expect(saying(replica, 'stored chunk is corrupt')).toBe(chunks.length);
  await world.ask(room);
  await world.answered();
  replica.rejoin();
  await replica.ready();
  await sameHeads(world);
  await world.ask(room);
  await world.watch('a damaged cluster document');
});

const why = whyNotMount();

test.skipIf(why !== undefined)(
  `a replica whose disk is full: the others answer, it says so and shows what it knows, and writes all when there is room${why === undefined ? '' : ` (skipped: ${why})`}`,
  async () => {
    // Not about timing: the others take over in seconds, on a busy machine too.
    const unhurried = { lease: '3s', heartbeat: '500ms', patience: '5s' };
    const world = await cluster({ replicas: 2, started: 0, agents: drill, ...unhurried });
    const [full, other] = [world.replica(0), world.replica(1)];
    const disk = SmallDisk.mount(full.dir, '24m');
    await Promise.all([full.start(), other.start()]);
    const rooms = [await world.room(), await world.room(), await world.room()];
    await world.answered(240_000);
    await sameHeads(world);

    await disk.fill();
    for (const room of rooms) await world.ask(room);
    await world.answered(240_000);
    for (const room of rooms) await world.ask(room, (token) => `wait 1 ${token}`);
    await world.alice.eventually('it says that it is not ready, and why', async () => {
      await disk.fill();
      const page = await full.page('/readyz');
      return page?.status === 503 && page.text.includes('cannot be written');
    });
    await world.answered(240_000);
    // From memory, with what came while nothing could be kept.
    await sameHeads(world);
    expect((await records(full, 'matrix_room:')).length).toBeGreaterThanOrEqual(rooms.length);

    await disk.makeRoom();
    await full.ready();
    await sameHeads(world);
    await other.kill();
    await world.relays[0]!.kill();
    // Nothing comes any more, and what it was still writing it has written.
    await atRest(world);
    const before = await heads(full);
    await full.kill();
    await full.start();
    const after = await heads(full);
    for (const line of before.split('\n')) {
      if (!line.startsWith('cluster')) expect(after).toContain(line);
    }
    await Promise.all([world.relays[0]!.start(), other.start()]);
    for (const room of rooms) await world.ask(room);
    await world.answered(240_000);
    await full.kill();
    disk.unmount();
    await world.watch('a full disk');
  },
);

everyRoomIsJudged();
