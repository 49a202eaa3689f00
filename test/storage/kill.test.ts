import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAutomergeUrl, Repo, stringifyAutomergeUrl } from '@automerge/automerge-repo';
import type { DocumentId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs';
import { describe, expect, it } from 'vitest';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { compiledChildren, startChild } from './children/build.js';
import type { Child } from './children/build.js';
import { openCounts } from './children/counts.js';
import { recordingLog } from './recording-log.js';
import { scratchFolder } from './scratch.js';

const children = compiledChildren();

const documentId = (byte: number): DocumentId =>
  parseAutomergeUrl(stringifyAutomergeUrl({ documentId: new Uint8Array(16).fill(byte) as never })).documentId;
const BIG = documentId(1);
const SMALL = documentId(2);

/** Kills at a random moment: a little after it has booted, or after one of its first acknowledgements. */
async function killSometime(child: Child): Promise<void> {
  const acknowledgements = Math.floor(Math.random() * 5);
  await child.line(() => child.lines.length > acknowledgements);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * (acknowledgements === 0 ? 25 : 4)));
  await child.kill();
}

/** The highest number that was acknowledged under each name. */
function acknowledged(lines: string[], into: Map<string, number>): void {
  for (const line of lines) {
    const [name, n] = line.split(' ');
    if (name !== undefined && n !== undefined) into.set(name, Math.max(into.get(name) ?? 0, Number(n)));
  }
}

async function seenIn(storage: StorageAdapterInterface, id: DocumentId): Promise<number[]> {
  if ((await storage.loadRange([id])).length === 0) return [];
  const doc = (await new Repo({ storage }).find<{ seen: Record<string, number> }>(id)).doc();
  return Object.values(doc.seen).sort((a, b) => a - b);
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** So often at least, and on a machine on which a child comes to little, until enough was acknowledged. */
const mostKills = (times: number): number => 5 * times;

async function killOften(times: number): Promise<void> {
  const dir = join(await scratchFolder(), 'data');
  const promised = new Map<string, number>();
  const isEnough = () => (promised.get('big') ?? 0) > times / 2;
  for (let kill = 0; kill < times || (!isEnough() && kill < mostKills(times)); kill += 1) {
    const child = startChild(children.path('storage-child'), [dir, BIG, SMALL]);
    await killSometime(child);
    acknowledged(child.lines, promised);
    const events: StorageEvent[] = [];
    const storage = new DurableStorage({ dir, log: silentLog, onEvent: (event) => events.push(event) });
    for (const [name, id] of [
      ['big', BIG],
      ['small', SMALL],
    ] as const) {
      const seen = await seenIn(storage, id);
      expect(seen).toEqual(upTo(seen.length));
      expect(seen.length).toBeGreaterThanOrEqual(promised.get(name) ?? 0);
    }
    expect(events).toEqual([]);
    await storage.close(AbortSignal.timeout(60_000));
  }
  expect(promised.get('big')).toBeGreaterThan(times / 2);
  const stock = await seenIn(new NodeFSStorageAdapter(dir), BIG);
  expect(stock).toEqual(await seenIn(new DurableStorage({ dir, log: silentLog }), BIG));
}

describe('killed at any moment', () => {
  it('a repo on DurableStorage keeps what flush acknowledged, and nothing is torn (20 kills; `npm run soak -- saves` goes on)', async () => {
    // Two folders at once, so that one child boots while another is killed.
    await Promise.all([killOften(10), killOften(10)]);
  }, 240_000);

  it('a journal keeps what it acknowledged, each append whole, over many rewrites', async () => {
    const dir = await scratchFolder();
    const file = join(dir, 'delivery.journal');
    const promised = new Map<string, number>();
    const isEnough = () => (promised.get('a') ?? 0) > 10;
    for (let kill = 0; kill < 20 || (!isEnough() && kill < mostKills(20)); kill += 1) {
      const child = startChild(children.path('journal-child'), [file]);
      await killSometime(child);
      acknowledged(child.lines, promised);
      const log = recordingLog();
      const journal = await openCounts(file, { log });
      for (const name of ['a', 'b', 'c']) {
        expect(journal.state.get(name) ?? 0).toBeGreaterThanOrEqual(promised.get(name) ?? 0);
        expect(journal.state.get(`${name}-twin`)).toBe(journal.state.get(name));
      }
      expect([...journal.state.keys()].filter((name) => name.includes('jumped'))).toEqual([]);
      expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
      await journal.close();
    }
    expect(promised.get('a')).toBeGreaterThan(10);
    expect(await readdir(dir)).toEqual(['delivery.journal']);
  }, 120_000);
});
