import type { DocumentKind } from '../documents/ids.js';
import { highestStamp, type FieldMap } from '../documents/record.js';
import { productSchemas, type Schemas } from '../documents/migrations/schemas.js';
import { tableOf, type Kind } from '../documents/schemas/kinds.js';
import { nextStamp, type Stamp } from '../documents/stamp.js';
import { applyWrite, type Cause, type Write } from '../documents/write.js';
import { forgottenTo } from './erasure/remains.js';
import type { Records } from './records.js';

/** One record as it will stand in one document. */
export interface PlannedRecord {
  kind: Kind;
  key: string;
  record: FieldMap;
}

/** What one document will get, in one Automerge change. */
export interface PlannedDocument {
  kind: DocumentKind;
  index: number;
  records: PlannedRecord[];
}

/** Documents are flushed in this order: what stands in a later one rests on what stands in an earlier one (DESIGN §3). */
const ORDER: readonly DocumentKind[] = ['cluster', 'routing', 'actors'];

/**
 * What a list of writes comes to: joined with what stands everywhere, so that a record that is found in another
 * place is copied to its own with the write. Writes that change nothing come to nothing. Nothing is written here.
 *
 * @throws {DocumentError} `bad-key`, `invalid-write`.
 */
export function planWrites(
  writes: readonly Write[],
  records: Records,
  cause: Cause,
  now: number,
  schemas: Schemas = productSchemas,
): PlannedDocument[] {
  const staged = new Map<string, PlannedRecord>();
  const current = (kind: Kind, key: string): FieldMap | undefined =>
    staged.get(`${kind} ${key}`)?.record ?? records.joined(kind, key);
  for (const [index, write] of writes.entries()) {
    const { kind, key } = write;
    const standing = current(kind, key);
    const stamp = stampOf(write, standing, { index, cause, now, records });
    const record = applyWrite({ ...write, stamp }, standing, cause, now, schemas);
    if (record !== undefined) staged.set(`${kind} ${key}`, { kind, key, record });
  }
  const documents = new Map<string, PlannedDocument>();
  for (const planned of staged.values()) {
    const kind = tableOf(planned.kind).document;
    const index = records.homeOf(planned.kind, planned.key, (room) => current('room', room));
    const document = documents.get(`${kind} ${index}`) ?? { kind, index, records: [] };
    document.records.push(planned);
    documents.set(`${kind} ${index}`, document);
  }
  return [...documents.values()].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

/** Of a place that was forgotten, what is new comes after the forgetting, whatever the clock here says. */
function stampOf(
  write: Write,
  standing: FieldMap | undefined,
  given: { index: number; cause: Cause; now: number; records: Records },
): Stamp {
  const { index, cause, now, records } = given;
  const { kind, key, fields } = write;
  const stamp = write.stamp ?? nextStamp(cause.ts ?? now, now, standing && highestStamp(standing));
  if (records.forgotten === undefined || records.forgotten.none) return stamp;
  const person = fields['matrix_user_id'];
  const owner: FieldMap | undefined =
    person === undefined
      ? standing
      : new Map([['matrix_user_id', { value: person, stamp, cause: cause.id }]]);
  const to = forgottenTo(kind, key, owner, records.forgotten);
  // Events of one write stay in their order.
  return to === undefined || stamp > to ? stamp : to + 1 + index;
}
