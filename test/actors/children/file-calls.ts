import { type FileLayer, nodeFiles, type OpenFile } from '../../../src/storage/file-layer.js';

/** The file calls of this process; call {@link arm} and it kills itself at one of those that come after. */
export interface FileCalls {
  /** Names of the calls since it was armed. */
  readonly calls: readonly string[];
  /** Dies before the call of that number is made, counted from 1 from now on; never for undefined. */
  arm(dieAt: number | undefined): void;
  /** Counts no more, and lives. */
  disarm(): void;
}

/**
 * Puts itself before every call of the machine's file layer. A write counts twice: before its first byte, and when
 * half of its bytes are there.
 */
export function watchFileCalls(): FileCalls {
  const calls: string[] = [];
  let armed = false;
  let dieAt: number | undefined;
  const call = (name: string) => {
    if (!armed) return;
    calls.push(name);
    if (calls.length === dieAt) process.kill(process.pid, 'SIGKILL');
  };
  const wrap = (file: OpenFile): OpenFile => ({
    write: async (bytes) => {
      call('file.write');
      const half = bytes.length >> 1;
      await file.write(bytes.subarray(0, half));
      call('file.write half');
      await file.write(bytes.subarray(half));
    },
    sync: () => (call('file.sync'), file.sync()),
    // To a kill there is no difference between a synced file that is open and one that is closed.
    close: () => file.close(),
  });
  const watched = <A extends unknown[], R>(name: string, act: (...args: A) => Promise<R>) =>
    ((...args: A) => (call(name), act(...args))) as (...args: A) => Promise<R>;
  const { create, append, ...rest } = { ...nodeFiles };
  for (const [name, act] of Object.entries(rest) as [keyof FileLayer, never][]) {
    Object.assign(nodeFiles, { [name]: watched(name, act) });
  }
  nodeFiles.create = watched('create', async (path: string) => wrap(await create(path)));
  nodeFiles.append = watched('append', async (path: string) => wrap(await append(path)));
  return {
    calls,
    arm: (at) => {
      armed = true;
      calls.length = 0;
      dieAt = at;
    },
    disarm: () => {
      armed = false;
    },
  };
}
