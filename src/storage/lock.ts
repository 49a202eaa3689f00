import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { removeIfThere, readIfThere, writeWhole } from './atomic-write.js';
import { ensureFolder, FolderError } from './folder.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import { sleep, systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import { ownIdentity, presenceOf, ProcessIdentity } from './process-identity.js';

export { ensureFolder, FolderError };

/** Another process works in the folder. */
export class FolderLocked extends Error {
  readonly code = 'locked';

  constructor(
    readonly folder: string,
    readonly pid: number,
    reason: string,
  ) {
    super(`${folder} is in use by process ${pid}${reason}; stop it, or give this one a folder of its own`);
    this.name = 'FolderLocked';
  }
}

export interface FolderLock {
  /** Lets others in; calling it twice is harmless. */
  release(): Promise<void>;
}

const Claim = ProcessIdentity.extend({
  /** No two claims are the same, even by one process. */
  nonce: z.string(),
});
type Claim = z.infer<typeof Claim>;

const LOCK = 'lock';
/** A takeover is a few calls to the disk; one that lasts longer is frozen, and its process is named. */
const TAKEOVER_MS = 5_000;
const LOOK_AGAIN_MS = 10;

interface Attempt {
  files: FileLayer;
  dir: string;
  clock: Clock;
  /** The file with our claim, to be linked. */
  claim: string;
  /** Until when to wait for others' takeovers, monotonic milliseconds. */
  until: number;
}

/**
 * One process per data folder: claims it for this process, or takes over from a holder that is gone.
 *
 * @throws FolderLocked when another process holds it, or this one does already
 * @throws FolderError when the folder cannot be written
 */
export async function lockFolder(
  dir: string,
  files: FileLayer = nodeFiles,
  clock: Clock = systemClock,
): Promise<FolderLock> {
  await ensureFolder(dir, files);
  const claim: Claim = { ...(await ownIdentity()), nonce: randomUUID() };
  const path = join(dir, LOCK);
  const written = `${path}.${claim.nonce}`;
  await writeWhole(files, written, Buffer.from(`${JSON.stringify(claim)}\n`), 'fsync');
  try {
    await take({ files, dir, clock, claim: written, until: clock.monotonic() + TAKEOVER_MS }, path);
  } finally {
    await removeIfThere(files, written);
  }
  let released: Promise<void> | undefined;
  return { release: () => (released ??= release(files, path, claim)) };
}

/**
 * Puts our claim at `path`. A link is made whole or not at all, so a claim is never seen half written.
 *
 * A claim whose holder is gone may be removed only by the one who holds the right to *this* claim, itself
 * such a lock named by the claim's nonce. Two starters that both saw the dead claim thus cannot remove each
 * other's new one; and a starter that dies with the right in hand leaves a claim that is taken over alike.
 */
async function take(attempt: Attempt, path: string): Promise<void> {
  const { files, dir, claim } = attempt;
  for (;;) {
    if (await linked(files, claim, path)) return;
    const holder = await readClaim(files, dir, path);
    if (!holder) continue;
    await refuseUnlessGone(dir, holder);
    const right = join(dir, `${LOCK}.over-${holder.nonce}`);
    if (!(await takeRight(attempt, right))) continue;
    try {
      // Another may have taken the claim over, and given its right back, since we looked.
      if ((await readClaim(files, dir, path))?.nonce === holder.nonce) await files.remove(path);
    } finally {
      await removeIfThere(files, right);
    }
  }
}

/**
 * False, after a moment, when another starter has the right: it may yet lose the folder to a third, so who
 * holds the folder is known only afterwards.
 */
async function takeRight(attempt: Attempt, right: string): Promise<boolean> {
  try {
    await take(attempt, right);
    return true;
  } catch (error) {
    if (!(error instanceof FolderLocked) || attempt.clock.monotonic() >= attempt.until) throw error;
    await sleep(attempt.clock, LOOK_AGAIN_MS);
    return false;
  }
}

async function refuseUnlessGone(dir: string, holder: Claim): Promise<void> {
  const presence = await presenceOf(holder);
  if (presence === 'gone') return;
  const elsewhere =
    presence === 'alive' ? '' : ` on ${holder.host ?? 'another machine'}, not to be seen from here`;
  const remedy = presence === 'alive' ? '' : ` (if it is gone, remove ${join(dir, LOCK)})`;
  throw new FolderLocked(dir, holder.pid, elsewhere + remedy);
}

async function linked(files: FileLayer, claim: string, path: string): Promise<boolean> {
  try {
    await files.link(claim, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** The claim at a path; undefined when it is gone again. */
async function readClaim(files: FileLayer, dir: string, path: string): Promise<Claim | undefined> {
  const bytes = await readIfThere(files, path);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const claim = Claim.safeParse(value);
  if (claim.success) return claim.data;
  const message = `${path} is not a lock of ours; if no process works in ${dir}, remove it`;
  throw new FolderError('bad-lock', dir, message);
}

async function release(files: FileLayer, path: string, claim: Claim): Promise<void> {
  const bytes = await readIfThere(files, path);
  // Removed by hand, and perhaps taken by another: then it is not ours to remove.
  if (bytes && Buffer.from(bytes).includes(claim.nonce)) await removeIfThere(files, path);
}
