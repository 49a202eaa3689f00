import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { splitActorKey } from '../../src/documents/actor-key.js';
import { silentLog, type OpenNodeOptions, type StateNode } from '../../src/index.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { node } from '../node/world.js';
import { ACTOR, eventWrite, listingBases } from './bases.js';

/** Writes one event of an actor, as {@link ACTOR}'s machine would. */
export async function send(to: StateNode, id: string, stamp: number, actor = ACTOR): Promise<void> {
  await to.change([eventWrite(id, stamp, actor)], { id, ts: stamp });
}

/** How the events of an actor stand: those that its base counts, and those that are folded on top of it. */
export function standing(of: StateNode, actor = ACTOR): { base: string[]; events: string[]; late: string[] } {
  const base = (of.read('base', `base:${actor}`)?.base as { ids?: string[] } | undefined)?.ids ?? [];
  const events: string[] = [];
  const late: string[] = [];
  for (const [key, record] of of.entries('event')) {
    const split = splitActorKey(key.slice('event:'.length))!;
    if (split.actor !== actor) continue;
    events.push(split.id);
    if (record.event?.late === true) late.push(split.id);
  }
  return { base: [...base].sort(), events: events.sort(), late: late.sort() };
}

/** Every event that counts, each as often as it does. */
export function counted(of: StateNode, actor = ACTOR): string[] {
  const { base, events } = standing(of, actor);
  return [...base, ...events].sort();
}

/** A node with one shard that is cut at `events`, by whoever asks it to. */
export function cutting(
  relays: readonly { url: string }[],
  options: Partial<OpenNodeOptions> = {},
): Promise<StateNode> {
  return node(relays, { shards: 1, generations: { bases: listingBases, events: 1, everyMs: 0 }, ...options });
}

export const cutNow = (of: StateNode): Promise<number> => of.cutIfDue({ mayCut: () => true });

/** The name of the actors document that is read. */
export const generationOf = (of: StateNode): string =>
  of.heads().find(({ name }) => name.startsWith('actors/0'))?.name ?? 'none';

/** The generations of actors documents that stand in a folder. */
export async function generationsOnDisk(dataDir: string): Promise<number[]> {
  const storage = new DurableStorage({ dir: join(dataDir, 'documents'), log: silentLog });
  const found: number[] = [];
  for (const id of await storage.documents()) {
    const chunks = await storage.loadRange([id]);
    let document = A.init<Record<string, unknown>>();
    for (const { data } of chunks) if (data !== undefined) document = A.loadIncremental(document, data);
    if (document['kind'] === 'actors') found.push(document['generation'] as number);
  }
  return found.sort((a, b) => a - b);
}
