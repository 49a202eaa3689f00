import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { keysOf, readRecord, type Document } from '../../documents/document.js';
import { joinRecords } from '../../documents/merge/join.js';
import type { FieldMap } from '../../documents/record.js';
import { kindNames, ruleOf, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import { ChunkReader } from '../../storage/chunk-reader.js';
import { nodeFiles } from '../../storage/file-layer.js';
import type { LookedAt } from '../../telemetry/look.js';

/** The folder of the documents inside a data folder, the same for a replica and a relay. */
export const documentsFolder = (dataDir: string): string => join(dataDir, 'documents');

/** What the stored files of a data folder say, and what was found wrong with them. Changes nothing there. */
export interface FilesLook extends LookedAt {
  documents: number;
  /** Files that could not be used, and values in documents that are not well formed. */
  faults: string[];
}

/** Reads every stored document of a data folder, whether a process holds it or not, and joins their records. */
export async function lookIntoFiles(dataDir: string): Promise<FilesLook> {
  const faults: string[] = [];
  const documents = await loadDocuments(documentsFolder(dataDir), faults);
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
    A.free(document);
  }
  const records = [...found.values()].map(({ record, ...rest }) => ({
    ...rest,
    fields: Object.fromEntries(record),
  }));
  return { records: records as LookedAt['records'], documents: documents.length, faults };
}

interface Loaded {
  /** As `routing/3`. */
  name: string;
  family: string;
  document: Document;
}

async function loadDocuments(dir: string, faults: string[]): Promise<Loaded[]> {
  const reader = new ChunkReader(dir, nodeFiles);
  const chunks = new Map<string, Uint8Array[]>();
  for (const key of await reader.keys([])) {
    const [id] = key;
    if (id === undefined || key.length < 2) continue;
    const look = await reader.look(key);
    if (look.state === 'good') chunks.set(id, [...(chunks.get(id) ?? []), look.bytes]);
    else if (look.state !== 'absent') faults.push(`${key.join('/')}: ${look.state}`);
  }
  return [...chunks].flatMap(([id, parts]) => {
    const document = assembled(parts, id, faults);
    const { kind, index } = document;
    if (typeof kind !== 'string') return [];
    return [{ name: typeof index === 'number' ? `${kind}/${index}` : kind, family: kind, document }];
  });
}

function assembled(parts: Uint8Array[], id: string, faults: string[]): Document {
  let document: Document = A.init<Record<string, unknown>>();
  for (const part of parts) {
    try {
      document = A.loadIncremental(document, part);
    } catch (error) {
      faults.push(`${id}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return document;
}
