import { encodeChangeMessage } from '../documents/change-message.js';
import { assertWritable, putRecord } from '../documents/document.js';
import type { DocumentKind } from '../documents/ids.js';
import { describeDocument } from '../documents/ids.js';
import { lowered } from '../documents/migrations/lens.js';
import type { Schemas } from '../documents/migrations/schemas.js';
import { schemaOf } from '../documents/schema.js';
import type { Cause, Write } from '../documents/write.js';
import type { Clock } from '../time/clock.js';
import type { OpenDocument, OpenDocuments } from './open-documents.js';
import { planWrites, type PlannedDocument } from './plan.js';
import type { Records } from './records.js';

export interface WriterContext {
  documents: OpenDocuments;
  records: Records;
  schemas: Schemas;
  clock: Clock;
  document(kind: DocumentKind, index: number): OpenDocument;
  /** Resolves when the document may be written; undefined when it may be now (PROTOCOL A6). */
  writable?(kind: DocumentKind, index: number): Promise<void> | undefined;
  /** Sends a change of ours to the other replicas. */
  sent(document: OpenDocument, bytes: Uint8Array): void;
  replica: string;
}

/** Carries writes out: all planned and checked first, then one change per document, then flushed in order. */
export class Writer {
  constructor(private readonly context: WriterContext) {}

  /**
   * Everything up to the flush happens before this returns, and the promise is about the disk; but where a document
   * may not be written yet, nothing happens before all of them may.
   */
  async write(writes: readonly Write[], cause: Cause, epoch: number): Promise<void> {
    const { documents, records, schemas, clock, replica } = this.context;
    const message = encodeChangeMessage({ cause: cause.id, replica, epoch });
    let plans = planWrites(writes, records, cause, clock.now(), schemas);
    for (let waits = this.#waits(plans); waits.length > 0; waits = this.#waits(plans)) {
      await Promise.all(waits);
      // What stands there now may be other than what was planned for.
      plans = planWrites(writes, records, cause, clock.now(), schemas);
    }
    const planned = plans.map((plan) => ({ plan, document: this.#writable(plan) }));
    const flushes: { kind: DocumentKind; done: Promise<void> }[] = [];
    for (const { plan, document } of planned) {
      const earlier = flushes.filter(({ kind }) => kind !== plan.kind).map(({ done }) => done);
      if (earlier.length > 0) documents.saver.hold(document.id, Promise.all(earlier));
      this.#change(document, plan, message);
      flushes.push({ kind: plan.kind, done: documents.saver.flush(document.id) });
    }
    await Promise.all(flushes.map(({ done }) => done));
  }

  #waits(plans: readonly PlannedDocument[]): Promise<void>[] {
    return plans
      .map(({ kind, index }) => this.context.writable?.(kind, index))
      .filter((wait) => wait !== undefined);
  }

  #writable(plan: PlannedDocument): OpenDocument {
    const document = this.context.document(plan.kind, plan.index);
    for (const { kind } of plan.records) {
      assertWritable(
        document.handle.doc(),
        kind,
        describeDocument(document.name),
        this.context.schemas.known,
      );
    }
    return document;
  }

  #change(document: OpenDocument, plan: PlannedDocument, message: string): void {
    const { documents, schemas, records } = this.context;
    const schema = schemaOf(document.handle.doc()) ?? schemas.known;
    // Releases before read the document too, until it is migrated.
    const stored = plan.records.map((one) => ({
      ...one,
      record: lowered(one.kind, one.record, {
        schemas,
        schema,
        stored: records.stored(one.kind, one.key),
      }),
    }));
    const bytes = documents.change(document, message, plan.records, (draft) => {
      for (const { kind, key, record } of stored) putRecord(draft, kind, key, record);
    });
    this.context.sent(document, bytes);
  }
}
