import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  applyJournal,
  emptyJournal,
  forgetPosition,
  journalEntry,
  journalSnapshot,
} from '../../../src/bot/journal.js';
import { openNode, openTasks, type Log } from '../../../src/index.js';
import { openJournal } from '../../../src/storage/journal.js';
import { controlPath, startControl } from '../../../src/telemetry/control.js';
import { KEY, order, ORDER } from '../../actors/children/order.js';
import type { Holds, Plan } from '../plan.js';

/** A replica of everything but Matrix: documents, tasks, a keyed store, the journal, the control socket. */
const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const say = (what: string, value: unknown) => writeSync(1, `${what} ${JSON.stringify(value)}\n`);

const said = (error: unknown): unknown => (error instanceof Error ? error.message : error);
const logAt = (level: string) => (fields: object, message: string) =>
  say('log', { level, message, ...fields, ...('err' in fields && { err: said(fields.err) }) });
const log: Log = {
  debug: () => {},
  info: logAt('info'),
  warn: logAt('warn'),
  error: logAt('error'),
  child: () => log,
};

try {
  const node = await openNode({
    clusterId: plan.cluster,
    dataDir: plan.dir,
    relays: plan.relays,
    shards: 2,
    found: plan.found,
    backups: { everyMs: 0 },
    log,
    onStatus: (status) => say('status', status),
  });
  node.actors.register(order, ORDER);
  const tasks = await openTasks(node, { dir: plan.dir, log });
  const votes = await node.openKeyedStore<number>({
    namespace: 'votes',
    class: 'durable',
    ttl: 24 * 60 * 60_000,
    maxEntries: 100,
    persistent: true,
    shape: z.number(),
  });
  const journal = await openJournal({
    file: join(plan.dir, 'delivery.journal'),
    entry: journalEntry,
    initial: emptyJournal,
    apply: applyJournal,
    snapshot: journalSnapshot,
    afterDamage: forgetPosition,
    log,
  });
  const holds = (): Holds => ({
    replica: node.self.replica,
    rooms: [...node.entries('room')].map(([key]) => key).sort(),
    tasks: tasks
      .loadTasks()
      .map(({ id }) => id)
      .sort(),
    votes: votes
      .entries()
      .map(({ key }) => key)
      .sort(),
    order: JSON.stringify(node.actors.get(KEY).snapshot()?.context ?? null),
    journal: { position: journal.state.position, sources: [...journal.state.sources.keys()] },
    heads: Object.fromEntries(node.heads().map(({ name, heads }) => [name, heads])),
    ids: Object.fromEntries(node.heads().map(({ name, id }) => [name, id])),
  });
  const line = (message: string) => ({
    timestamp: Date.now(),
    level: 'info' as const,
    type: 'step',
    message,
  });
  if (plan.fill === true) {
    // Documents above a kilobyte, of what cannot be compressed, so that what follows is saved as increments.
    const filler = Array.from({ length: 24 }, (_, n) => ({
      kind: 'room' as const,
      key: `matrix_room:!f${n}:x`,
      fields: { display_name: randomBytes(120).toString('base64') },
    }));
    await node.change(filler, { id: '$filler', ts: 1_000 });
    for (let n = 0; n < 24; n += 1) {
      const mark = { kind: 'mark' as const, key: `mark:!f${n}:x $${randomBytes(60).toString('hex')}` };
      await node.change([{ ...mark, fields: { settled_at: 1_000 } }], { id: `$f${n}`, ts: 1_000 });
    }
    for (let n = 0; n < 6; n += 1) {
      const cause = { id: `$e${n}`, ts: 1_000 + n };
      await node.change(
        [
          { kind: 'room', key: `matrix_room:!r${n}:x`, fields: { display_name: `room ${n}` } },
          { kind: 'mark', key: `mark:!r${n}:x $e${n}`, fields: { settled_at: 1_000 + n } },
        ],
        cause,
      );
      await node.actors.get(KEY).send({ type: 'ADD', items: n }, { cause });
      votes.register(`k${n}`, n);
      const ref = { id: `$e${n}`, room: '!r0:x', sender: '@a:x', ts: n, kind: 'message' as const };
      await journal.append([
        { t: 'source', ref },
        { t: 'position', token: `s${n}` },
      ]);
      if (n === 2) await node.backups.create('asked');
    }
    await votes.flush();
    await tasks.saveTask({
      id: 'job/1',
      description: 'count the beans',
      status: 'queued',
      agent: 'counter',
      created_at: 1_000,
      updated_at: 1_000,
      started_at: null,
      completed_at: null,
      logs: [],
      result: null,
    });
    await tasks.saveSessionLog('one', [line('first')]);
  } else await tasks.saveSessionLog('one', [line('after')]);
  await node.flush();
  const handlers = { holds, synced: () => node.synced(20_000) };
  await startControl({ path: controlPath(plan.dir), handlers, log });
  say('open', holds());
  if (plan.fill === true) say('replicated', await node.replicated(30_000));
} catch (error) {
  say('failed', { code: (error as { code?: unknown }).code, message: said(error) });
  process.exit(1);
}
