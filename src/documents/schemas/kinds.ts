import { DocumentError } from '../errors.js';
import { authority, cluster, cut, erasure, member, migration, seed } from './cluster.js';
import { actor, attempt, base, done, event, floor, mark } from './actors.js';
import { keyed } from './keyed.js';
import { chat, room, user } from './routing.js';
import type { FieldsOf, FieldTable, KindTable } from './table.js';
import type { MergeRule } from '../merge/rules.js';

/** Every kind of record, by the name that `read` and `change` take. STATE.md is held to these tables by a test. */
export const kinds = {
  cluster,
  member,
  cut,
  authority,
  migration,
  seed,
  erasure,
  user,
  room,
  chat,
  mark,
  attempt,
  floor,
  event,
  actor,
  done,
  base,
  keyed,
} as const;

export type Kind = keyof typeof kinds;
export type RecordOf<K extends Kind> = FieldsOf<(typeof kinds)[K]>;

export const kindNames = Object.keys(kinds) as Kind[];

export function tableOf(kind: Kind): KindTable {
  return kinds[kind];
}

/** The table of one field, the kind’s open-ended one, or undefined for a field this version does not know. */
export function fieldTable(kind: Kind, field: string): FieldTable | undefined {
  const table = tableOf(kind);
  return Object.hasOwn(table.fields, field) ? table.fields[field] : table.open;
}

/** A field this version does not know merges as most do: the higher stamp wins. */
export function ruleOf(kind: Kind): (field: string) => MergeRule {
  return (field) => fieldTable(kind, field)?.merge ?? 'higherStampWins';
}

/** Whether a key in the map of a kind is one of that kind: a map may hold several. */
export function isKeyOf(kind: Kind, key: string): boolean {
  const { prefix, only } = tableOf(kind);
  return only === undefined ? key.startsWith(prefix) && key.length > prefix.length : key === only;
}

/** @throws {DocumentError} `bad-key` unless `key` is one of this kind, as in `matrix_room:!abc:example.org`. */
export function assertKey(kind: Kind, key: string): void {
  if (!Object.hasOwn(kinds, kind)) throw new DocumentError('bad-key', `there is no kind ${kind}`);
  if (isKeyOf(kind, key)) return;
  const { prefix, only } = tableOf(kind);
  throw new DocumentError('bad-key', `a key of kind ${kind} is ${only ?? `${prefix}…`}`);
}

const kindsByMap = new Map<string, Kind[]>();
for (const kind of kindNames) {
  const { map } = tableOf(kind);
  kindsByMap.set(map, [...(kindsByMap.get(map) ?? []), kind]);
}

/** Which record a key of a document’s map is; undefined for maps of later versions and foreign keys. */
export function recordAt(map: string, key: string): { kind: Kind; key: string } | undefined {
  const kind = kindsByMap.get(map)?.find((one) => isKeyOf(one, key));
  return kind && { kind, key };
}
