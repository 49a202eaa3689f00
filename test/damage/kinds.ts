import { cp, mkdir, readdir, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** What can happen to a file. */
export interface Damage {
  name: string;
  /** @param other a file of the same folder that holds something else. */
  do: (path: string, other: string) => Promise<unknown>;
}

export const damages: Damage[] = [
  { name: 'emptied', do: (path) => truncate(path, 0) },
  {
    name: 'cut in the middle',
    do: async (path) => truncate(path, Math.floor((await readFile(path)).length / 2)),
  },
  {
    name: 'a bit flipped',
    do: async (path) => {
      const bytes = await readFile(path);
      const at = Math.floor(bytes.length * 0.4);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
      await writeFile(path, bytes);
    },
  },
  { name: 'removed', do: (path) => unlink(path) },
  {
    name: 'a folder in its place',
    do: async (path) => {
      await unlink(path);
      await mkdir(path);
      await writeFile(join(path, 'within'), 'x');
    },
  },
  {
    name: 'another file in its place',
    do: async (path, other) => {
      await cp(other, `${path}.other`);
      await rename(`${path}.other`, path);
    },
  },
];

/** One kind of file of a replica's folder, and the one that stands for it. */
export interface FileKind {
  name: string;
  /** In the folder. */
  path: string;
  /** Name of the document that it is a chunk of. */
  document?: string;
}

const small = ['replica.json', 'generations.json', 'attendance.json', 'keyed.json', 'delivery.journal'];
const rest = ['lock', 'lock.copy', 'control.sock'];

/** One file of each kind that a data folder holds. @param ids of documents, by name. */
export async function kindsIn(dir: string, ids: Record<string, string>): Promise<FileKind[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort();
  const named = Object.fromEntries(Object.entries(ids).map(([name, id]) => [id, name]));
  const id = (family: string) => ids[`${family}/0`] ?? '';
  const kinds = new Map<string, FileKind>();
  const add = (kind: FileKind): void => void (kinds.has(kind.name) || kinds.set(kind.name, kind));
  for (const path of files) {
    const [top = '', two = '', tail = '', type] = path.split('/');
    const document = top === 'documents' ? named[two + tail] : undefined;
    if (small.includes(path) || rest.includes(path)) add({ name: path, path });
    else if (document !== undefined && type !== undefined) {
      add({ name: `${type} of ${document.split('/')[0]}`, path, document });
    } else if (two === 'checksums') {
      if (path.includes(id('routing'))) add({ name: 'checksum of a chunk', path });
    } else if (top === 'documents') add({ name: `${two}${tail}`, path });
    else add({ name: top, path });
  }
  return [...kinds.values()];
}

/** Damages one file of a folder. */
export async function harm(dir: string, kind: FileKind, damage: Damage, other: string): Promise<void> {
  const path = join(dir, kind.path);
  await mkdir(dirname(path), { recursive: true });
  await damage.do(path, join(dir, other));
}

/** A copy of a folder without what can be no file of a copy. */
export async function copyOf(dir: string, to: string): Promise<string> {
  await rm(to, { recursive: true, force: true, maxRetries: 10 });
  await cp(dir, to, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  // What a killed process leaves of its socket is a file that nobody listens at.
  await writeFile(join(to, 'control.sock'), 'left');
  return to;
}
