import type { z } from 'zod';
import type { DocumentKind } from '../ids.js';
import type { Json } from '../json.js';
import type { Kind } from '../schemas/kinds.js';

/**
 * A field that goes on under another name, and in another form. Its stamp and cause go with it, so that the same
 * migration made twice, of other copies, at other times, joins to one record (docs/decisions/0015). A field never
 * takes another form under its old name: of two forms with one stamp any could win.
 */
export interface FieldMove {
  readonly kind: Kind;
  /** As releases before know it. */
  readonly from: string;
  readonly field: string;
  /** What it holds under the new name. */
  readonly schema: z.ZodType;
  /** Pure. Undefined where it cannot be said: the old field then stays as it is. Not asked for null, which stays null. */
  up(value: Json): Json | undefined;
  /** The other way, for releases before and for a rollback. Undefined where it cannot be said. */
  down(value: Json): Json | undefined;
}

/** Families whose documents are written for ever; windows of keyed stores end, and archives never change. */
export type MigratedFamily = Exclude<DocumentKind, 'keyed' | 'audit'>;

/** One version of the data format, by what is other in it than in the one before. */
export interface SchemaStep {
  /** One more than the step before; the first is 2. */
  readonly to: number;
  /** For people. */
  readonly what: string;
  /** Whose documents get this number: releases that do not know it write none of them. */
  readonly documents: readonly MigratedFamily[];
  readonly moves: readonly FieldMove[];
}

/** A field that a release adds and none before needs to know: no step, and no number. */
export interface AddedField {
  readonly kind: Kind;
  readonly field: string;
  readonly schema: z.ZodType;
}
