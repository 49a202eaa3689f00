import type { StorageKey } from '@automerge/automerge-repo';
import { decodeFileName, encodeFileName } from './filename.js';

/** Folders of our own beside the documents. The layout's own top folders have at most two letters. */
export const ASIDE = { temporary: 'tmp', checksums: 'checksums', quarantine: 'quarantine' } as const;

/** Document ids, hashes and UUIDs stand for themselves, so that stock tools find them. Base58 ids differ in
 * case, but 128 random or hashed bits do not meet by folding case. */
const PLAIN = /^[A-Za-z0-9_-]{1,128}$/;

/** Stands for the rest of a first part of two letters or fewer; no encoded name is made of it. */
const NOTHING = '%';

const encodePart = (part: string): string => (PLAIN.test(part) ? part : encodeFileName(part));
const decodePart = (name: string): string | undefined => (PLAIN.test(name) ? name : decodeFileName(name));

/**
 * The place of a key under the storage folder, as automerge-repo's NodeFS adapter lays it out: the first part
 * split after two letters, then one name per part. Parts that could be a path are encoded.
 */
export function placeOfKey(key: StorageKey): string[] {
  const [first, ...rest] = key.map(encodePart);
  if (first === undefined) return [];
  return [first.slice(0, 2), first.slice(2) || NOTHING, ...rest];
}

/** The key stored at a place; undefined when a part of it is too long to be read back from its name. */
export function keyOfPlace(place: readonly string[]): StorageKey | undefined {
  const key = namesOfPlace(place).map(decodePart);
  return key.length > 0 && key.every((part) => part !== undefined) ? key : undefined;
}

/** One flat name for the key stored at a place, for what lies beside the documents. */
export function flatName(place: readonly string[]): string {
  const name = namesOfPlace(place).join('~');
  return name.length <= 200 ? name : encodeFileName(name);
}

/** The place that a flat name speaks of; undefined when the name is a hash. */
export function placeOfFlatName(name: string): string[] | undefined {
  const [first, ...rest] = name.split('~');
  if (first === undefined || first === '' || first.startsWith('%h')) return undefined;
  return [first.slice(0, 2), first.slice(2) || NOTHING, ...rest];
}

function namesOfPlace(place: readonly string[]): string[] {
  const [two, remainder, ...rest] = place;
  if (two === undefined || remainder === undefined) return [];
  return [two + (remainder === NOTHING ? '' : remainder), ...rest];
}

/** Whether a key holds Automerge changes (a part of a document) and not a value of the repo's own. */
export function isDocumentChunk(key: StorageKey): boolean {
  return key.length === 3 && (key[1] === 'snapshot' || key[1] === 'incremental');
}

/** What automerge-repo stores of a document, and what we store of a key, all in keys of three parts. */
const KINDS = new Set(['snapshot', 'incremental', 'sync-state', 'record']);

/** Nothing lies below such a place: a folder there is damage, and never other keys. */
export function isLeaf(place: readonly string[]): boolean {
  if (place.length === 2) return place.join('') === 'storage-adapter-id';
  return place.length === 4 && KINDS.has(place[2] ?? '');
}

export function startsWith(key: StorageKey, prefix: StorageKey): boolean {
  return prefix.every((part, at) => key[at] === part);
}
