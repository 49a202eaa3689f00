import * as A from '@automerge/automerge';
import { splitActorKey } from '../../../src/documents/actor-key.js';
import type { OpenDocument } from '../../../src/node/open-documents.js';

/** An event as one change wrote it. */
export interface WrittenEvent {
  actor: string;
  id: string;
  stamp: number;
  ts: number;
  type: string;
  data: Readonly<Record<string, unknown>>;
  /** Taken over from another generation. */
  late: boolean;
  /** Decides between two writes of one event at one stamp: by cause, then by text. */
  tie: string;
}

interface Change {
  deps: readonly string[];
  events: readonly WrittenEvent[];
  /** `<actor> <effect id>` */
  done: readonly string[];
}

export interface CutRecord {
  parent: string;
  heads: readonly string[];
}

/** Every change that any replica ever made, read by the test's own code: for the oracle. */
export class Ledger {
  readonly cuts = new Map<string, CutRecord>();
  readonly #changes = new Map<string, Change>();

  note(document: OpenDocument, bytes: Uint8Array): void {
    const { hash, deps, ops } = A.decodeChange(bytes);
    const records = (ops as { key?: string; value?: unknown }[]).filter(
      (op): op is { key: string; value: string } => op.key !== undefined && typeof op.value === 'string',
    );
    if (document.name.kind === 'cluster') for (const { key, value } of records) this.#noteCut(key, value);
    this.#changes.set(hash, {
      deps,
      events: records
        .filter(({ key }) => key.startsWith('event:'))
        .map(({ key, value }) => eventIn(key, value)),
      done: records.filter(({ key }) => key.startsWith('done:')).map(({ key }) => key.slice('done:'.length)),
    });
  }

  /** All changes that these heads stand for; the first ones of a document are in no ledger. */
  *upTo(heads: readonly string[]): Iterable<Change> {
    const seen = new Set<string>();
    const left = [...heads];
    for (let hash = left.pop(); hash !== undefined; hash = left.pop()) {
      const change = this.#changes.get(hash);
      if (seen.has(hash) || change === undefined) continue;
      seen.add(hash);
      left.push(...change.deps);
      yield change;
    }
  }

  /** Every write of an event. */
  *events(): Iterable<WrittenEvent> {
    for (const { events } of this.#changes.values()) yield* events;
  }

  /** Two sides each cut twice, from one generation on, without having heard of the other's. */
  hasDoubleCutsApart(): boolean {
    const grandparents = new Map<string, string>();
    for (const { parent } of this.cuts.values()) {
      const before = this.cuts.get(parent);
      if (before === undefined) continue;
      const other = grandparents.get(before.parent);
      if (other !== undefined && other !== parent) return true;
      grandparents.set(before.parent, parent);
    }
    return false;
  }

  #noteCut(key: string, value: string): void {
    const id = /^cut:actors\/0\/\d+\/(.+)$/.exec(key)?.[1];
    if (id === undefined) return;
    const record = JSON.parse(value) as { parent?: [string]; heads?: [string[]] };
    if (record.parent === undefined || record.heads === undefined) return;
    this.cuts.set(id, { parent: record.parent[0], heads: record.heads[0] });
  }
}

function eventIn(key: string, text: string): WrittenEvent {
  const split = splitActorKey(key.slice('event:'.length));
  const record = JSON.parse(text) as {
    event: [{ type: string; ts: number; data?: Record<string, unknown>; late?: boolean }, number, string];
  };
  const [value, stamp, cause] = record.event;
  const { type, ts, data = {}, late = false } = value;
  const tie = `${cause} ${JSON.stringify(value)}`;
  return { actor: split?.actor ?? '', id: split?.id ?? '', stamp, ts, type, data, late, tie };
}
