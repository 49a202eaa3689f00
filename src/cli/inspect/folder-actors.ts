import * as A from '@automerge/automerge';
import { readBase } from '../../actors/base.js';
import { logsOf } from '../../actors/cut.js';
import { machineOf } from '../../actors/key.js';
import { ActorLog } from '../../actors/log.js';
import type { Machines } from '../../actors/machines.js';
import { effectivePosition } from '../../actors/plan.js';
import { snapshotOf, type ActorSnapshot } from '../../actors/snapshot.js';
import { readAuditPart } from '../../documents/audit-document.js';
import type { Document } from '../../documents/document.js';
import type { DocumentKind } from '../../documents/ids.js';
import { kinds } from '../../documents/schemas/kinds.js';
import { NodeHistory } from '../../node/audit/node-history.js';
import { byUrgency, listed, type ListedActor } from '../../node/audit/questions.js';
import { DEFAULT_SHARDS } from '../../node/options.js';
import { recordView } from '../../node/record-view.js';
import { Records } from '../../node/records.js';
import { chainOf } from '../../node/generations/chain.js';
import type { Cut } from '../../node/generations/cut.js';
import { systemClock } from '../../time/clock.js';
import { currentOf, cutsIn, loadDocuments, type Loaded } from './folder.js';
import type { Keyring } from '../../storage/sealed-chunks.js';

/** The actors of a data folder that no process holds, read from its files. Free it when done. */
export class FolderActors {
  readonly histories: NodeHistory;
  readonly #cuts: ReadonlyMap<number, Cut[]>;
  readonly #current: ReadonlyMap<number, Loaded>;
  readonly #records: Records;

  private constructor(
    private readonly documents: readonly Loaded[],
    private readonly machines: Machines,
    /** Files that could not be used, and values that are not well formed. */
    readonly faults: string[],
  ) {
    this.#cuts = cutsIn(documents, faults);
    this.#current = currentOf(documents, this.#cuts);
    this.#records = new Records({ document: (kind, index) => this.#document(kind, index) }, this.#count);
    this.#records.readShards(DEFAULT_SHARDS);
    for (const { family, index } of documents) if (family === 'routing') this.#records.indexRooms(index);
    this.histories = this.#openHistories();
  }

  static async open(dataDir: string, keys: Keyring, machines: Machines): Promise<FolderActors> {
    const faults: string[] = [];
    return new FolderActors(await loadDocuments(dataDir, keys, faults), machines, faults);
  }

  /** Every actor where it stands; of a machine that is not known here, where its last writer saw it. */
  list(machine?: string): ListedActor[] {
    const actors: ListedActor[] = [];
    for (const [key, log] of this.#logs(machine)) {
      const snapshot = snapshotOf(key, this.machines, effectivePosition(log, this.machines));
      const isUnknown = this.machines.latest(snapshot.machine) === undefined;
      actors.push(listed(isUnknown ? this.#lastSaid(snapshot) : snapshot));
    }
    return actors.sort(byUrgency);
  }

  /** After two foundings apart an actor may have events in two shards: they are folded together. */
  #logs(machine: string | undefined): Map<string, ActorLog> {
    const logs = new Map<string, ActorLog>();
    for (const { document } of this.#current.values()) {
      for (const [key, log] of logsOf(document, this.machines, this.#count)) {
        if (machine !== undefined && !key.startsWith(`${machine}/`)) continue;
        const known = logs.get(key);
        logs.set(key, known === undefined ? log : this.#joined(key, known, log));
      }
    }
    return logs;
  }

  #joined(key: string, ...logs: readonly ActorLog[]): ActorLog {
    const stored = this.#records.joined('base', kinds.base.prefix + key)?.get('base')?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(key), this.machines, stored);
    const joined = new ActorLog(key, this.machines, base);
    for (const { events } of logs) for (const event of events) joined.insert(event);
    return joined;
  }

  free(): void {
    for (const { document } of this.documents) A.free(document);
  }

  #lastSaid(snapshot: ActorSnapshot): ActorSnapshot {
    const record = this.#records.joined('actor', kinds.actor.prefix + snapshot.key);
    const saved = kinds.actor.fields.current_state.schema.safeParse(record?.get('current_state')?.value).data;
    if (saved === undefined) return snapshot;
    const { key, machine, context } = snapshot;
    const status = saved.status === 'done' ? 'done' : 'active';
    return { key, machine, version: saved.version, status, value: saved.value, context };
  }

  #openHistories(): NodeHistory {
    return new NodeHistory({
      store: {
        read: ({ index, generation, heads }) => Promise.resolve(this.#archive(index, generation, heads)),
        write: () => Promise.reject(new Error('a folder is only read')),
      },
      machines: () => this.machines,
      view: recordView(this.#records, this.#count),
      shardsOf: (actor) => this.#records.shardsOfActor(actor),
      cutsOf: (shard) =>
        chainOf(this.#cuts.get(shard) ?? [])
          .slice(0, this.#current.get(shard)?.generation ?? 0)
          .map(({ generation, heads }) => ({ generation: generation - 1, heads })),
      current: (shard) => this.#current.get(shard),
      count: this.#count,
      clock: systemClock,
    });
  }

  #archive(index: number, generation: number, heads: readonly string[]): string[] | undefined {
    const wanted = [...heads].sort().join(' ');
    const parts = this.documents
      .filter((one) => one.family === 'audit' && one.index === index && one.generation === generation)
      .map(({ document }) => readAuditPart(document))
      .filter((part) => part !== undefined)
      .filter((part) => part.heads.join(' ') === wanted)
      .sort((a, b) => a.part - b.part);
    const whole = parts.length > 0 && parts.length === parts[0]?.parts;
    return whole ? parts.flatMap(({ lines }) => [...lines]) : undefined;
  }

  #document(kind: DocumentKind, index: number): Document | undefined {
    if (kind === 'actors') return this.#current.get(index)?.document;
    return this.documents.find((one) => one.family === kind && one.index === index)?.document;
  }

  readonly #count = (what: string): void => void this.faults.push(`malformed ${what}`);
}
