import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import type { Plan } from './children/actor-child.js';
import { changing, forEachOf, oneOfEach, takesAll } from './children/each.js';
import { onDisk } from './children/on-disk.js';
import { KEY, ORDER, order } from './children/order.js';

const children = compiledChildren('test/actors/children', ['actor-child']);
const run = (plan: Plan) => startChild(children.path('actor-child'), [JSON.stringify(plan)]);

/** A replica's folder in which the order has that many events; gives their causes. */
async function prepared(events: number): Promise<{ dir: string; ids: string[] }> {
  const dir = await folder();
  const one = await node([], { dataDir: dir, found: true, shards: 1, durability: 'fsync' });
  one.actors.register(order, ORDER);
  const ids = Array.from({ length: events }, (_, index) => `$before${index}`);
  for (const id of ids) {
    await one.actors.get(KEY).send({ type: 'ADD', items: 2 }, { cause: { id, ts: Date.now() } });
  }
  await one.close();
  return { dir, ids };
}

/** The file calls of one transition in a copy of a folder; undefined when the child died at one of them. */
async function transition(
  from: string,
  die: Plan['die'],
): Promise<{ dir: string; calls?: string[]; acknowledged: boolean }> {
  const dir = join(await folder(), 'data');
  await cp(from, dir, { recursive: true });
  const child = run({
    dir,
    send: [{ id: '$killed', event: { type: 'ADD', items: 5 } }],
    ...(die && { die }),
  });
  const end = await child.ended;
  const said = child.lines.find((line) => line.startsWith('calls '));
  expect(end).toBe(said === undefined ? 'SIGKILL' : 0);
  const acknowledged = child.lines.includes('sent $killed');
  return { dir, acknowledged, ...(said !== undefined && { calls: JSON.parse(said.slice(6)) as string[] }) };
}

describe('killed at every file call of a transition', () => {
  it.each([
    ['the first of an actor, with the upgrade before it', 'nothing'],
    ['one that adds to what is on disk', 'increment'],
    ['one that puts a new snapshot in the place of all before', 'compaction'],
  ] as const)(
    '%s: it is on disk whole or not at all, and counts once when sent again',
    async (_, before) => {
      const { from, ids, calls } = await begin(before);
      expect(calls).toEqual(expect.arrayContaining(['file.write', 'file.sync', 'rename', 'syncFolder']));
      const counted = { survived: 0, lost: 0 };
      await forEachOf(oneOfEach(4, changing(calls)), async (call) => {
        const { dir, acknowledged } = await transition(from, { at: 'sent', call });
        const disk = await onDisk(dir);
        const own = disk.events.map(({ id }) => id).filter((id) => id !== 'upgrade/2');
        const there = own.length > ids.length;
        expect(own).toEqual([...ids, ...(there ? ['$killed'] : [])]);
        if (acknowledged) expect(there).toBe(true);
        counted[there ? 'survived' : 'lost'] += 1;

        const again = await node([], { dataDir: dir, shards: 1 });
        again.actors.register(order, ORDER);
        const actor = again.actors.get(KEY);
        expect(actor.snapshot()).toMatchObject(disk.folded);
        await actor.send({ type: 'ADD', items: 5 }, { cause: { id: '$killed', ts: Date.now() } });
        expect(actor.snapshot().context).toMatchObject({ items: ids.length * 2 + 5 });
        await again.close();
        expect((await onDisk(dir)).folded).toMatchObject({ context: { items: ids.length * 2 + 5 } });
      });
      expect(counted.lost).toBeGreaterThan(takesAll ? 3 : 0);
      expect(counted.survived).toBeGreaterThan(0);
    },
    120_000,
  );
});

/**
 * A folder whose next transition is the first of its actor, is added to what is on disk, or takes the place of all that
 * is there; and the file calls of that transition.
 */
async function begin(
  before: 'nothing' | 'increment' | 'compaction',
): Promise<{ from: string; ids: string[]; calls: string[] }> {
  const tries = before === 'nothing' ? [0] : [16, 17, 18, 19, 20, 21, 22, 23];
  for (const events of tries) {
    const { dir: from, ids } = await prepared(events);
    const { calls = [] } = await transition(from, { at: 'sent' });
    if (before === 'nothing' || calls.includes('remove') === (before === 'compaction'))
      return { from, ids, calls };
  }
  throw new Error(`no transition is a ${before}`);
}
