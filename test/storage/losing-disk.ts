import { basename, dirname } from 'node:path';
import type { FileLayer, OpenFile } from '../../src/storage/file-layer.js';
import { errno, type Call } from './faulty-files.js';

interface File {
  data: Buffer;
  /** What a loss of power leaves of it for sure. */
  synced: Buffer;
}

interface Folder {
  entries: Map<string, Node>;
  synced: Map<string, Node>;
  /** What each name has stood for since it was synced: the disk may have written any of it, at a time of its own. */
  since: Map<string, (Node | undefined)[]>;
}

type Node = File | Folder;

const isFolder = (node: Node | undefined): node is Folder => node !== undefined && 'entries' in node;
const newFolder = (): Folder => ({ entries: new Map(), synced: new Map(), since: new Map() });

/**
 * What a loss of power does with what was not synced. `forgets`: all of it is gone. `keeps`: nothing is, as after a
 * kill alone. `some`: each name is what it was at any time since, and each file has a part of its unsynced
 * content, as the random numbers say.
 */
export type Loss = 'forgets' | 'keeps' | 'some';

/**
 * A disk in memory that knows what of it was synced: contents by `file.sync`, names by `syncFolder` of their folder,
 * and nothing by anything else. POSIX promises no more.
 */
export class LosingDisk {
  readonly calls: string[] = [];
  readonly #root: Folder;
  #dieAt: number | undefined;
  #died: () => void = () => {};
  #isDead = false;

  constructor(root: Folder = newFolder()) {
    this.#root = root;
  }

  /** From now on counts calls from 1; dies at that one, which and whose successors never return. */
  arm(dieAt?: number): Promise<void> {
    this.calls.length = 0;
    this.#dieAt = dieAt;
    return new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  /** The disk as it is found afterwards; this one is dead. */
  afterLoss(loss: Loss, random: () => number = Math.random): LosingDisk {
    this.#isDead = true;
    const found = new Map<Node, Node>();
    const take = (node: Node): Node => {
      const known = found.get(node);
      if (known) return known;
      if (!isFolder(node)) {
        const data = contentAfter(node, loss, random);
        const file = { data, synced: data };
        found.set(node, file);
        return file;
      }
      const folder = newFolder();
      found.set(node, folder);
      for (const name of new Set([...node.synced.keys(), ...node.since.keys()])) {
        const states = [node.synced.get(name), ...(node.since.get(name) ?? [])];
        const at = { forgets: 0, keeps: states.length - 1, some: Math.floor(random() * states.length) };
        const child = states[at[loss]];
        if (child) folder.entries.set(name, take(child));
      }
      folder.synced = new Map(folder.entries);
      return folder;
    };
    return new LosingDisk(take(this.#root) as Folder);
  }

  /** Changes a file behind everybody's back. */
  edit(path: string, change: (data: Buffer) => Buffer): void {
    const file = this.#at(path);
    if (!file || isFolder(file)) throw errno('ENOENT', path);
    file.data = change(file.data);
    file.synced = file.data;
  }

  readonly files: FileLayer = {
    read: (path) => this.#call('read', path, () => new Uint8Array(this.#file(path).data)),
    exists: (path) => this.#call('exists', path, () => this.#at(path) !== undefined),
    list: (path) =>
      this.#call('list', path, () =>
        [...this.#folder(path).entries].map(([name, node]) => ({ name, folder: isFolder(node) })),
      ),
    facts: (path) => this.#call('facts', path, () => ({ bytes: this.#file(path).data.length, writtenAt: 0 })),
    create: (path) =>
      this.#call('create', path, () => {
        if (this.#at(path)) throw errno('EEXIST', path);
        const file = { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
        name(this.#folder(dirname(path)), basename(path), file);
        return this.#open(path, file);
      }),
    append: (path) => this.#call('append', path, () => this.#open(path, this.#file(path))),
    rename: (from, to) =>
      this.#call('rename', from, () => {
        const [source, target] = [this.#folder(dirname(from)), this.#folder(dirname(to))];
        const node = source.entries.get(basename(from));
        if (!node) throw errno('ENOENT', from);
        if (isFolder(target.entries.get(basename(to)))) throw errno('EISDIR', to);
        name(source, basename(from), undefined);
        name(target, basename(to), node);
      }),
    link: (existing, path) =>
      this.#call('link', existing, () => {
        if (this.#at(path)) throw errno('EEXIST', path);
        name(this.#folder(dirname(path)), basename(path), this.#file(existing));
      }),
    remove: (path) =>
      this.#call('remove', path, () => {
        this.#file(path);
        name(this.#folder(dirname(path)), basename(path), undefined);
      }),
    makeFolder: (path) =>
      this.#call('makeFolder', path, () => {
        let topmost: string | undefined;
        const make = (at: string): void => {
          if (this.#at(at)) return void this.#folder(at);
          make(dirname(at));
          name(this.#folder(dirname(at)), basename(at), newFolder());
          topmost ??= at;
        };
        make(path);
        return topmost;
      }),
    makePrivate: (path) => this.#call('makePrivate', path, () => {}),
    syncFolder: (path) =>
      this.#call('syncFolder', path, () => {
        const folder = this.#folder(path);
        folder.synced = new Map(folder.entries);
        folder.since.clear();
      }),
  };

  #open(path: string, file: File): OpenFile {
    return {
      write: async (bytes) => {
        const half = bytes.length >> 1;
        const put = (part: Uint8Array) => {
          file.data = Buffer.concat([file.data, part]);
        };
        await this.#call('file.write', path, () => put(bytes.subarray(0, half)));
        await this.#call('file.write', path, () => put(bytes.subarray(half)));
      },
      sync: () =>
        this.#call('file.sync', path, () => {
          file.synced = file.data;
        }),
      close: () => Promise.resolve(),
    };
  }

  async #call<T>(call: Call, path: string, act: () => T): Promise<T> {
    // One turn, as a disk takes its time.
    await Promise.resolve();
    if (this.#isDead) return await new Promise<never>(() => {});
    this.calls.push(`${call} ${path}`);
    if (this.calls.length === this.#dieAt) {
      this.#isDead = true;
      this.#died();
      return await new Promise<never>(() => {});
    }
    return act();
  }

  #at(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (!isFolder(node)) return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  #folder(path: string): Folder {
    const node = this.#at(path);
    if (isFolder(node)) return node;
    throw errno(node ? 'ENOTDIR' : 'ENOENT', path);
  }

  #file(path: string): File {
    const node = this.#at(path);
    if (node && !isFolder(node)) return node;
    throw errno(node ? 'EISDIR' : 'ENOENT', path);
  }
}

function name(folder: Folder, as: string, node: Node | undefined): void {
  if (node) folder.entries.set(as, node);
  else folder.entries.delete(as);
  folder.since.set(as, [...(folder.since.get(as) ?? []), node]);
}

function contentAfter(file: File, loss: Loss, random: () => number): Buffer {
  if (loss === 'keeps' || file.data === file.synced) return file.data;
  if (loss === 'forgets' || random() < 0.3) return file.synced;
  // Files grow at their end alone, and what is synced of one stays.
  const length = file.synced.length + Math.floor(random() * (file.data.length - file.synced.length + 1));
  const found = Buffer.from(file.data.subarray(0, length));
  // Blocks that were given to the file and never written hold zeros.
  return random() < 0.5 ? found : found.fill(0, file.synced.length);
}
