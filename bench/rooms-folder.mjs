import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Child } from './child.mjs';
import { progress } from './progress.mjs';

export const clusterId = 'benchmark-cluster-id-of-no-other-use-0123456789';

/** Folders of a node that holds `rooms` rooms: filled once, through the node itself, then copied. */
export class RoomsFolder {
  #filled;

  constructor(scratch, rooms) {
    this.scratch = scratch;
    this.rooms = rooms;
  }

  /** A folder of its own for `name`. */
  async copy(name) {
    const filled = await (this.#filled ??= this.#fill());
    const dir = join(this.scratch, name);
    await cp(filled, dir, { recursive: true });
    return dir;
  }

  async #fill() {
    progress(`writing ${this.rooms} rooms, one change each`);
    const dir = join(this.scratch, 'rooms');
    await mkdir(dir, { mode: 0o700 });
    const child = new Child('state.mjs');
    await child.ask('open', { dir, clusterId, found: true, durability: 'os' });
    await child.ask('fill', { rooms: this.rooms }, 900_000);
    await child.close();
    return dir;
  }
}
