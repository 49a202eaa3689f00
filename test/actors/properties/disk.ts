import type { Chunk, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import type { AttendanceFile, AttendanceValue } from '../../../src/node/attendance.js';
import type { StoredDocuments } from '../../../src/node/generations/stored-documents.js';

/** The disk of one replica, in memory: it outlives a kill, and what it has not confirmed by then is lost. */
export class Disk {
  readonly #files = new Map<string, { key: StorageKey; data: Uint8Array }>();
  attendance: AttendanceValue | undefined;
  /** Bumped by a kill: what an earlier process still had under way never lands. */
  #process = 0;
  #stalled: { thawed: Promise<void>; thaw: () => void } | undefined;

  /** Nothing lands until {@link thaw}. */
  stall(): void {
    if (this.#stalled !== undefined) return;
    let thaw = (): void => {};
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve;
    });
    this.#stalled = { thawed, thaw };
  }

  thaw(): void {
    this.#stalled?.thaw();
    this.#stalled = undefined;
  }

  kill(): void {
    this.#process += 1;
    this.thaw();
  }

  get process(): number {
    return this.#process;
  }

  has(id: string): boolean {
    return [...this.#files.values()].some(({ key }) => key[0] === id);
  }

  /** The adapter of a process that begins now. */
  adapter(): StorageAdapterInterface {
    const process = this.#process;
    const landed = async (): Promise<boolean> => {
      if (this.#stalled !== undefined) await this.#stalled.thawed;
      if (process === this.#process) return true;
      // A process that was killed hears nothing any more.
      return new Promise<boolean>(() => {});
    };
    const under = (prefix: StorageKey): { key: StorageKey; data: Uint8Array }[] =>
      [...this.#files.values()].filter(({ key }) => prefix.every((part, index) => key[index] === part));
    return {
      load: (key) => Promise.resolve(this.#files.get(key.join('/'))?.data),
      loadRange: (prefix): Promise<Chunk[]> => Promise.resolve(under(prefix)),
      save: async (key, data) => {
        if (await landed()) this.#files.set(key.join('/'), { key, data });
      },
      remove: async (key) => {
        if (await landed()) this.#files.delete(key.join('/'));
      },
      removeRange: async (prefix) => {
        if (await landed()) for (const { key } of under(prefix)) this.#files.delete(key.join('/'));
      },
    };
  }
}

/** What a replica's folder says of the generations in it: here the disk itself is asked. */
export function storedIn(disk: Disk): StoredDocuments {
  const added = new Set<string>();
  const adapter = disk.adapter();
  const stored: Pick<StoredDocuments, 'begun' | 'has' | 'added' | 'begin' | 'end' | 'remove'> = {
    begun: [],
    has: (id) => added.has(id) || disk.has(id),
    added: (id) => void added.add(id),
    begin: (id) => Promise.resolve(void added.add(id)),
    end: () => Promise.resolve(),
    remove: async (id) => {
      added.delete(id);
      await adapter.removeRange([id]);
    },
  };
  return stored as StoredDocuments;
}

/** What a replica's folder says of who was away; a kill takes what was not written. */
export function attendanceOn(disk: Disk): AttendanceFile {
  const process = disk.process;
  return {
    read: () => Promise.resolve(disk.attendance),
    write: (value) => {
      if (process === disk.process) disk.attendance = value;
      return Promise.resolve();
    },
  };
}
