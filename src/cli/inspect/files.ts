import * as A from '@automerge/automerge';
import { keysOf, readRecord } from '../../documents/document.js';
import { joinRecords } from '../../documents/merge/join.js';
import type { FieldMap } from '../../documents/record.js';
import { kindNames, ruleOf, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { LookedAt } from '../../telemetry/look.js';
import { currentOf, cutsIn, loadDocuments } from './folder.js';

/** What the stored files of a data folder say, and what was found wrong with them. Changes nothing there. */
export interface FilesLook extends LookedAt {
  documents: number;
  /** Files that could not be used, and values in documents that are not well formed. */
  faults: string[];
}

/** Reads every stored document of a data folder, whether a process holds it or not, and joins their records. */
export async function lookIntoFiles(dataDir: string, keys: Keyring): Promise<FilesLook> {
  const faults: string[] = [];
  const all = await loadDocuments(dataDir, keys, faults);
  const current = new Set(currentOf(all, cutsIn(all, faults)).values());
  const documents = all.filter((one) => one.family !== 'actors' || current.has(one));
  const found = new Map<string, { kind: Kind; key: string; documents: string[]; record: FieldMap }>();
  for (const { name, family, document } of documents) {
    const count = (what: string): void => void faults.push(`${name}: malformed ${what}`);
    for (const kind of kindNames.filter((one) => tableOf(one).document === family)) {
      for (const key of keysOf(document, kind, count)) {
        const record = readRecord(document, kind, key, count);
        if (!record) continue;
        const known = found.get(`${kind} ${key}`);
        // A room that was placed anew stands in two shards for a while: its record is the join over both.
        if (known) {
          known.record = joinRecords(known.record, record, ruleOf(kind));
          known.documents.push(name);
        } else found.set(`${kind} ${key}`, { kind, key, documents: [name], record });
      }
    }
  }
  for (const { document } of all) A.free(document);
  const inOrder = [...found.values()].sort((a, b) => kindNames.indexOf(a.kind) - kindNames.indexOf(b.kind));
  const records = inOrder.map(({ record, ...rest }) => ({
    ...rest,
    fields: Object.fromEntries(record),
  }));
  return { records: records as LookedAt['records'], documents: documents.length, faults };
}
