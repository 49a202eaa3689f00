/** One document came to another version of the data format, on this disk. */
export interface MigratedEvent {
  type: 'state:migrated';
  document: string;
  from: number;
  to: number;
  /** Records that stand in another form now. */
  records: number;
  /** The backup from which a rollback takes what stood before; undefined for what a release before wrote late. */
  backup: string | undefined;
}

export type MigrationOutcome =
  | { state: 'nothing' }
  /** Members that do not know the schema yet, with the one they know. */
  | { state: 'waiting'; members: { replica: string; schema: number }[] }
  | { state: 'held'; schema: number }
  | { state: 'done'; documents: number; records: number; backup: string | undefined };

/** How the documents of a running node stand. */
export interface MigrationStatus {
  state: 'idle' | 'running';
  /** The highest schema that this software knows. */
  known: number;
  /** Documents by the schema that they have. */
  documents: { schema: number; count: number }[];
  /** Documents of a newer release: read, never written. */
  readOnly: { document: string; schema: number }[];
  /** Documents that are to come to a higher schema. */
  due: number;
  members: { replica: string; schema: number }[];
  /** Schemas that the operator keeps from being turned on. */
  held: number[];
  progress: { documents: number; of: number } | undefined;
  /** Documents migrated since the start, records in them, and attempts that failed. */
  migrated: number;
  records: number;
  failed: number;
  /** Why the last attempt failed; undefined once one went through. */
  fault: string | undefined;
}
