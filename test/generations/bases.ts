import { splitActorKey } from '../../src/documents/actor-key.js';
import { keysOf, readRecord, type Document } from '../../src/documents/document.js';
import type { Json } from '../../src/documents/json.js';
import type { Write } from '../../src/documents/write.js';
import type { ActorBases } from '../../src/node/generations/ports.js';

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
