import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { removeIfThere, readIfThere, writeAtomically, writeWhole } from './atomic-write.js';
import { ensureFolder, FolderError } from './folder.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import { isFolderInPlace, putAside } from './put-aside.js';
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
/** The holder's claim once more, for when the lock itself is damaged. */
const COPY = 'lock.copy';
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
  await writeWhole(files, written, bytesOf(claim), 'fsync');
  try {
    await take({ files, dir, clock, claim: written, until: clock.monotonic() + TAKEOVER_MS }, path);
    await keepCopy(files, dir, claim);
  } finally {
    await removeIfThere(files, written);
  }
  let released: Promise<void> | undefined;
  return { release: () => (released ??= release(files, dir, claim)) };
}

/** By whoever holds the lock; one of an earlier holder says nothing any more. */
async function keepCopy(files: FileLayer, dir: string, claim: Claim): Promise<void> {
  const path = join(dir, COPY);
  try {
    if ((await readClaim(files, path)) === 'damaged') await putAside(files, path, systemClock);
    await writeAtomically(files, path, bytesOf(claim), 'fsync', `${path}.${claim.nonce}`);
  } catch (error) {
    await release(files, dir, claim);
    throw error;
  }
}

const bytesOf = (claim: Claim): Buffer => Buffer.from(`${JSON.stringify(claim)}\n`);

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
    const held = await heldBy(files, dir, path);
    if (!held) continue;
    for (const claim of held.claims) await refuseUnlessGone(dir, claim);
    const right = join(dir, `${LOCK}.over-${held.nonce}`);
    if (!(await takeRight(attempt, right))) continue;
    try {
      // Another may have taken the claim over, and given its right back, since we looked.
      const now = await heldBy(files, dir, path);
      if (now?.nonce === held.nonce && now.isDamaged) await putAside(files, path, attempt.clock);
      else if (now?.nonce === held.nonce) await files.remove(path);
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

interface Held {
  /** All that must be gone before the folder is free. */
  claims: Claim[];
  nonce: string;
  isDamaged: boolean;
}

/**
 * Who holds what is at a path; undefined when it is gone again. Of a lock that is damaged its copy tells; so it does
 * of one that can still be read and says something else than it said, when the copy's process is alive.
 *
 * @throws FolderError `bad-lock` when neither can be read.
 */
async function heldBy(files: FileLayer, dir: string, path: string): Promise<Held | undefined> {
  const claim = await readClaim(files, path);
  if (claim === undefined) return undefined;
  const copy = path === join(dir, LOCK) ? await readClaim(files, join(dir, COPY)) : undefined;
  const known = copy === undefined || copy === 'damaged' ? [] : [copy];
  if (claim !== 'damaged') {
    const alive: Claim[] = [];
    for (const one of known) if ((await presenceOf(one)) === 'alive') alive.push(one);
    return { claims: [claim, ...alive], nonce: claim.nonce, isDamaged: false };
  }
  const [one] = known;
  if (one !== undefined) return { claims: [one], nonce: one.nonce, isDamaged: true };
  const message = `${path} is not a lock of ours; if no process works in ${dir}, remove it`;
  throw new FolderError('bad-lock', dir, message);
}

async function readClaim(files: FileLayer, path: string): Promise<Claim | 'damaged' | undefined> {
  try {
    const bytes = await readIfThere(files, path);
    if (bytes === undefined) return undefined;
    return Claim.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError || isFolderInPlace(error))
      return 'damaged';
    throw error;
  }
}

async function release(files: FileLayer, dir: string, claim: Claim): Promise<void> {
  const [path, copy] = [join(dir, LOCK), join(dir, COPY)];
  const lock = await readClaim(files, path);
  const isCopied = await isOurs(files, copy, claim);
  if (lock === 'damaged') {
    // The copy stays, and says to whom it belonged should we die here.
    if (isCopied) await putAside(files, path, systemClock);
    return;
  }
  // While the lock is ours nobody else writes a copy.
  if (isCopied) await removeIfThere(files, copy);
  // Removed by hand, and perhaps taken by another: then it is not ours to remove.
  if (lock?.nonce === claim.nonce) await removeIfThere(files, path);
}

async function isOurs(files: FileLayer, path: string, { nonce }: Claim): Promise<boolean> {
  const there = await readClaim(files, path);
  return there !== undefined && there !== 'damaged' && there.nonce === nonce;
}
