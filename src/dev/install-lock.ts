import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { DevError } from './errors.js';

/**
 * Holds a lock file that carries our pid; one whose holder is gone, or older than any holder may be (`deadlineMs`;
 * its pid may be another's by now), is taken over. Resolves to its release.
 * Errors: {@link DevError} `install-failed` when others hold it longer than `deadlineMs` in turn.
 */
export async function holdInstall(
  file: string,
  { deadlineMs, onWait, signal }: { deadlineMs: number; onWait: () => void; signal?: AbortSignal },
): Promise<() => Promise<void>> {
  const until = performance.now() + deadlineMs;
  let waited = false;
  for (;;) {
    if (await create(file)) return () => rm(file, { force: true });
    const holder = Number(await read(file));
    if (!isAlive(holder) || (await age(file)) > deadlineMs) {
      await rm(file, { force: true });
      continue;
    }
    if (!waited) onWait();
    waited = true;
    if (performance.now() > until) {
      throw new DevError(
        'install-failed',
        `Process ${holder} has held ${file} too long; end it or remove the file`,
      );
    }
    await pause(250, undefined, signal && { signal });
  }
}

async function create(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function age(file: string): Promise<number> {
  try {
    return Date.now() - (await stat(file)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, as another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
