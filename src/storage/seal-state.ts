import type { ChunkOp, ChunkSource, ChunkStore } from './chunk-store.js';
import { sealedWith } from './seal.js';
import { decodeRecord, encodeRecord, isRecordKey, PLAIN, RECORD_KEY } from './seal-record.js';
import type { SealRecord } from './seal-record.js';

export type SealState = SealRecord | 'plain' | 'empty';

/**
 * How a store is encrypted: by its record, or, when that is lost or there never was one, by its chunks: by all of
 * them where it must be known, else by the first when that is plain, for a plain store is not read to its end at
 * each start. What that one does not say is said when a chunk is read.
 */
export async function readSealState(
  chunks: ChunkSource,
  lookAt: 'all' | 'first' = 'first',
): Promise<{ state: SealState; isRecorded: boolean }> {
  const look = await chunks.look(RECORD_KEY);
  if (look.state === 'unreadable') throw look.error;
  const record = look.state === 'good' ? decodeRecord(look.bytes) : undefined;
  if (record) return { state: record, isRecorded: true };
  return {
    state: stateOf(await sealsIn(chunks, lookAt === 'first' && look.state === 'absent')),
    isRecorded: false,
  };
}

function stateOf(seals: ReadonlySet<string>): SealState {
  if (seals.size === 0) return 'empty';
  const [writes] = [...seals].filter((id) => id !== PLAIN);
  return writes === undefined ? 'plain' : { version: 1, writes, reads: [...seals] };
}

/** The ways in which the chunks are stored. */
async function sealsIn(chunks: ChunkSource, plainIsEnough: boolean): Promise<Set<string>> {
  const found = new Set<string>();
  for (const key of await chunks.keys([])) {
    const look = await chunks.look(key);
    if (look.state !== 'good' || isRecordKey(key)) continue;
    const id = sealedWith(look.bytes) ?? PLAIN;
    found.add(id);
    if (plainIsEnough && id === PLAIN) break;
  }
  return found;
}

/** @throws when the store does not take it. */
export async function writeSealRecord(store: ChunkStore, record: SealRecord): Promise<void> {
  const op: ChunkOp = { kind: 'save', key: RECORD_KEY, bytes: encodeRecord(record) };
  const failures = await store.commit(new Map([['record', op]]));
  if (failures.has('record')) throw failures.get('record');
}
