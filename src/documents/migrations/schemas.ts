import type { DocumentKind } from '../ids.js';
import { FIRST_SCHEMA } from '../schema.js';
import { fieldTable, kinds, tableOf, type Kind } from '../schemas/kinds.js';
import type { FieldTable } from '../schemas/table.js';
import { MigrationError } from './errors.js';
import type { AddedField, FieldMove, SchemaStep } from './step.js';

/** Kinds that folds and cuts are made of, or whose fields are open-ended names: what is new of these is a new kind. */
const FIXED: ReadonlySet<Kind> = new Set(['event', 'actor', 'done', 'base', 'cut', 'attempt', 'keyed']);

/** What a release adds to the tables of `schemas/`, and the steps that led to it: the registry of migrations. */
export class Schemas {
  /** The highest version of the data format that this software knows. */
  readonly known: number;
  readonly steps: readonly SchemaStep[];
  readonly #fields = new Map<string, FieldTable>();
  readonly #moves = new Map<Kind, (FieldMove & { to: number })[]>();

  /** @throws {MigrationError} `bad-step`. */
  constructor({
    steps = [],
    added = [],
  }: { steps?: readonly SchemaStep[]; added?: readonly AddedField[] } = {}) {
    this.steps = steps;
    this.known = FIRST_SCHEMA + steps.length;
    for (const { kind, field, schema } of added) this.#add(kind, field, schema);
    for (const [at, step] of steps.entries()) {
      if (step.to !== FIRST_SCHEMA + 1 + at) throw bad(`step ${step.to} stands at the place of ${at + 2}`);
      for (const move of step.moves) {
        if (!step.documents.some((family) => family === tableOf(move.kind).document)) {
          throw bad(`step ${step.to} moves a field of ${move.kind}, and not in its documents`);
        }
        if (
          fieldTable(move.kind, move.from)?.merge !== 'higherStampWins' &&
          !this.#knows(move.kind, move.from)
        ) {
          throw bad(`${move.kind}.${move.from} does not merge by the higher stamp: it cannot move`);
        }
        this.#add(move.kind, move.field, move.schema);
        this.#moves.set(move.kind, [...this.movesOf(move.kind), { ...move, to: step.to }]);
      }
    }
  }

  /** The version that documents of a family are to have. */
  targetOf(family: DocumentKind): number {
    return (
      this.steps.findLast(({ documents }) => documents.some((one) => one === family))?.to ?? FIRST_SCHEMA
    );
  }

  /** Oldest first. */
  movesOf(kind: Kind): readonly (FieldMove & { to: number })[] {
    return this.#moves.get(kind) ?? [];
  }

  /** Kinds of a family with fields that move. */
  movedKinds(family: DocumentKind): Kind[] {
    return [...this.#moves.keys()].filter((kind) => tableOf(kind).document === family);
  }

  /** A field beside those of the tables, as they would say it. */
  fieldTable(kind: Kind, field: string): FieldTable | undefined {
    return this.#fields.get(`${kind} ${field}`);
  }

  #knows(kind: Kind, field: string): boolean {
    return this.#fields.has(`${kind} ${field}`);
  }

  #add(kind: Kind, field: string, schema: FieldTable['schema']): void {
    if (FIXED.has(kind)) throw bad(`${kind} takes no further fields: a new kind of record does`);
    if (Object.hasOwn(kinds[kind].fields, field) || this.#knows(kind, field)) {
      throw bad(
        `${kind}.${field} is known already: a field keeps its form, and another form takes another name`,
      );
    }
    this.#fields.set(`${kind} ${field}`, {
      schema,
      what: '',
      writer: '',
      // What releases before do with a field that they do not know.
      merge: 'higherStampWins',
      why: '',
      kind: 'choice',
    });
  }
}

const bad = (message: string): MigrationError => new MigrationError('bad-step', message);

/** Of this release: the data format is at its first version. */
export const productSchemas = new Schemas();
