import * as A from '@automerge/automerge';
import type { BackupFolder } from '../../backup/backup-folder.js';
import type { Document } from '../../documents/document.js';
import { describeDocument, type DocumentName } from '../../documents/ids.js';
import type { Log } from '../../telemetry/log.js';
import type { NodeCounters } from '../counters.js';
import type { DocumentRecovered, NodeEvents } from '../node-events.js';

export interface HealingContext {
  folder: BackupFolder;
  /** Documents that have lost chunks on this disk. */
  incomplete: Set<string>;
  counters: NodeCounters;
  events: Pick<NodeEvents, 'emit'>;
  log: Log;
}

/**
 * The second of the three steps by which a document is recovered: what this disk has of it, then a backup, then peers.
 * A backup is merged in, so one that is older than what is left does no harm.
 */
export class Healing {
  /** Ids in all backups: a document that never was here is opened without a look at each of them. */
  #known: Promise<ReadonlySet<string>> | undefined;

  constructor(private readonly context: HealingContext) {}

  /** Backups were made or removed. */
  changed(): void {
    this.#known = undefined;
  }

  /**
   * What the newest good backup has of a document that lost chunks, or that is missing although it was once here; of
   * older ones too while changes are lacking that others rest on. Never rejects: a start goes on without its backups.
   *
   * @param onDisk what this disk gave of it; undefined for nothing.
   */
  async fromBackup(name: DocumentName, id: string, onDisk: Document | undefined): Promise<Uint8Array[]> {
    const { incomplete, counters, log } = this.context;
    const lacking = new Set(onDisk === undefined ? [] : A.getMissingDeps(onDisk, []));
    const isDamaged = incomplete.has(id) || lacking.size > 0;
    if (onDisk !== undefined && !isDamaged) return [];
    const document = describeDocument(name);
    try {
      const found = await this.#bytesOf(id, document, lacking);
      if (found.length > 0) {
        counters.recovery.fromBackup += 1;
        this.#tell('from-backup', document, 'merged with what backups have of it');
        // Newer changes than the backup's may be lost: it counts as whole when a relay has shown what it has.
        incomplete.add(id);
      } else if (isDamaged) {
        counters.recovery.notInBackup += 1;
        this.#tell('not-in-backup', document, 'it lost changes, and no good backup holds it');
        log.warn({ document }, 'a document lost changes on disk, and no good backup holds it');
      }
      return found;
    } catch (error) {
      counters.recovery.failures += 1;
      log.error({ err: error, document }, 'the backups cannot be read: going on without them');
      return [];
    }
  }

  #tell(step: DocumentRecovered['step'], document: string, reason: string): void {
    this.context.events.emit({ type: 'state:recovered', step, document, reason, quarantined: undefined });
  }

  async #bytesOf(id: string, document: string, lacking: Set<string>): Promise<Uint8Array[]> {
    const { folder, log } = this.context;
    this.#known ??= idsIn(folder);
    if (!(await this.#known).has(id)) return [];
    const found: Uint8Array[] = [];
    for await (const { name: backup, bytes } of folder.holding(id, log)) {
      const loaded = A.load(bytes, { allowMissingChanges: true, actor: '00' });
      for (const hash of lacking) if (A.hasHeads(loaded, [hash])) lacking.delete(hash);
      const changes = A.stats(loaded).numChanges;
      A.free(loaded);
      found.push(bytes);
      log.warn(
        { document, backup, changes },
        'a document that lost changes on disk is merged with its backup',
      );
      if (lacking.size === 0) break;
    }
    return found;
  }
}

async function idsIn(folder: BackupFolder): Promise<ReadonlySet<string>> {
  const all = await folder.list({ contents: false });
  return new Set(
    all.flatMap((one) => (one.state === 'good' ? one.manifest.documents.map(({ id }) => id) : [])),
  );
}
