import { open } from 'node:fs/promises';

/** A file open for reading at any place of it. */
export interface ReadableFile {
  readonly size: number;
  /** Fewer bytes than asked for only where the file ends. */
  read(position: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

export type OpenReadable = (path: string) => Promise<ReadableFile>;

/** On this machine's disk. Errors are Node's own. */
export const openReadable: OpenReadable = async (path) => {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    return {
      size,
      async read(position, length) {
        const bytes = Buffer.allocUnsafe(length);
        let done = 0;
        for (let read = -1; done < length && read !== 0; done += read) {
          ({ bytesRead: read } = await handle.read(bytes, done, length - done, position + done));
        }
        return bytes.subarray(0, done);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
};
