import type { next as A } from '@automerge/automerge';
import { ByteReader } from './byte-reader.js';

type SyncMessage = ReturnType<typeof A.decodeSyncMessage>;

/** As many as there are writers apart, at most; a Repo sends one summary of what it has. */
const most = { heads: 4_096, have: 16 } as const;
/** Automerge writes filters of ten bits for an entry and seven probes. */
const filter = { bits: 64, probes: 16 } as const;

/**
 * Whether Automerge comes to an end with what a sync message says beside its changes. It believes a Bloom filter how
 * often to look into it, so that 45 bytes keep it busy for minutes; it divides by the length of an empty one, and
 * is at a loss when it is asked for a change twice. All of that leaves the document locked for good.
 */
export function isBounded({ heads, need, have }: SyncMessage): boolean {
  if (heads.length > most.heads || need.length > most.heads || have.length > most.have) return false;
  if (new Set(need).size !== need.length) return false;
  return have.every(({ lastSync, bloom }) => lastSync.length <= most.heads && isFilter(bloom));
}

function isFilter(bloom: Uint8Array): boolean {
  if (bloom.length === 0) return true;
  try {
    const reader = new ByteReader(bloom);
    const [entries, bits, probes] = [reader.count(), reader.count(), reader.count()];
    if (entries === 0) return reader.atEnd;
    const isUsual = bits >= 1 && bits <= filter.bits && probes >= 1 && probes <= filter.probes;
    if (!isUsual) return false;
    reader.bytes(Math.ceil((entries * bits) / 8));
    return reader.atEnd;
  } catch {
    // Shorter than it says.
    return false;
  }
}
