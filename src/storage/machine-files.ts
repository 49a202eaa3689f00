import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseMachineFiles, type LoadedMachine, type MachineFile } from '../actors/json/machine-file.js';
import { MOST_BYTES } from '../actors/json/text.js';
import { errnoOf } from './file-layer.js';

/**
 * The machines of a folder's `*.json` files, in the order of their names; none when there is no such folder. Folders
 * within it are not looked into.
 *
 * @throws {MachineFileError} with every problem of every file; file system errors as they are.
 */
export async function loadMachines(dir: string): Promise<LoadedMachine[]> {
  const files: MachineFile[] = [];
  for (const name of await machineFiles(dir)) {
    const file = join(dir, name);
    files.push({ file, bytes: await readBounded(file) });
  }
  return parseMachineFiles(files);
}

async function machineFiles(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries
      .filter((entry) => entry.name.endsWith('.json') && (entry.isFile() || entry.isSymbolicLink()))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** At most one byte more than a machine file may have, which is enough to see that it has too many. */
async function readBounded(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const buffer = new Uint8Array(MOST_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}
