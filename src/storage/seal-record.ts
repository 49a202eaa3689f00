import type { StorageKey } from '@automerge/automerge-repo';
import { z } from 'zod';

/** Where a store keeps, in plain, how it is encrypted. Hidden from the repo. */
export const RECORD_KEY: StorageKey = ['understudy-encryption', 'record', '1'];

export const isRecordKey = (key: StorageKey): boolean =>
  key.length === RECORD_KEY.length && key.every((part, at) => part === RECORD_KEY[at]);

/** Stands for chunks that are not encrypted. */
export const PLAIN = 'plain';

const Id = z.string().regex(/^[0-9a-f]{16}$/);
const Record = z.object({
  version: z.literal(1),
  /** The key of everything that is written. */
  writes: Id,
  /** Every way in which a chunk may be stored; more than `writes` until a change of the key is through. */
  reads: z.array(z.union([Id, z.literal(PLAIN)])).min(1),
});
export type SealRecord = z.infer<typeof Record>;

export const encodeRecord = (record: SealRecord): Uint8Array => Buffer.from(`${JSON.stringify(record)}\n`);

/** The record, or undefined when the bytes are none that this version knows. */
export function decodeRecord(bytes: Uint8Array): SealRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const record = Record.safeParse(value);
  return record.success ? record.data : undefined;
}
