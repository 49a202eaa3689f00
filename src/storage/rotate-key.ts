import type { StorageKey } from '@automerge/automerge-repo';
import { flatName, placeOfKey } from './chunk-key.js';
import type { ChunkOp, ChunkStore } from './chunk-store.js';
import { SealError } from './seal-error.js';
import { isRecordKey, PLAIN } from './seal-record.js';
import { readSealState, writeSealRecord } from './seal-state.js';
import { keyNamed } from './sealed-chunks.js';
import type { Keyring } from './sealed-chunks.js';
import { seal, sealedWith, unseal } from './seal.js';
import type { SealingKey } from './seal.js';

const BATCH = 32;

export interface RotateOptions {
  store: ChunkStore;
  /** `current` is the new one. */
  keys: { current: SealingKey; previous?: SealingKey };
  /** For the names of what goes to quarantine, milliseconds. */
  now: number;
  onProgress?: (done: number, of: number) => void;
}

export interface Rotated {
  /** Chunks that are encrypted anew. */
  changed: number;
  /** Damaged chunks that could not be read under any key, and were moved to quarantine. */
  quarantined: StorageKey[];
}

/**
 * Encrypts every chunk of a store with the current key, those under the previous one and plain ones alike. First the
 * record says that both count, last that only the new one does; in between each chunk is replaced whole. So it may be
 * killed anywhere and run again, and meanwhile whoever has both keys can read.
 *
 * @throws SealError when something is encrypted with neither key: then nothing was written
 */
export async function rotateKey({ store, keys, now, onProgress }: RotateOptions): Promise<Rotated> {
  await store.open();
  const { state } = await readSealState(store, 'all');
  const reads = typeof state === 'string' ? [PLAIN] : state.reads;
  const id = keys.current.id;
  if (reads.some((one) => one !== PLAIN && !keyNamed(keys, one)))
    throw new SealError('wrong-key', store.place);
  const result: Rotated = { changed: 0, quarantined: [] };
  const isThrough = typeof state !== 'string' && state.writes === id && reads.every((one) => one === id);
  if (isThrough) return result;
  await writeSealRecord(store, { version: 1, writes: id, reads: [...new Set([...reads, id])] });
  // Once more after the last change: what is said to be through has been looked at.
  for (let before = -1; before !== result.changed + result.quarantined.length;) {
    before = result.changed + result.quarantined.length;
    await pass(store, keys, now, result, onProgress);
  }
  await writeSealRecord(store, { version: 1, writes: id, reads: [id] });
  return result;
}

async function pass(
  store: ChunkStore,
  keys: RotateOptions['keys'],
  now: number,
  result: Rotated,
  onProgress: RotateOptions['onProgress'],
): Promise<void> {
  const all = (await store.keys([])).filter((key) => !isRecordKey(key));
  for (let from = 0; from < all.length; from += BATCH) {
    const ops = new Map<string, ChunkOp>();
    let stuck: unknown;
    const moved = (_to: string | undefined, why?: unknown): void => {
      stuck ??= why;
    };
    for (const key of all.slice(from, from + BATCH)) {
      const op = await change(store, keys, key, { now, moved });
      if (op) ops.set(JSON.stringify(key), op);
    }
    const failures = await store.commit(ops);
    const [failure] = failures.values();
    if (failures.size > 0) throw failure;
    // A damaged chunk that stays where it is would be looked at for ever.
    if (stuck !== undefined)
      throw new Error(`a damaged chunk of ${store.place} cannot be moved`, { cause: stuck });
    for (const op of ops.values()) {
      if (op.kind === 'save') result.changed += 1;
      else result.quarantined.push(op.key);
    }
    onProgress?.(Math.min(from + BATCH, all.length), all.length);
  }
}

/** What is to be done to a chunk; undefined when it is as it should be. */
async function change(
  store: ChunkStore,
  keys: Keyring & { current: SealingKey },
  key: StorageKey,
  quarantine: { now: number; moved: (to: string | undefined, why?: unknown) => void },
): Promise<ChunkOp | undefined> {
  const look = await store.look(key);
  if (look.state === 'absent') return undefined;
  if (look.state === 'unreadable') throw look.error;
  const id = look.state === 'good' ? sealedWith(look.bytes) : undefined;
  if (id === keys.current.id) return undefined;
  const plain = look.state === 'good' ? plainOf(look.bytes, id, keys, key, store.place) : undefined;
  if (plain) return { kind: 'save', key, bytes: seal(keys.current, key, plain) };
  const name = `${flatName(placeOfKey(key))}.${quarantine.now}`;
  return { kind: 'quarantine', key, name, moved: quarantine.moved };
}

function plainOf(
  bytes: Uint8Array,
  id: string | undefined,
  keys: Keyring,
  key: StorageKey,
  place: string,
): Uint8Array | undefined {
  if (id === undefined) return bytes;
  const secret = keyNamed(keys, id);
  if (!secret) throw new SealError('wrong-key', place);
  return unseal(secret, key, bytes);
}
