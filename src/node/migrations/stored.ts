import { createHash } from 'node:crypto';
import * as A from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import type { OnProgress } from '../../backup/backup-file.js';
import { assembled, describeContents, toBackUp, type StoredChunks } from '../../backup/stored-document.js';
import type { Document } from '../../documents/document.js';
import { migrationChange } from '../../documents/migrations/migration-change.js';
import { migrationOf, type Migration } from '../../documents/migrations/migration.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import { schemaOf } from '../../documents/schema.js';
import type { DocumentKind } from '../../documents/ids.js';

/** Resolves when it is on disk. */
export type Save = (key: StorageKey, bytes: Uint8Array) => Promise<void>;

/** One document of a folder, by the schema that it has and what would bring it to another one. */
export interface StoredSchema {
  id: string;
  /** `cluster`, `routing/3`, `actors/3.1`. */
  name: string;
  kind: string;
  schema: number;
  /** Of {@link schema} when there is nothing to do. */
  to: number;
  records: number;
}

const ignore = (): void => {};

/** What each document of a folder has and is to have, the cluster last. */
export async function* storedSchemas(stored: StoredChunks, schemas: Schemas): AsyncGenerator<StoredSchema> {
  for await (const { id, document } of storedDocuments(stored)) {
    const one = schemaIn(id, document, schemas);
    if (one !== undefined) yield one;
  }
}

/**
 * Migrates the documents of a folder in which nothing runs: each is one change on disk, so that a kill leaves every
 * document whole, at the one version or the other, and the same again does the rest.
 */
export async function migrateStored(options: {
  stored: StoredChunks;
  schemas: Schemas;
  save: Save;
  onProgress?: OnProgress;
}): Promise<StoredSchema[]> {
  const { stored, schemas, save, onProgress } = options;
  const migrated: StoredSchema[] = [];
  const of = (await stored.ids()).length;
  let looked = 0;
  let bytes = 0;
  for await (const { id, document } of storedDocuments(stored)) {
    looked += 1;
    const kind = familyOf(document);
    const migration = kind && migrationOf(document, kind, schemas, ignore);
    const said = schemaIn(id, document, schemas);
    if (kind !== undefined && migration !== undefined && said !== undefined) {
      bytes += await saveChange(id, document, { kind, migration, schemas, save, way: 'up' });
      migrated.push(said);
    }
    onProgress?.({ documents: looked, of, bytes });
  }
  return migrated;
}

/** Gives the bytes of the change. */
export async function saveChange(
  id: string,
  document: Document,
  made: { kind: DocumentKind; migration: Migration; schemas: Schemas; save: Save; way: 'up' | 'down' },
): Promise<number> {
  const { kind, migration, schemas, save, way } = made;
  const change = migrationChange(document, kind, migration, schemas, way);
  await save(chunkOf(id, change), change);
  return change.length;
}

export const chunkOf = (id: string, change: Uint8Array): StorageKey => [
  id,
  'incremental',
  createHash('sha256').update(change).digest('hex'),
];

/** Those that are whole, each freed when the next is asked for; the cluster last. */
export async function* storedDocuments(
  stored: StoredChunks,
): AsyncGenerator<{ id: string; document: Document }> {
  let cluster: string | undefined;
  for (const id of await stored.ids()) {
    const document = assembled(await stored.chunks(id));
    const contents = describeContents(document);
    const isWhole = A.getMissingDeps(document, []).length === 0;
    if (contents?.kind === 'cluster') cluster = id;
    else if (contents !== undefined && isWhole) yield { id, document };
    A.free(document);
  }
  if (cluster === undefined) return;
  const document = assembled(await stored.chunks(cluster));
  if (A.getMissingDeps(document, []).length === 0) yield { id: cluster, document };
  A.free(document);
}

export function familyOf(document: Document): DocumentKind | undefined {
  const kind = describeContents(document)?.kind;
  return families.find((one) => one === kind);
}

const families: readonly DocumentKind[] = ['cluster', 'routing', 'actors', 'audit', 'keyed'];

function schemaIn(id: string, document: Document, schemas: Schemas): StoredSchema | undefined {
  const contents = toBackUp(id, document);
  const schema = schemaOf(document);
  if (contents === undefined || schema === undefined) return undefined;
  const kind = familyOf(document);
  const migration = kind && migrationOf(document, kind, schemas, ignore);
  const { name } = contents;
  const todo = { to: migration?.to ?? schema, records: migration?.records.length ?? 0 };
  return { id, name, kind: contents.kind, schema, ...todo };
}
