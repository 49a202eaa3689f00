import { nodeFiles } from '../../src/storage/file-layer.js';
import type { FileLayer, OpenFile } from '../../src/storage/file-layer.js';

export type Call = keyof FileLayer | `file.${keyof OpenFile}`;

/** Decides for each call whether it fails, and with which errno. */
export type Fault = (call: Call, path: string) => string | undefined;

export function errno(code: string, path = ''): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** The machine's file layer with faults: a failing `file.write` leaves half of its bytes behind. */
export function faultyFiles(fault: Fault, seen: (call: Call, path: string) => void = () => {}): FileLayer {
  const check = (call: Call, path: string) => {
    seen(call, path);
    const code = fault(call, path);
    if (code !== undefined) throw errno(code, path);
  };
  const wrap = (path: string, file: OpenFile): OpenFile => ({
    write: async (bytes) => {
      seen('file.write', path);
      const code = fault('file.write', path);
      if (code === undefined) return await file.write(bytes);
      await file.write(bytes.subarray(0, bytes.length >> 1));
      throw errno(code, path);
    },
    sync: async () => {
      check('file.sync', path);
      await file.sync();
    },
    close: () => file.close(),
  });
  const guarded =
    <A extends [string, ...unknown[]], R>(call: Call, act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      check(call, args[0]);
      return await act(...args);
    };
  return {
    read: guarded('read', nodeFiles.read),
    exists: guarded('exists', nodeFiles.exists),
    list: guarded('list', nodeFiles.list),
    facts: guarded('facts', nodeFiles.facts),
    create: guarded('create', async (path: string) => wrap(path, await nodeFiles.create(path))),
    append: guarded('append', async (path: string) => wrap(path, await nodeFiles.append(path))),
    rename: guarded('rename', nodeFiles.rename),
    link: guarded('link', nodeFiles.link),
    remove: guarded('remove', nodeFiles.remove),
    makeFolder: guarded('makeFolder', nodeFiles.makeFolder),
    makePrivate: guarded('makePrivate', nodeFiles.makePrivate),
    syncFolder: guarded('syncFolder', nodeFiles.syncFolder),
  };
}
