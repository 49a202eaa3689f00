import { isValidDocumentId } from '@automerge/automerge-repo';
import { z } from 'zod';
import { digest } from '../documents/digest.js';
import { documentId } from '../documents/ids.js';
import { sha256 } from '../storage/checksum.js';
import { BackupError } from './errors.js';

/** Version of the layout of a backup; a later one is refused, for it may mean what we cannot know. */
export const FORMAT = 1;
export const MANIFEST = 'manifest.json';
export const SUMS = 'SHA256SUMS';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** Of documents; those of a later version are backed up and restored like the others. */
export const kind = z.string().regex(/^[a-z]{1,32}$/);

const backedUp = z.object({
  id: z.string().refine((id): boolean => isValidDocumentId(id)),
  /** For people: `cluster`, `routing/3`, `actors/3.1`. */
  name: z.string(),
  kind,
  index: z.int().nonnegative(),
  generation: z.int().nonnegative(),
  /** Version of the data format, as the document says it. */
  schema: z.int().nonnegative(),
  /** Sorted. */
  heads: z.array(hash),
  /** Of its file in the archive, which is encrypted when the backup is. */
  size: z.int().nonnegative(),
  sha256: hash,
});
/** One document in a backup. */
export type BackedUp = z.infer<typeof backedUp>;

const reason = z.enum(['interval', 'asked', 'migration']);
export type BackupReason = z.infer<typeof reason>;

const manifest = z.object({
  format: z.literal(FORMAT),
  /** See {@link fingerprintOf}. */
  cluster: hash,
  /** Whose folder it was made from; null for that of a relay. */
  replica: z.string().nullable(),
  created_at: z.iso.datetime(),
  reason,
  /** Id of the storage key that the documents are encrypted with, as they are on disk; null: not encrypted. */
  sealed_with: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .nullable(),
  /** Versions of the data format that the documents have. */
  schemas: z.array(z.int().nonnegative()),
  documents: z.array(backedUp),
});
/** What a backup says of itself. Fields that this version does not know are left out. */
export type Manifest = z.infer<typeof manifest>;

/**
 * Tells clusters apart without giving the secret id away: a hash of the id of the cluster's document, which is a hash
 * of the secret. Whoever has the documents can make it, so a folder can be backed up and restored without the secret.
 */
export function fingerprintOf(clusterDocument: string): string {
  return digest('understudy-backup', clusterDocument).toString('hex');
}

export function fingerprintOfCluster(clusterId: string): string {
  return fingerprintOf(documentId(clusterId, { kind: 'cluster', index: 0, generation: 0 }));
}

/** Where a document stands in the archive. */
export const fileOf = (id: string, sealedWith: string | null): string =>
  `documents/${id}.${sealedWith === null ? 'automerge' : 'sealed'}`;

/** What an encrypted document is bound to, so that none passes for another, or for a chunk of a folder. */
export const sealedAs = (id: string): string[] => ['backup', id];

export function encodeManifest(value: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(value, undefined, 1)}\n`);
}

/** @throws {BackupError} `damaged`, `newer`. */
export function decodeManifest(bytes: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new BackupError('damaged', `${MANIFEST} is not JSON`, { cause: error });
  }
  const { data: said } = z.object({ format: z.int() }).safeParse(value);
  if (said !== undefined && said.format > FORMAT) {
    throw new BackupError(
      'newer',
      `it has format ${said.format}, this version knows ${FORMAT}: update understudy`,
    );
  }
  const parsed = manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, 3).map(({ path, code }) => `${path.join('.')}: ${code}`);
  throw new BackupError('damaged', `${MANIFEST} does not hold what it should (${faults.join(', ')})`);
}

/** What `sha256sum -c` reads: the sum of every other file of the archive. */
export function sumsOf(
  { documents, sealed_with }: Pick<Manifest, 'documents' | 'sealed_with'>,
  manifestBytes: Uint8Array,
): Buffer {
  const lines = documents.map(({ id, sha256: sum }) => `${sum}  ${fileOf(id, sealed_with)}\n`);
  return Buffer.from(`${lines.join('')}${sha256(manifestBytes)}  ${MANIFEST}\n`);
}
