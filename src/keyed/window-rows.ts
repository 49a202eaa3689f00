import type { FieldMap } from '../documents/record.js';

/** The documents of one namespace, as the core sees them: one map of records for each window that is open. */
export interface WindowRows {
  isOpen(window: number): boolean;
  /** Keys of records, with their prefix; those of others may be among them. */
  keys(window: number): Iterable<string>;
  /** The record, concurrent values joined. Undefined in a window that is not open. */
  read(window: number, recordKey: string): FieldMap | undefined;
  /** Makes one change, visible at once and on its way to disk and peers. Throws when the document cannot be written. */
  write(window: number, recordKey: string, record: FieldMap): void;
}
