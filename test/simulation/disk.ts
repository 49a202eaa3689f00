import type { JournalEntry } from '../../src/bot/journal.js';
import type { FieldMap } from '../../src/documents/record.js';
import type { Kind } from '../../src/documents/schemas/kinds.js';

export interface StoredRecord {
  kind: Kind;
  key: string;
  fields: FieldMap;
}

/** A replica's data folder: what outlives its processes, and goes when it is wiped. */
export class Disk {
  readonly records = new Map<string, StoredRecord>();
  readonly journal: JournalEntry[][] = [];
  /** Simulated ms until a write is durable. */
  writeMs = 1;
}
