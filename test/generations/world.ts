import { splitActorKey } from '../../src/documents/actor-key.js';
import { keysOf, readRecord, type Document } from '../../src/documents/document.js';
import type { Json } from '../../src/documents/json.js';
import type { Write } from '../../src/documents/write.js';
import type { ActorBases } from '../../src/node/generations/ports.js';
import type { OpenNodeOptions, StateNode } from '../../src/index.js';
import { node } from '../node/world.js';

const ignore = (): void => {};

/** Bases that name every event they count: what is lost or counted twice shows. */
export const listingBases: ActorBases = {
  foldBases(document) {
    const counted = new Map<string, { ids: Set<string>; stamp: number }>();
    const of = (actor: string) => {
      const known = counted.get(actor) ?? { ids: new Set<string>(), stamp: 0 };
      counted.set(actor, known);
      return known;
    };
    for (const key of keysOf(document, 'base', ignore)) {
      const base = baseIn(document, key.slice('base:'.length));
      const known = of(key.slice('base:'.length));
      for (const id of base?.ids ?? []) known.ids.add(id);
      known.stamp = Math.max(known.stamp, base?.stamp ?? 0);
    }
    for (const key of keysOf(document, 'event', ignore)) {
      const { actor, id } = splitActorKey(key.slice('event:'.length))!;
      const known = of(actor);
      known.ids.add(id);
      known.stamp = Math.max(known.stamp, readRecord(document, 'event', key, ignore)!.get('event')!.stamp);
    }
    return new Map(
      [...counted].map(([actor, { ids, stamp }]): [string, Json] => [
        actor,
        { version: 1, hash: 'listing', stamp, ids: [...ids].sort() },
      ]),
    );
  },
  absorbedBy(base) {
    const ids = new Set((base as { ids?: string[] } | undefined)?.ids);
    return (id) => ids.has(id);
  },
};

function baseIn(document: Document, actor: string): { ids: string[]; stamp: number } | undefined {
  const value = readRecord(document, 'base', `base:${actor}`, ignore)?.get('base')?.value;
  return value as { ids: string[]; stamp: number } | undefined;
}

export const ACTOR = 'light/!room:x';

export function eventWrite(id: string, stamp: number, actor = ACTOR): Write {
  return { kind: 'event', key: `event:${actor} ${id}`, fields: { event: { type: 'GO', ts: stamp } }, stamp };
}

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
  return node(relays, { shards: 1, generations: { bases: listingBases, events: 1 }, ...options });
}

export const cutNow = (of: StateNode): Promise<number> => of.cutIfDue({ mayCut: () => true });

/** The name of the actors document that is read. */
export const generationOf = (of: StateNode): string =>
  of.heads().find(({ name }) => name.startsWith('actors/0'))?.name ?? 'none';
