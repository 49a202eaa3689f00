import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { keysOf, readRecord, type Document } from '../../documents/document.js';
import { chainOf } from '../../node/generations/chain.js';
import { readCut, type Cut } from '../../node/generations/cut.js';
import { FolderSource } from '../../storage/folder-source.js';
import type { Keyring } from '../../storage/sealed-chunks.js';

/** The folder of the documents inside a data folder, the same for a replica and a relay. */
export const documentsFolder = (dataDir: string): string => join(dataDir, 'documents');

/** A document of a data folder. */
export interface Loaded {
  /** As `routing/3`. */
  name: string;
  family: string;
  index: number;
  generation: number;
  document: Document;
}

/** The cuts that the cluster's document tells of, by shard. */
export function cutsIn(documents: readonly Loaded[], faults: string[]): Map<number, Cut[]> {
  const cuts = new Map<number, Cut[]>();
  for (const { family, document, name } of documents) {
    if (family !== 'cluster') continue;
    const count = (what: string): void => void faults.push(`${name}: malformed ${what}`);
    for (const key of keysOf(document, 'cut', count)) {
      const record = readRecord(document, 'cut', key, count);
      const cut = record && readCut(key, record);
      if (cut) cuts.set(cut.index, [...(cuts.get(cut.index) ?? []), cut]);
      else faults.push(`${name}: ${key} is no cut`);
    }
  }
  return cuts;
}

/**
 * Of each actors shard the generation that counts, as the cut records say it (PROTOCOL A6), or the newest on the way
 * to it that stands here. What lies beside it is on its way out, and would be counted twice.
 */
export function currentOf(
  documents: readonly Loaded[],
  cuts: ReadonlyMap<number, readonly Cut[]>,
): Map<number, Loaded> {
  const current = new Map<number, Loaded>();
  const actors = documents.filter(({ family }) => family === 'actors');
  for (const index of new Set(actors.map((one) => one.index))) {
    const generations = actors.filter((one) => one.index === index);
    const read = chainOf(cuts.get(index) ?? [])
      .reverse()
      .map(({ bytesHash }) => generations.find(({ document }) => A.hasHeads(document, [bytesHash])))
      .find((found) => found !== undefined);
    const found = read ?? generations.find(({ generation }) => generation === 0);
    if (found) current.set(index, found);
  }
  return current;
}

/** Every stored document of a data folder, whether a process holds it or not. Changes nothing there. */
export async function loadDocuments(dataDir: string, keys: Keyring, faults: string[]): Promise<Loaded[]> {
  const reader = new FolderSource(documentsFolder(dataDir), keys);
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
    const { kind, index, generation } = document;
    if (typeof kind !== 'string') return [];
    const numbered = typeof index === 'number' ? `${kind}/${index}` : kind;
    const name = typeof generation === 'number' && generation > 0 ? `${numbered}.${generation}` : numbered;
    return [{ name, family: kind, index: numberOf(index), generation: numberOf(generation), document }];
  });
}

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);

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
