import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/index.js';
import { Participation } from '../../src/bot/participation.js';
import { documentsObstacle } from '../../src/bot/documents-obstacle.js';
import { Fence } from '../../src/routing/fence.js';
import { systemClock } from '../../src/time/clock.js';
import { eventually, relay, sameHeads } from '../node/world.js';
import { currentActors } from './current-actors.js';
import { next } from './next-release.js';
import { Replica } from './release.js';

describe('a replica of an earlier release', () => {
  it('V-reader: reads documents that were migrated without it, writes none, says so, and owns nothing', async () => {
    const hub = await relay();
    const said: string[] = [];
    const log = { ...silentLog, error: (_: unknown, message: string) => void said.push(message) };
    const newer = await Replica.start('newer', hub, { found: true, schemas: next });
    const stale = await Replica.start('stale', hub, { log });
    const name = async (by: Replica, text: string, id: string) =>
      by.node.change([{ kind: 'room', key: 'matrix_room:!r:x', fields: { display_name: text } }], {
        id,
        ts: Date.now(),
      });
    await name(stale, 'before', '$1');
    await stale.node.actors.send('m/!r1:x', { type: 'NOTE' }, { cause: { id: '$n1', ts: Date.now() } });
    await eventually(() => sameHeads(stale.node, newer.node));
    stale.line.cut();
    await eventually(() => !stale.node.channel.connected());
    await name(stale, 'apart', '$2');
    stale.keyed.register('apart', 'v');
    await stale.node.actors.send('m/!r1:x', { type: 'NOTE' }, { cause: { id: '$n2', ts: Date.now() } });
    // The operator retires it, so that nobody waits for it.
    await newer.node.change([{ kind: 'member', key: 'member:stale', fields: { retired: true } }], {
      id: '$retire',
    });
    expect(await newer.node.migrations.run()).toMatchObject({ state: 'done', documents: 3 });
    expect(newer.told).toHaveLength(3);

    stale.line.mend();
    await eventually(() => stale.node.migrations.readOnly().length === 3);
    await eventually(() => sameHeads(stale.node, newer.node));
    const heads = () => JSON.stringify(stale.node.heads());
    const before = heads();
    await expect(name(stale, 'refused', '$3')).rejects.toMatchObject({ code: 'newer-schema' });
    await expect(
      stale.node.actors.send('m/!r1:x', { type: 'NOTE' }, { cause: { id: '$n3', ts: Date.now() } }),
    ).rejects.toMatchObject({ code: 'newer-schema' });
    expect(await stale.node.cutIfDue({ mayCut: () => true })).toBe(0);
    expect(stale.node.actorTurn('m/!r1:x', 0)).toBe(Infinity);
    expect(stale.node.cutTurn(0, 0)).toBe(Infinity);
    expect(heads()).toBe(before);
    // It still reads what it can.
    expect(stale.node.actors.snapshot('m/!r1:x').context).toEqual({ ids: ['$n1', '$n2'] });

    // What it wrote while apart counts, in the new form.
    await eventually(() => newer.node.read('room', 'matrix_room:!r:x') !== undefined);
    expect(newer.node.provenance('room', 'matrix_room:!r:x')?.['title']?.value).toEqual({ text: 'apart' });
    expect(newer.keyed.lookup('apart')).toBe('v');
    expect(newer.node.actors.snapshot('m/!r1:x').context).toEqual({ ids: ['$n1', '$n2'] });
    expect(await newer.node.migrations.run()).toMatchObject({ state: 'done', records: 1, backup: undefined });

    // A generation that the newer one begins is read as well.
    expect(await newer.node.cutIfDue({ mayCut: () => true })).toBe(1);
    await eventually(() => currentActors(stale.node).generation === 1);
    expect(stale.node.actors.snapshot('m/!r1:x').context).toEqual({ ids: ['$n1', '$n2'] });

    // It starts as a reader too, and says why.
    await stale.restart();
    expect(stale.node.status().state).toBe('ready');
    expect(said.some((message) => message.includes('migrated by a newer release'))).toBe(true);
    expect(said.some((message) => message.includes('not registered'))).toBe(true);
    expect(documentsObstacle(stale.node)).toMatch(/newer release.*update/);
    expect(documentsObstacle(newer.node)).toBeUndefined();
    const participation = new Participation({
      channel: stale.node.channel,
      clock: systemClock,
      fence: new Fence(systemClock, 3000, () => {}),
      leaseMs: 3000,
      heard: () => systemClock.monotonic(),
      newer: () => stale.node.actors.newer(),
      obstacle: () => documentsObstacle(stale.node),
    });
    participation.live = true;
    expect(participation.candidate()).toBe(false);

    // Updated, it writes again, and nothing is to be done by hand.
    await stale.restart({ schemas: next });
    await name(stale, 'again', '$4');
    await eventually(() => sameHeads(stale.node, newer.node));
    expect(newer.node.provenance('room', 'matrix_room:!r:x')?.['title']?.value).toEqual({ text: 'again' });
    await stale.close();
    await newer.close();
  }, 60_000);

  it('joins a cluster that was migrated long ago with an empty folder, as a reader', async () => {
    const hub = await relay();
    const newer = await Replica.start('newer', hub, { found: true, schemas: next });
    await newer.node.change([{ kind: 'room', key: 'matrix_room:!r:x', fields: { agent_id: 'echo' } }], {
      id: '$1',
    });
    expect(await newer.node.migrations.run()).toMatchObject({ state: 'done' });
    expect(await newer.node.replicated(30_000)).toBe(true);
    const stale = await Replica.start('stale', hub, {});
    await eventually(() => stale.node.read('room', 'matrix_room:!r:x')?.agent_id === 'echo');
    expect(stale.node.migrations.readOnly()).toHaveLength(3);
    await stale.close();
    await newer.close();
  });
});
