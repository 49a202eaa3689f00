import { next as A } from '@automerge/automerge';
import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { ByteReader } from './byte-reader.js';
import { limitsFor, unfoldedRows } from './unfolded-size.js';

/**
 * Tries the changes of a sync message on a copy. Automerge panics in the middle of some that no Automerge would have
 * written, which leaves a document locked for everyone until the process ends; others it takes in and gives back
 * as other bytes, so that a document with them, once stored, can be loaded by nobody. Throws with the reason.
 */
export function tryMessage(doc: A.Doc<unknown>, data: Uint8Array): void {
  const before = A.getHeads(doc);
  const copy = A.clone(doc);
  try {
    const after = A.receiveSyncMessage(copy, A.initSyncState(), data)[0];
    assertSound(A.getBackend(after), before);
  } finally {
    A.free(copy);
  }
}

/**
 * The same for one change that came by itself, of which nobody has looked how far it unfolds. It comes for every
 * change of another replica, and is tried without the view of the document in JavaScript that a clone carries.
 */
export function tryChange(doc: A.Doc<unknown>, change: Uint8Array): void {
  if (unfoldedRows([change], limitsFor(change.length)) === undefined) {
    throw new RangeError('a change that unfolds too far');
  }
  const copy = A.getBackend(doc).clone();
  try {
    copy.applyChanges([change]);
    assertSound(copy, A.getHeads(doc));
  } finally {
    copy.free();
  }
}

/** What came since is what Automerge would give on to others, and in the order of its operations. */
function assertSound(inside: ReturnType<typeof A.getBackend>, before: A.Heads): void {
  const given = new Set(inside.getChanges(before).map(hashOf));
  for (const { hash, deps, startOp } of inside.getChangesMeta(before)) {
    if (!given.has(hash)) throw new RangeError('a change that Automerge gives back as another one');
    if (deps.some((dep) => (inside.getChangeMetaByHash(dep)?.maxOp ?? 0) >= startOp)) {
      throw new RangeError('operations numbered below those that they come after');
    }
  }
}

const compressed = 2;
const change = 1;

/** The hash of a change by its bytes, of which all that comes after the checksum counts. */
function hashOf(bytes: Uint8Array): string {
  if (bytes[8] !== compressed) return createHash('sha256').update(bytes.subarray(8)).digest('hex');
  const reader = new ByteReader(bytes.subarray(9));
  const whole = inflateRawSync(reader.bytes(reader.count()));
  const length: number[] = [];
  for (let rest = whole.length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest % 128) + 128);
  }
  return createHash('sha256')
    .update(Buffer.from([change, ...length]))
    .update(whole)
    .digest('hex');
}
