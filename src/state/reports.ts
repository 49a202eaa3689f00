import { join } from 'node:path';
import { makeFolderDurably, removeIfThere, writeAtomically } from '../storage/atomic-write.js';
import type { FileLayer } from '../storage/file-layer.js';
import { encodeFileName } from '../storage/filename.js';
import { inFolder } from '../storage/in-folder.js';
import type { Log } from '../telemetry/log.js';

export const reportFormats = ['md', 'txt', 'html', 'json', 'csv'] as const;
export type ReportFormat = (typeof reportFormats)[number];

/** Reports of this replica: `reports/<encoded id>.<format>`, mode 0600; one of an id and format, old or new. */
export class Reports {
  readonly #folder: string;
  /** By path: two that save one report at once would write one temporary file. */
  readonly #writing = new Map<string, Promise<void>>();

  constructor(
    dir: string,
    private readonly files: FileLayer,
    private readonly log: Log,
  ) {
    this.#folder = join(dir, 'reports');
  }

  /** Makes the folder, and takes away what a kill left half written. */
  async open(): Promise<void> {
    await makeFolderDurably(this.files, this.#folder);
    for (const { name, folder } of await this.files.list(this.#folder)) {
      // No report ends so.
      if (!folder && name.endsWith('.tmp')) await removeIfThere(this.files, join(this.#folder, name));
    }
  }

  /** Resolves to its path when it is on disk; the last of several calls for one report stands. */
  async save(id: string, content: string | Uint8Array, format: ReportFormat): Promise<string> {
    const path = join(this.#folder, `${encodeFileName(id)}.${format}`);
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const { files, log } = this;
    const write = () => inFolder(this.#folder, { files, log }, () => writeAtomically(files, path, bytes));
    // The one before has told its own caller of its error.
    const mine = (this.#writing.get(path) ?? Promise.resolve()).then(write, write);
    this.#writing.set(path, mine);
    try {
      await mine;
    } finally {
      if (this.#writing.get(path) === mine) this.#writing.delete(path);
    }
    return path;
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing.values());
  }
}
