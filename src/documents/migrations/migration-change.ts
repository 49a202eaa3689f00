import * as A from '@automerge/automerge';
import { encodeChangeMessage } from '../change-message.js';
import { digest } from '../digest.js';
import { mapIn, putRecord, readRecord, type Document } from '../document.js';
import type { DocumentKind } from '../ids.js';
import { documentMaps } from '../genesis.js';
import { encodeRecord } from '../record.js';
import { schemaOf } from '../schema.js';
import { MigrationError } from './errors.js';
import { raised } from './lens.js';
import type { Migration } from './migration.js';
import type { Schemas } from './schemas.js';

const ignore = (): void => {};

/**
 * The one Automerge change that a migration is, made and looked through on a copy: the document itself stays as it
 * is. Two replicas that migrate the same heads make the same bytes, so that it counts once: its author is a hash of
 * the heads and of what it writes, and its time is 0. What was migrated from other heads merges field by field, because
 * every field has kept its stamp. A rollback is made in the same way.
 *
 * @throws {MigrationError} `invalid`.
 */
export function migrationChange(
  document: Document,
  family: DocumentKind,
  migration: Migration,
  schemas: Schemas,
  way: 'up' | 'down' = 'up',
): Uint8Array {
  const heads = A.getHeads(document).sort();
  const { from, to, records } = migration;
  const content = records.map(({ kind, key, record }) => `${kind} ${key} ${encodeRecord(record)}`);
  const actor = digest('understudy-migration', String(to), heads.join(' '), ...content)
    .subarray(0, 16)
    .toString('hex');
  const message = encodeChangeMessage({ cause: `migration:${to}`, replica: '', epoch: 0 });
  const copy = A.clone(document, { actor });
  const after = A.change(copy, { time: 0, message }, (draft) => {
    if (to !== from) draft['schema'] = to;
    for (const { kind, key, record } of records) putRecord(draft, kind, key, record);
  });
  try {
    const bytes = A.getLastLocalChange(after);
    if (bytes === undefined) throw new MigrationError('invalid', 'a migration left no change');
    assertSound(document, after, bytes, { family, migration, schemas, way });
    return bytes;
  } finally {
    A.free(after);
  }
}

/** Held against what stood before: the version, the heads it rests on, the count of records, and each of their fields. */
function assertSound(
  before: Document,
  after: Document,
  bytes: Uint8Array,
  {
    family,
    migration,
    schemas,
    way,
  }: { family: DocumentKind; migration: Migration; schemas: Schemas; way: 'up' | 'down' },
): void {
  const refuse = (why: string): never => {
    throw new MigrationError('invalid', `a migration to schema ${migration.to} is not made: ${why}`);
  };
  if (schemaOf(after) !== migration.to) refuse(`the copy says schema ${String(schemaOf(after))}`);
  const { deps, hash } = A.decodeChange(bytes);
  const heads = A.getHeads(before).sort();
  if ([...deps].sort().join() !== heads.join()) refuse('it does not rest on all that stands there');
  if (A.getHeads(after).join() !== hash) refuse('something else changed');
  for (const map of documentMaps[family]) {
    const [was, is] = [before, after].map((one) => Object.keys(mapIn(one, map, ignore) ?? {}).sort());
    if (was?.join('\n') !== is?.join('\n'))
      refuse(`${map} has ${is?.length} records, and had ${was?.length}`);
  }
  for (const { kind, key, record } of migration.records) {
    const [was, is] = [before, after].map((one) => readRecord(one, kind, key, ignore));
    if (is === undefined || encodeRecord(is) !== encodeRecord(record)) refuse(`${key} stands otherwise`);
    if (way === 'up' && encodeRecord(raised(kind, record, schemas)) !== encodeRecord(record))
      refuse(`${key} is not migrated whole`);
    const moves = schemas.movesOf(kind);
    for (const [field, { stamp }] of was ?? []) {
      // Several steps may have taken it on, one after the other.
      const name = moves.reduce(
        (at, { from, field: to }) => (at === from && !record.has(at) ? to : at),
        field,
      );
      const now = record.get(name);
      if (now === undefined || now.stamp < stamp) refuse(`${key} loses its field ${field}`);
    }
    for (const move of moves) {
      const made = record.get(move.field)?.value ?? null;
      if (made !== null && !move.schema.safeParse(made).success)
        refuse(`${key} has a ${move.field} of another form`);
    }
  }
}
