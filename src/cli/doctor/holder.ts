import { join } from 'node:path';
import { z } from 'zod';
import { readIfThere } from '../../storage/atomic-write.js';
import type { FileLayer } from '../../storage/file-layer.js';
import { ProcessIdentity, presenceOf } from '../../storage/process-identity.js';
import { isFolderInPlace } from '../../storage/put-aside.js';
import { ControlError, askControl, controlPath } from '../../telemetry/control.js';

/** What a running replica answers to `status`; fields of other versions are let be. */
const status = z.looseObject({
  replica: z.string(),
  incarnation: z.string().optional(),
  ready: z.boolean().optional(),
  documents: z.string().optional(),
  storage: z.string().optional(),
});
const heads = z.object({
  documents: z.array(z.object({ id: z.string(), name: z.string(), heads: z.array(z.string()) })),
});
type HolderStatus = z.output<typeof status>;

/**
 * Who holds a data folder.
 *
 * - `nobody`: it is free. `gone`: its holder ended without giving it back; the next start takes it over.
 * - `answers`: a replica that says how it is. `silent`: a process that is there and does not answer.
 * - `elsewhere`: on another machine or in another container, not to be seen from here.
 * - `unreadable`: the lock is none of ours.
 */
export type Holder =
  | { state: 'nobody' }
  | { state: 'gone' | 'elsewhere'; pid: number }
  | { state: 'answers'; pid: number; status: HolderStatus }
  | { state: 'silent'; pid: number; reason: string }
  | { state: 'unreadable' };

/** Reads the lock and asks its holder; takes nothing. */
export async function holderOf(dir: string, files: FileLayer, deadlineMs: number): Promise<Holder> {
  const claim = await claimIn(files, join(dir, 'lock'));
  if (claim === undefined) return { state: 'nobody' };
  // Of a lock that is damaged its copy tells, as it does at a start.
  const known = claim === 'damaged' ? await claimIn(files, join(dir, 'lock.copy')) : claim;
  if (known === undefined || known === 'damaged') return { state: 'unreadable' };
  const { pid } = known;
  const presence = await presenceOf(known);
  if (presence === 'gone') return { state: 'gone', pid };
  try {
    // Also of one that cannot be seen from here: a socket in a shared folder may reach into its container.
    const answer = await askControl(controlPath(dir), 'status', {}, { deadlineMs });
    return { state: 'answers', pid, status: status.parse(answer) };
  } catch (error) {
    if (presence === 'unknown') return { state: 'elsewhere', pid };
    if (error instanceof ControlError || error instanceof z.ZodError) {
      return { state: 'silent', pid, reason: error instanceof ControlError ? error.message : 'no status' };
    }
    throw error;
  }
}

async function claimIn(files: FileLayer, path: string): Promise<ProcessIdentity | 'damaged' | undefined> {
  try {
    const bytes = await readIfThere(files, path);
    if (bytes === undefined) return undefined;
    return ProcessIdentity.safeParse(jsonOf(bytes)).data ?? 'damaged';
  } catch (error) {
    if (!isFolderInPlace(error)) throw error;
    return 'damaged';
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Heads of every document that the holder has open, by id. */
export async function headsOfHolder(dir: string, deadlineMs: number): Promise<Map<string, string[]>> {
  const answer = heads.parse(await askControl(controlPath(dir), 'heads', {}, { deadlineMs }));
  return new Map(answer.documents.map((one) => [one.id, one.heads]));
}
