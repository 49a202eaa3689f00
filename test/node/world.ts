import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Chunk, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import { afterEach, expect } from 'vitest';
import { openNode, silentLog, startRelay, systemClock } from '../../src/index.js';
import type { NodeStatus, OpenNodeOptions, Relay, StateNode } from '../../src/index.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { testPort } from '../world/port.js';

const undo: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
});

export const CLUSTER = 'test-cluster-secret';

export async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-node-'));
  undo.push(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}

/** Relay storage that outlives the relay, as a disk would. */
export class MemoryStorage implements StorageAdapterInterface {
  readonly #values = new Map<string, Uint8Array>();
  load(key: StorageKey): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#values.get(JSON.stringify(key)));
  }
  save(key: StorageKey, data: Uint8Array): Promise<void> {
    this.#values.set(JSON.stringify(key), data);
    return Promise.resolve();
  }
  remove(key: StorageKey): Promise<void> {
    this.#values.delete(JSON.stringify(key));
    return Promise.resolve();
  }
  loadRange(prefix: StorageKey): Promise<Chunk[]> {
    const all = [...this.#values].map(([key, data]) => ({ key: JSON.parse(key) as StorageKey, data }));
    return Promise.resolve(all.filter(({ key }) => prefix.every((part, index) => key[index] === part)));
  }
  async removeRange(prefix: StorageKey): Promise<void> {
    for (const { key } of await this.loadRange(prefix)) await this.remove(key);
  }
}

/** On a port that no system gives to anyone meanwhile, so that another relay can be started there. */
export async function relay(
  options: { port?: number; storage?: StorageAdapterInterface } = {},
): Promise<Relay> {
  for (;;) {
    try {
      const started = await startRelay({
        port: options.port ?? (await testPort()),
        tokens: undefined,
        storage: options.storage ?? new MemoryStorage(),
        clusterCheck: clusterCheck(CLUSTER),
        clock: systemClock,
        log: silentLog,
      });
      undo.push(() => started.close());
      return started;
    } catch (error) {
      // Somebody else on this machine was faster.
      if (options.port !== undefined || (error as { code?: unknown }).code !== 'port-in-use') throw error;
    }
  }
}

/** Opens a node with 2 shards; `os` durability unless told otherwise, because these tests do not cut the power. */
export async function node(
  relays: readonly { url: string }[],
  options: Partial<OpenNodeOptions> = {},
): Promise<StateNode> {
  const opened = await openNode({
    clusterId: CLUSTER,
    dataDir: options.dataDir ?? (await folder()),
    relays: relays.map(({ url }) => ({ url })),
    shards: 2,
    durability: 'os',
    ...options,
  });
  undo.push(() => opened.close());
  return opened;
}

/** Begins to open a node that is not expected to become ready; what it reports, and how to end it. */
export function opening(
  relays: readonly { url: string }[],
  dataDir: string,
  options: Partial<OpenNodeOptions> = {},
) {
  const statuses: NodeStatus[] = [];
  const abort = new AbortController();
  const promise = openNode({
    clusterId: CLUSTER,
    dataDir,
    relays: relays.map(({ url }) => ({ url })),
    shards: 2,
    durability: 'os',
    ...options,
    signal: abort.signal,
    onStatus: (status) => void statuses.push(status),
  });
  let opened: StateNode | undefined;
  const settled = promise.then(
    (ready) => void (opened = ready),
    (error: unknown) => error,
  );
  undo.push(async () => {
    abort.abort();
    await settled;
    await opened?.close();
  });
  return { statuses, abort, promise, settled };
}

/** What the last look at heads found to differ, for the message of a wait that ends without it. */
let difference = '';

export async function eventually(what: () => unknown, deadlineMs = 30_000): Promise<void> {
  difference = '';
  try {
    await expect.poll(what, { timeout: deadlineMs, interval: 20 }).toBe(true);
  } catch (cause) {
    throw new Error(`not within ${deadlineMs} ms: ${what.toString()} ${difference}`, { cause });
  }
}

/** Both hold the same changes in every document. */
export function sameHeads(...nodes: StateNode[]): boolean {
  const texts = nodes.map((one) =>
    JSON.stringify(Object.fromEntries(one.heads().map(({ id, heads }) => [id, heads])), idsInOrder(one)),
  );
  const same = new Set(texts).size === 1;
  difference = same ? '' : nodes.map((one, at) => standingOf(one, nodes[at === 0 ? 1 : 0])).join(' | ');
  return same;
}

/** The documents of a node that another has not, or not like this, and how its relays stand. */
function standingOf(one: StateNode, other: StateNode | undefined): string {
  const there = new Map(other?.heads().map(({ id, heads }) => [id, `${heads.join()}`]));
  const unlike = one.heads().filter(({ id, heads }) => there.get(id) !== `${heads.join()}`);
  const names = unlike.map(({ name, heads }) => `${name}@${heads.map((head) => head.slice(0, 6)).join()}`);
  return `${names.join(' ')} ${JSON.stringify(one.status())}`;
}

function idsInOrder(one: StateNode): string[] {
  return one
    .heads()
    .map(({ id }) => id)
    .sort();
}
