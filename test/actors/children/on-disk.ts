import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { createActor } from 'xstate';
import { expect } from 'vitest';
import { documentId } from '../../../src/documents/ids.js';
import { DurableStorage, type StorageEvent } from '../../../src/storage/durable.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { CLUSTER, KEY, order } from './order.js';

type Maps = Record<'events' | 'actors' | 'done', Record<string, unknown>>;
interface StoredEvent {
  id: string;
  stamp: number;
  type: string;
  ts: number;
  data?: Record<string, unknown>;
}

/** What stands on disk of the order's actor, read without the product's own reader and fold. */
export interface OnDisk {
  /** In (stamp, id) order. */
  events: StoredEvent[];
  state: { value: unknown; context: unknown } | undefined;
  /** Effect ids with a done mark. */
  done: string[];
  /** Where a plain XState actor stands that is sent the same events. */
  folded: { value: unknown; context: unknown };
}

/**
 * Reads a replica's folder that nobody has open. Every change in the whole history must have left the state that its
 * events come to, and no chunk may be torn.
 */
export async function onDisk(dir: string, machine = order): Promise<OnDisk> {
  const found: StorageEvent[] = [];
  const storage = new DurableStorage({
    dir: join(dir, 'documents'),
    log: silentLog,
    onEvent: (event) => found.push(event),
  });
  const id = documentId(CLUSTER, { kind: 'actors', index: 0, generation: 0 });
  let whole = A.init<Maps>();
  for (const { data } of await storage.loadRange([id])) {
    if (data !== undefined) whole = A.loadIncremental(whole, data);
  }
  await storage.close(AbortSignal.timeout(30_000));
  expect(found).toEqual([]);
  expect(A.getMissingDeps(whole, [])).toEqual([]);
  let seen = A.init<Maps>();
  for (const change of A.getAllChanges(whole)) {
    [seen] = A.applyChanges(seen, [change]);
    const { state, folded, events } = read(seen, machine);
    expect(state ?? read(A.init<Maps>(), machine).folded).toMatchObject(folded);
    expect(state === undefined).toBe(events.length === 0);
  }
  return read(seen, machine);
}

function read(document: A.Doc<Maps>, machine: typeof order): OnDisk {
  const recordsOf = (map: keyof Maps, prefix: string) =>
    Object.entries(document[map] ?? {})
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, text]) => ({
        name: key.slice(prefix.length),
        fields: JSON.parse(String(text)) as Record<string, [unknown, number, string]>,
      }));
  const events = recordsOf('events', `event:${KEY} `)
    .map(({ name, fields }) => {
      const [value, stamp] = fields['event'] as [Omit<StoredEvent, 'id' | 'stamp'>, number, string];
      return { ...value, id: name, stamp };
    })
    .sort((a, b) => a.stamp - b.stamp || (a.id < b.id ? -1 : 1));
  const [state] = recordsOf('actors', `actor:${KEY}`);
  return {
    events,
    state: state?.fields['current_state']?.[0] as OnDisk['state'],
    done: recordsOf('done', `done:${KEY} `).map(({ name }) => name),
    folded: plain(events, machine),
  };
}

function plain(events: readonly StoredEvent[], machine: typeof order): OnDisk['folded'] {
  const actor = createActor(machine).start();
  for (const { type, data } of events) {
    if (type === 'understudy.upgrade') continue;
    const fired = type === 'understudy.timer';
    actor.send((fired ? { type: data?.['name'] } : { ...data, type }) as Parameters<typeof actor.send>[0]);
  }
  const { value, context } = actor.getSnapshot();
  actor.stop();
  return { value, context };
}
