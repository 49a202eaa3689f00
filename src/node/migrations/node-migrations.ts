import * as A from '@automerge/automerge';
import { describeDocument } from '../../documents/ids.js';
import { migrationChange } from '../../documents/migrations/migration-change.js';
import { migrationOf } from '../../documents/migrations/migration.js';
import { MigrationError } from '../../documents/migrations/errors.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import { schemaOf } from '../../documents/schema.js';
import type { CountMalformed } from '../../documents/errors.js';
import { kinds } from '../../documents/schemas/kinds.js';
import type { Cause, Write } from '../../documents/write.js';
import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';
import { NodeError } from '../errors.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { Records } from '../records.js';
import { heldIn, membersOf } from './members.js';
import { DEFAULT_MIGRATIONS, type MigrationOptions } from './options.js';
import type { MigratedEvent, MigrationOutcome, MigrationStatus } from './status.js';

/** So long counts what was seen of the documents' schemas, milliseconds. */
const LOOKED_MS = 100;
/** What a release before wrote while a document was migrated is taken up at once, so often. */
const ROUNDS = 3;

export interface NodeMigrationsContext {
  schemas: Schemas;
  options: MigrationOptions;
  documents: OpenDocuments;
  /** Those that are read: of an actors shard, of its current generation. */
  current: () => OpenDocument[];
  records: Records;
  /** Makes a backup and gives its name. */
  backUp: () => Promise<string>;
  change: (writes: readonly Write[], cause: Cause) => Promise<void>;
  /** Milliseconds until it is this replica's turn, for what has been due since then (monotonic). */
  turn: (since: number, patienceMs: number) => number;
  /** Sends a change of ours to the other replicas. */
  sent: (document: OpenDocument, bytes: Uint8Array) => void;
  count: CountMalformed;
  clock: Clock;
  log: Log;
}

/** Brings the documents of a running node to the schema that its release has, when every member knows it. */
export class NodeMigrations {
  readonly #handlers = new Set<(event: MigratedEvent) => void>();
  readonly #ended = new AbortController();
  readonly #options: Required<MigrationOptions>;
  /** Heads at which nothing was to be done. */
  readonly #clean = new Map<string, string>();
  #running: Promise<MigrationOutcome> | undefined;
  #since: number | undefined;
  #stop: Cancel = () => {};
  #said = { migrated: 0, records: 0, failed: 0 };
  #progress: MigrationStatus['progress'];
  #fault: string | undefined;
  #told = '';
  #looked: { at: number; isReader: boolean } | undefined;

  constructor(private readonly context: NodeMigrationsContext) {
    this.#options = { ...DEFAULT_MIGRATIONS, ...context.options };
  }

  /** From now on documents are migrated by themselves, and what is newer than this software is said. */
  start(): void {
    const { clock } = this.context;
    const { everyMs } = this.#options;
    this.#look();
    this.#stop = clock.every(everyMs, () => this.#look());
  }

  /** Called for every document that was migrated, when it is on this disk. Returns the unsubscriber. */
  on(handle: (event: MigratedEvent) => void): () => void {
    this.#handlers.add(handle);
    return () => void this.#handlers.delete(handle);
  }

  /** Documents of a newer release, which this replica reads and does not write (PROTOCOL O1). */
  readOnly(): { document: string; schema: number }[] {
    const { known } = this.context.schemas;
    return this.context.current().flatMap(({ name, handle }) => {
      const schema = schemaOf(handle.doc());
      return schema !== undefined && schema > known ? [{ document: describeDocument(name), schema }] : [];
    });
  }

  /** Some document is {@link readOnly}; looked at now and then, because whose turn it is is asked for every actor. */
  isReader(): boolean {
    const now = this.context.clock.monotonic();
    if (this.#looked === undefined || now - this.#looked.at > LOOKED_MS) {
      this.#looked = { at: now, isReader: this.readOnly().length > 0 };
    }
    return this.#looked.isReader;
  }

  status(): MigrationStatus {
    const { schemas, records, clock } = this.context;
    const counts = new Map<number, number>();
    for (const { handle } of this.context.current()) {
      const schema = schemaOf(handle.doc());
      if (schema !== undefined) counts.set(schema, (counts.get(schema) ?? 0) + 1);
    }
    return {
      state: this.#running === undefined ? 'idle' : 'running',
      known: schemas.known,
      documents: [...counts]
        .map(([schema, count]) => ({ schema, count }))
        .sort((a, b) => a.schema - b.schema),
      readOnly: this.readOnly(),
      due: this.#due().length,
      members: membersOf(records, clock.now()),
      held: heldIn(records),
      progress: this.#progress,
      ...this.#said,
      fault: this.#fault,
    };
  }

  /**
   * Migrates what is due, once every member knows the schema: backup, change on a copy, held against what stood before,
   * on disk, and only then in force here. A call while another is under way shares it. The same on two replicas at
   * once, or again after a kill, comes to the same documents.
   *
   * @param asked by the operator: a schema that is held is let go.
   * @throws {MigrationError}, {BackupError}, file system errors; {NodeError} `closed`.
   */
  run(asked = false): Promise<MigrationOutcome> {
    this.#running ??= this.#run(asked).finally(() => {
      this.#running = undefined;
      this.#progress = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#stop();
    this.#ended.abort(new NodeError('closed', 'the node is closed'));
    await this.#running?.catch((error: unknown) =>
      this.context.log.info(
        { err: error },
        'a migration was broken off by closing; the next start takes it up',
      ),
    );
  }

  async #run(asked: boolean): Promise<MigrationOutcome> {
    this.#ended.signal.throwIfAborted();
    const { schemas, records, clock } = this.context;
    if (asked) await this.#letGo();
    const due = this.#due();
    if (due.length === 0) return { state: 'nothing' };
    const raising = due.filter((document) => this.#isRaised(document));
    if (raising.length > 0) {
      const [held] = heldIn(records).filter((schema) => schema <= schemas.known);
      if (held !== undefined) return { state: 'held', schema: held };
      const behind = membersOf(records, clock.now()).filter(({ schema }) => schema < schemas.known);
      if (behind.length > 0) return { state: 'waiting', members: behind };
    }
    try {
      const backup = raising.length === 0 ? undefined : await this.context.backUp();
      let changed = 0;
      // The cluster last: who may not write it any more can say nothing of itself.
      const inOrder = [...due].sort(
        (a, b) => Number(a.name.kind === 'cluster') - Number(b.name.kind === 'cluster'),
      );
      for (const [at, document] of inOrder.entries()) {
        this.#progress = { documents: at, of: inOrder.length };
        changed += await this.#migrate(document, backup);
      }
      this.#fault = undefined;
      return { state: 'done', documents: inOrder.length, records: changed, backup };
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#failed(error);
      throw error;
    }
  }

  async #migrate(document: OpenDocument, backup: string | undefined): Promise<number> {
    const { documents, schemas, sent, count, log } = this.context;
    const name = describeDocument(document.name);
    let records = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      if (documents.get(document.id) !== document) return records;
      // What it rests on is on disk before it.
      await this.#orClosed(documents.saver.flush(document.id));
      if (documents.get(document.id) !== document) return records;
      const before = document.handle.doc();
      if (A.getMissingDeps(before, []).length > 0) return records;
      const migration = migrationOf(before, document.name.kind, schemas, count);
      if (migration === undefined) return records;
      const bytes = migrationChange(before, document.name.kind, migration, schemas);
      await this.#orClosed(documents.saver.ahead(document.id, bytes));
      if (documents.get(document.id) !== document) return records;
      documents.apply(document, bytes);
      sent(document, bytes);
      await this.#orClosed(documents.saver.flush(document.id));
      const { from, to } = migration;
      records += migration.records.length;
      this.#said.migrated += 1;
      this.#said.records += migration.records.length;
      log.info({ document: name, from, to, records: migration.records.length, backup }, 'document migrated');
      this.#tell({
        type: 'state:migrated',
        document: name,
        from,
        to,
        records: migration.records.length,
        backup,
      });
    }
    return records;
  }

  #due(): OpenDocument[] {
    const { schemas, count } = this.context;
    if (schemas.steps.length === 0) return [];
    return this.context.current().filter(({ id, name, handle }) => {
      const document = handle.doc();
      const heads = A.getHeads(document).join();
      if (name.kind === 'keyed' || name.kind === 'audit' || this.#clean.get(id) === heads) return false;
      try {
        if (migrationOf(document, name.kind, schemas, count) !== undefined) return true;
      } catch (error) {
        // One document that a step cannot take holds up no other.
        if (!(error instanceof MigrationError)) throw error;
        this.#failed(error, describeDocument(name));
      }
      this.#clean.set(id, heads);
      return false;
    });
  }

  #failed(error: unknown, document?: string): void {
    this.#said.failed += 1;
    this.#fault = error instanceof Error ? error.message : String(error);
    this.context.log.error(
      { err: error, ...(document !== undefined && { document }) },
      'a migration failed: what is not migrated stays as it is, and is tried again',
    );
  }

  #isRaised({ name, handle }: OpenDocument): boolean {
    return (schemaOf(handle.doc()) ?? Infinity) < this.context.schemas.targetOf(name.kind);
  }

  #look(): void {
    this.#sayReadOnly();
    const { clock, turn, log } = this.context;
    if (!this.#options.auto || this.#due().length === 0) {
      this.#since = undefined;
      return;
    }
    this.#since ??= clock.monotonic();
    if (turn(this.#since, this.#options.patienceMs) > 0) return;
    this.run().then(
      (outcome) => {
        if (outcome.state === 'waiting') log.debug({ ...outcome }, 'documents are not migrated yet');
      },
      // Logged and counted where it is made; tried again with the next look.
      () => undefined,
    );
  }

  /** Once for every new set of them. */
  #sayReadOnly(): void {
    const documents = this.readOnly();
    const told = JSON.stringify(documents);
    if (told === this.#told) return;
    this.#told = told;
    if (documents.length === 0) return;
    this.context.log.error(
      { documents, known: this.context.schemas.known },
      'documents were migrated by a newer release: this replica reads them and writes none of them; update it',
    );
  }

  async #letGo(): Promise<void> {
    const { records, change, clock } = this.context;
    for (const schema of heldIn(records)) {
      const key = `${kinds.migration.prefix}${schema}`;
      const now = clock.now();
      await change([{ kind: 'migration', key, fields: { held: false } }], { id: `migrate:${now}`, ts: now });
    }
  }

  #tell(event: MigratedEvent): void {
    for (const handle of this.#handlers) {
      try {
        handle(event);
      } catch (error) {
        this.context.log.error({ err: error }, 'a handler of migrations threw');
      }
    }
  }

  /** A disk that fails is waited for until the node closes. */
  #orClosed<T>(done: Promise<T>): Promise<T> {
    const { signal } = this.#ended;
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(signal.reason as Error);
      if (signal.aborted) refuse();
      else signal.addEventListener('abort', refuse, { once: true });
      done.then(resolve, reject).finally(() => signal.removeEventListener('abort', refuse));
    });
  }
}
