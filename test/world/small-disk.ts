import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Of the system, where it has them. */
const [MOUNT, UMOUNT, UNSHARE] = ['mount', 'umount', 'unshare'];

/** Why no file system can be mounted here; undefined when one can. */
export function whyNotMount(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const tried = spawnSync(UNSHARE, ['-m', MOUNT, '-t', 'tmpfs', 'none', '/mnt']);
  if (tried.error) return 'no unshare';
  return tried.status === 0 ? undefined : 'not allowed here';
}

/** A file system of its own at a folder, which a test can fill to the last byte. */
export class SmallDisk {
  #mounted = true;
  readonly #fillers: string[] = [];

  private constructor(readonly dir: string) {}

  static mount(dir: string, size: string): SmallDisk {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const done = spawnSync(MOUNT, ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'understudy-test', dir]);
    if (done.status !== 0) throw new Error(`mount: ${done.stderr?.toString()}`);
    const disk = new SmallDisk(dir);
    onTestFinished(() => disk.unmount());
    return disk;
  }

  /** Takes all the room that is left, also what was let go of since the last time. */
  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.dir);
    if (bavail === 0) return;
    const filler = join(this.dir, `filler-${this.#fillers.length}`);
    this.#fillers.push(filler);
    await writeFile(filler, Buffer.alloc(bavail * bsize)).catch((error: NodeJS.ErrnoException) => {
      // Somebody was quicker with a part of it: so it is full.
      if (error.code !== 'ENOSPC') throw error;
    });
  }

  async makeRoom(): Promise<void> {
    for (const filler of this.#fillers.splice(0)) await rm(filler, { force: true });
  }

  unmount(): void {
    if (this.#mounted) spawnSync(UMOUNT, ['-l', this.dir]);
    this.#mounted = false;
  }
}
