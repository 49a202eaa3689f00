import { createHash } from 'node:crypto';
import type { StorageKey } from '@automerge/automerge-repo';
import { z } from 'zod';

const Key = z.array(z.string()).min(1);

/** A key as ASCII text, whatever the encoding of the database: JSON, with everything else escaped. */
export function textOf(key: StorageKey): string {
  return JSON.stringify(key).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The key of a text that {@link textOf} made; undefined for any other. */
export function keyOf(text: string): StorageKey | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const key = Key.safeParse(value);
  return key.success && textOf(key.data) === text ? key.data : undefined;
}

/** How the texts of all keys begin that a key begins, apart from its own. */
export const beginningOf = (prefix: StorageKey): string => `${textOf(prefix).slice(0, -1)},`;

export const idOf = (key: StorageKey): Buffer => sum(textOf(key));

/** By it the keys of one first part are found. */
export const headOf = (key: StorageKey): Buffer => sum(textOf(key.slice(0, 1)));

export const sum = (content: string | Uint8Array): Buffer => createHash('sha256').update(content).digest();
