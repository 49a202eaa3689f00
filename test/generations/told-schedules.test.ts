import { expect, it } from 'vitest';
import { putRecord } from '../../src/documents/document.js';
import { documentId } from '../../src/documents/ids.js';
import { shardIndex } from '../../src/documents/placement.js';
import type { Action, Heard } from './shards-actions.js';
import { ShardsWorld } from './shards-world.js';

/** Schedules that somebody thought of, and that lost events once. */
const DAY = 24 * 60 * 60_000;
const send = (replica: number, ageMs = 0): Action => ({
  do: 'send',
  replica,
  room: 0,
  again: undefined,
  ageMs,
});
const sync = (from: number, to: number, what: Heard = 'all'): Action => ({ do: 'sync', from, to, what });
const cut = (replica: number): Action => ({ do: 'cut', replica, shards: [0], archiveMs: 0 });
const pass = (ms: number): Action => ({ do: 'pass', ms });
/** A person whose actors are not in the first shard of three. */
const ELSEWHERE = ['@a:x', '@b:x', '@c:x', '@d:x'].find((one) => shardIndex(one, 3) !== 0) as string;
const apart: Action = { do: 'partition', sides: [true, true, false] };
const heal: Action = { do: 'heal' };

async function inWorld(body: (world: ShardsWorld) => Promise<void>): Promise<void> {
  const world = new ShardsWorld({ clockErrors: [0, 0, 0] });
  try {
    await body(world);
    await world.comeToRest();
  } finally {
    world.close();
  }
}

const told = (...actions: Action[]): Promise<void> => inWorld((world) => world.run(actions));

it('A6-heads: an event that a member took over and said so is not below the horizon of the next cut', () =>
  told(
    apart,
    send(2, 8 * DAY + 1000),
    send(0, 8 * DAY),
    ...[sync(0, 1), pass(200), cut(0), pass(200)],
    heal,
    // Both move; the third one takes its event over, on disk, and says so.
    ...[sync(0, 1), sync(0, 2), pass(200), sync(1, 0, 'cluster'), sync(2, 0, 'cluster'), pass(200)],
    ...[send(0), pass(200), cut(0), pass(200)],
  ));

it('A6-instant: nor is one that came, with the settling, while the cut waited for its disk', () =>
  told(
    apart,
    ...[send(2, 8 * DAY + 1000), send(0, 8 * DAY), sync(0, 1), pass(200), cut(0), pass(200)],
    heal,
    ...[sync(0, 1), sync(0, 2), pass(200), sync(1, 0, 'cluster'), pass(200), send(0), pass(200)],
    ...[{ do: 'stall', replica: 0 } as const, send(0), cut(0)],
    ...[sync(2, 1, 'cluster'), pass(200), sync(0, 1, 'cluster'), pass(200)],
    ...[sync(2, 0), sync(1, 0, 'cluster'), pass(50)],
    ...[{ do: 'thaw', replica: 0 } as const, pass(1000)],
  ));

it('A6-retired: nor is one of a member that was retired between the two', () =>
  told(
    apart,
    ...[send(2, 8 * DAY + 1000), send(0, 8 * DAY), sync(0, 1), pass(200), cut(0), pass(200)],
    heal,
    ...[sync(0, 1), sync(0, 2), pass(200), sync(1, 0, 'cluster'), sync(2, 0, 'cluster'), pass(200)],
    ...[{ do: 'retire', replica: 0, who: 2 } as const, pass(200), send(0), pass(200), cut(0), pass(200)],
  ));

it.each([1, 8])(
  'A6-back: who was away for %i days does not settle its own cut by itself',
  (days) =>
    told(
      apart,
      ...[send(2), pass(200), cut(2), pass(1000), { do: 'kill', replica: 2 } as const],
      ...[send(0), sync(0, 1), pass(200), cut(0), pass(200), sync(0, 1), pass(200), sync(1, 0), pass(200)],
      pass(days * DAY),
      { do: 'seen', replica: 0 },
      { do: 'seen', replica: 1 },
      ...[sync(0, 1), sync(1, 0), sync(0, 1), pass(200), sync(0, 1), sync(1, 0), pass(61_000)],
      ...[sync(0, 1), sync(1, 0), pass(61_000)],
      { do: 'start', replica: 2 },
      heal,
    ),
  // Eight days have many timers.
  300_000,
);

it('A6-record: what is durable in the next generation does not outlive the record of its cut', () =>
  inWorld(async (world) => {
    const cluster = documentId('schedules', { kind: 'cluster', index: 0, generation: 0 });
    const { disk } = world.replicas[0]!;
    const make = disk.adapter.bind(disk);
    let isStuck = false;
    disk.adapter = () => {
      const adapter = make();
      // The disk refuses one file of several that are written side by side.
      const save: typeof adapter.save = (key, data) =>
        isStuck && key[0] === cluster ? new Promise(() => {}) : adapter.save(key, data);
      return { ...adapter, save };
    };
    await world.run([send(0), pass(200), sync(0, 1), sync(0, 2), pass(200)]);
    isStuck = true;
    await world.run([cut(0), send(0), pass(50), { do: 'kill', replica: 0 }]);
    isStuck = false;
  }));

it('A6-mixed: a shard that holds actors of another place is not cut, also where nothing was heard of a second founding', async () => {
  const world = new ShardsWorld({ clockErrors: [0, 0, 0] });
  await world.run([send(0), pass(200)]);
  const { documents } = world.replicas[0]!.process!;
  const document = documents.named({ kind: 'actors', index: 0, generation: 0 })!;
  const event = { value: { type: 'E', ts: 1 }, stamp: 1, cause: '$other' };
  const elsewhere = `event:m/${ELSEWHERE} $other`;
  documents.surface.change(document, '', [], (draft) => {
    putRecord(draft, 'event', elsewhere, new Map([['event', event]]));
  });
  await world.run([cut(0), pass(1000)]);
  expect(world.counts.cuts).toBe(0);
  world.close();
});

it.each([160, 180, 200, 220, 240])(
  'A6-tidy: a generation goes by the line that what was taken over of it counts in, %i ms',
  (ms) =>
    inWorld(async (world) => {
      const { disk } = world.replicas[2]!;
      const make = disk.adapter.bind(disk);
      disk.adapter = () => {
        const adapter = make();
        const save: typeof adapter.save = async (key, data) => {
          await new Promise<void>((resolve) => void world.clock.after(50, resolve));
          await adapter.save(key, data);
        };
        return { ...adapter, save };
      };
      const steps = Array.from({ length: ms / 20 }, () => [send(2), pass(20)]).flat();
      await world.run([
        apart,
        ...[send(2), pass(500), cut(2), pass(1000), send(2), pass(500)],
        { do: 'retire', replica: 0, who: 2 },
        ...[send(0), sync(0, 1), pass(200), cut(0), pass(200), sync(0, 1), pass(200), sync(1, 0)],
        ...[pass(200), sync(0, 1), pass(200)],
        heal,
        ...[cut(2), ...steps, sync(0, 2, 'cluster'), pass(10), pass(1000)],
      ]);
    }),
);
