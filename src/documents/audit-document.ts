import * as A from '@automerge/automerge';
import { z } from 'zod';
import { digest } from './digest.js';
import type { Document } from './document.js';
import type { DocumentName } from './ids.js';
import { FIRST_SCHEMA } from './schema.js';

/** The author of every audit document: `understudy-audit` in ASCII. */
const AUDIT_ACTOR = Buffer.from('understudy-audit', 'ascii').toString('hex');

/** Lines of one audit document, and their characters; what is more goes into another part. */
const MOST_LINES = 5000;
const MOST_CHARACTERS = 4 * 1024 * 1024;

/** Which history an audit document holds: that of one generation of a shard, as it was cut at these heads. */
export interface Archived {
  readonly index: number;
  /** The one that was cut off. */
  readonly generation: number;
  readonly heads: readonly string[];
}

/**
 * The name of a part, by what it was made from: two replicas that archive the same have made the same document.
 * Its generation is the one that the cut begins, so that it stands beside that one.
 */
export function auditName({ index, generation, heads }: Archived, part: number): DocumentName {
  const from = digest('understudy-audit', ...[...heads].sort())
    .toString('base64url')
    .slice(0, 16);
  return { kind: 'audit', index, generation: generation + 1, cut: `${from}.${part}` };
}

/** Lines divided into the parts of an archive; at least one, so that an empty archive is told from a missing one. */
export function auditParts(lines: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  let characters = 0;
  for (const text of lines) {
    let part = parts.at(-1) as string[];
    if (part.length >= MOST_LINES || (part.length > 0 && characters + text.length > MOST_CHARACTERS)) {
      part = [];
      parts.push(part);
      characters = 0;
    }
    part.push(text);
    characters += text.length;
  }
  return parts;
}

/** The one change that an audit document consists of, the same bytes on every replica; it is never written again. */
export function auditBytes(archived: Archived, part: number, parts: number, lines: string[]): Uint8Array {
  const empty = A.init<Record<string, unknown>>({ actor: AUDIT_ACTOR });
  const whole = A.change(empty, { time: 0, message: 'audit' }, (document) => {
    document['schema'] = FIRST_SCHEMA;
    document['kind'] = 'audit';
    document['index'] = archived.index;
    document['generation'] = archived.generation;
    document['heads'] = [...archived.heads].sort().join(' ');
    document['part'] = part;
    document['parts'] = parts;
    document['lines'] = lines.map((text) => new A.ImmutableString(text));
  });
  const change = A.getLastLocalChange(whole);
  if (change === undefined) throw new Error('Automerge made no audit change');
  A.free(whole);
  return change;
}

const header = z.object({
  schema: z.literal(FIRST_SCHEMA),
  kind: z.literal('audit'),
  index: z.int().nonnegative(),
  generation: z.int().nonnegative(),
  heads: z.string(),
  part: z.int().nonnegative(),
  parts: z.int().min(1).max(10_000),
});

/** A part of an archive, read. */
export interface AuditPart extends Archived {
  readonly part: number;
  readonly parts: number;
  readonly lines: readonly string[];
}

/** Undefined for what is no audit document of this version. */
export function readAuditPart(document: Document): AuditPart | undefined {
  const parsed = header.safeParse({ ...document });
  const lines: unknown = document['lines'];
  if (!parsed.success || !Array.isArray(lines)) return undefined;
  const { index, generation, heads, part, parts } = parsed.data;
  const texts = lines.map((text: unknown) => (A.isImmutableString(text) ? text.val : ''));
  return { index, generation, heads: heads.split(' '), part, parts, lines: texts };
}
