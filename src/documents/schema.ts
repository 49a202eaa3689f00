import * as A from '@automerge/automerge';

/**
 * The schema of every document as it is founded, for ever: its first change must be the same bytes whichever release
 * makes it (genesis.ts). A later schema is a change on top of it (docs/decisions/0015).
 */
export const FIRST_SCHEMA = 1;

/**
 * The version of the data format that a document says it has: the highest of concurrent ones, because who knows only
 * the lower must not write. Undefined for one that says none: nothing of it is here yet, or a stranger's.
 */
export function schemaOf(document: A.Doc<Record<string, unknown>>): number | undefined {
  const versions = A.getBackend(document)
    .getAll('_root', 'schema')
    .map(([, value]) => value)
    .filter((value) => typeof value === 'number');
  return versions.length === 0 ? undefined : Math.max(...versions);
}
