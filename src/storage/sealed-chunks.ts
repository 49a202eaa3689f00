import type { StorageKey } from '@automerge/automerge-repo';
import type { ChunkOp, ChunkSource, ChunkStore, Look } from './chunk-store.js';
import { SealError } from './seal-error.js';
import { isRecordKey, PLAIN } from './seal-record.js';
import { readSealState, writeSealRecord } from './seal-state.js';
import type { SealState } from './seal-state.js';
import { seal, sealedWith, unseal } from './seal.js';
import type { SealingKey } from './seal.js';
import type { Failures } from './write-queue.js';

/** The key that chunks are written with, and one that some may still be stored under. */
export interface Keyring {
  current?: SealingKey;
  previous?: SealingKey;
}

export const keyNamed = (keys: Keyring, id: string): SealingKey | undefined =>
  [keys.current, keys.previous].find((key) => key?.id === id);

/** Whether these keys fit what is stored. @throws SealError */
export function checkKeys(state: SealState, keys: Keyring, place: string): void {
  if (state === 'empty') return;
  if (state === 'plain') {
    if (keys.current) throw new SealError('not-encrypted', place);
    return;
  }
  if (!keys.current) throw new SealError('missing-key', place);
  if (state.writes !== keys.current.id) throw new SealError('wrong-key', place);
  const isLacking = state.reads.some((id) => id !== PLAIN && !keyNamed(keys, id));
  if (isLacking) throw new SealError('half-changed', place);
}

/**
 * Chunks of a store that may be encrypted, in plain. What is encrypted with a key that is not here is an error, and
 * never damage: nothing may be moved away because somebody gave the wrong key.
 */
export class UnsealedChunks implements ChunkSource {
  constructor(
    private readonly inner: ChunkSource,
    private readonly place: string,
    private readonly keyring: Keyring,
    /** Chunks that are not encrypted count; in an encrypted store somebody has put them there. */
    private readonly takesPlain: () => boolean,
  ) {}

  async keys(prefix: StorageKey): Promise<StorageKey[]> {
    return (await this.inner.keys(prefix)).filter((key) => !isRecordKey(key));
  }

  /** @throws SealError when the chunk's key is not here */
  async look(key: StorageKey): Promise<Look> {
    if (isRecordKey(key)) return { state: 'absent' };
    const look = await this.inner.look(key);
    if (look.state !== 'good') return look;
    const size = look.bytes.length;
    const id = sealedWith(look.bytes);
    if (id === undefined) {
      return this.takesPlain() ? look : { state: 'bad', reason: 'not encrypted in an encrypted store', size };
    }
    const secret = keyNamed(this.keyring, id);
    if (!secret) throw new SealError(this.keyring.current ? 'wrong-key' : 'missing-key', this.place);
    const bytes = unseal(secret, key, look.bytes);
    if (bytes === undefined) return { state: 'bad', reason: 'not what was encrypted here', size };
    return { state: 'good', bytes };
  }
}

/** Encryption at rest over any store: what is given in plain is written under the current key, if there is one. */
export class SealedChunks implements ChunkStore {
  readonly place: string;
  readonly #inner: ChunkStore;
  readonly #keyring: Keyring;
  readonly #chunks: UnsealedChunks;
  #takesPlain = false;

  constructor(inner: ChunkStore, keyring: Keyring) {
    this.place = inner.place;
    this.#inner = inner;
    this.#keyring = keyring;
    this.#chunks = new UnsealedChunks(inner, inner.place, keyring, () => this.#takesPlain);
  }

  /** @throws SealError when the keys do not fit what is stored; then nothing was written */
  async open(): Promise<void> {
    await this.#inner.open();
    const { state, isRecorded } = await readSealState(this.#inner);
    checkKeys(state, this.#keyring, this.place);
    this.#takesPlain = typeof state === 'string' ? !this.#keyring.current : state.reads.includes(PLAIN);
    if (isRecorded || !this.#keyring.current) return;
    const { id } = this.#keyring.current;
    await writeSealRecord(
      this.#inner,
      typeof state === 'string' ? { version: 1, writes: id, reads: [id] } : state,
    );
  }

  get isLost(): boolean {
    return this.#inner.isLost ?? false;
  }

  keys(prefix: StorageKey): Promise<StorageKey[]> {
    return this.#chunks.keys(prefix);
  }

  look(key: StorageKey): Promise<Look> {
    return this.#chunks.look(key);
  }

  commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    const { current } = this.#keyring;
    if (!current) return this.#inner.commit(batch);
    const sealed = [...batch].map(([id, op]): [string, ChunkOp] =>
      op.kind === 'save' ? [id, { ...op, bytes: seal(current, op.key, op.bytes) }] : [id, op],
    );
    return this.#inner.commit(new Map(sealed));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
