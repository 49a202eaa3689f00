import { FolderLocked, lockFolder } from '../../storage/lock.js';
import { sleep, type Clock } from '../../time/clock.js';
import type { UpRecord } from './record.js';

/** A process whose `up` is gone ends by itself within this, unless somebody has frozen it. */
const patienceMs = 17_000;

/**
 * Waits until nothing of an earlier `up`, one that was killed, is left in the data folders. Only a process that
 * the earlier `up` had started, and that holds one of its folders, is ended by force; any other holder is an error.
 */
export async function endLeftovers(
  earlier: UpRecord,
  context: { clock: Clock; signal: AbortSignal; say: (line: string) => void },
): Promise<void> {
  const ours = new Set(earlier.processes.map(({ pid }) => pid));
  await Promise.all(
    earlier.processes.map(async ({ name, dataDir, health }) => {
      await folderFree(dataDir, name, ours, context);
      await portSilent(health, context);
    }),
  );
}

async function folderFree(
  dir: string,
  name: string,
  ours: ReadonlySet<number>,
  { clock, signal, say }: { clock: Clock; signal: AbortSignal; say: (line: string) => void },
): Promise<void> {
  const until = clock.monotonic() + patienceMs;
  for (let told = false; ; told = true) {
    const holder = await holderOf(dir);
    if (!holder) return;
    if (!ours.has(holder.pid)) throw holder;
    if (!told) say(`    waiting for ${name} (pid ${holder.pid}) of an earlier run to end`);
    const isLate = clock.monotonic() > until;
    signalTo(holder.pid, isLate ? 'SIGKILL' : 'SIGTERM');
    signalTo(holder.pid, 'SIGCONT');
    await sleep(clock, 250, signal);
  }
}

async function holderOf(dir: string): Promise<FolderLocked | undefined> {
  try {
    await (await lockFolder(dir)).release();
    return undefined;
  } catch (error) {
    if (error instanceof FolderLocked) return error;
    throw error;
  }
}

function signalTo(pid: number, signal: 'SIGTERM' | 'SIGKILL' | 'SIGCONT'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has just ended: that is what is waited for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A process without a folder lock is gone when its health page is. */
async function portSilent(
  health: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const until = clock.monotonic() + patienceMs;
  while (clock.monotonic() < until && (await answers(health))) await sleep(clock, 250, signal);
}

async function answers(health: string): Promise<boolean> {
  try {
    const response = await fetch(`${health}/healthz`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return true;
  } catch (error) {
    // Refused: nobody is there any more. Too slow: somebody is.
    return error instanceof Error && error.name === 'TimeoutError';
  }
}
