import { expect } from 'vitest';
import { raised } from '../../src/documents/migrations/lens.js';
import { joinRecords } from '../../src/documents/merge/join.js';
import { encodeRecord, type Entry, type FieldMap } from '../../src/documents/record.js';
import { ruleOf, type Kind } from '../../src/documents/schemas/kinds.js';
import type { StateNode } from '../../src/index.js';
import { next } from './next-release.js';

/** All that was ever written, by what the writer saw of it right after, joined as the next release reads it. */
export class Oracle {
  readonly #records = new Map<string, { kind: Kind; key: string; record: FieldMap }>();
  written = 0;

  /** These fields of a record were just written there. */
  wrote(by: StateNode, kind: Kind, key: string, fields: readonly string[]): void {
    const stands = by.provenance(kind, key) ?? {};
    const entries = fields.map((field): [string, Entry] => [field, stands[field] as Entry]);
    expect(entries.every(([, entry]) => entry !== undefined)).toBe(true);
    const at = `${kind} ${key}`;
    const before = this.#records.get(at)?.record ?? new Map<string, Entry>();
    const written = raised(kind, new Map(entries), next);
    this.#records.set(at, {
      kind,
      key,
      record: raised(kind, joinRecords(before, written, ruleOf(kind)), next),
    });
    this.written += fields.length;
  }

  get fields(): number {
    return [...this.#records.values()].reduce((sum, { record }) => sum + record.size, 0);
  }

  /** Every field that was ever written stands there with what it must be; gives those that do not. */
  lostBy(node: StateNode): string[] {
    const lost: string[] = [];
    for (const { kind, key, record } of this.#records.values()) {
      const stands: FieldMap = raised(kind, new Map(Object.entries(node.provenance(kind, key) ?? {})), next);
      for (const [field, entry] of record) {
        const there = stands.get(field);
        const same =
          there !== undefined &&
          encodeRecord(new Map([[field, there]])) === encodeRecord(new Map([[field, entry]]));
        if (!same) lost.push(`${key} ${field}: ${JSON.stringify(there)} and not ${JSON.stringify(entry)}`);
      }
    }
    return lost;
  }
}
