import { next as A } from '@automerge/automerge';
import {
  generateAutomergeUrl,
  parseAutomergeUrl,
  Repo,
  type DocHandle,
  type DocumentId,
  type StorageAdapterInterface,
  type StorageKey,
} from '@automerge/automerge-repo';
import { createHash } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import { connectRelays, type ConnectOptions, type Relays } from '../../src/sync/connect.js';
import {
  encodeFrame,
  parseFrameFromRelay,
  protocol,
  type FrameFromRelay,
  type FrameToRelay,
} from '../../src/sync/frame.js';
import { startRelay, type Relay, type RelayOptions } from '../../src/sync/relay.js';
import type { RelayToken, TokenRole } from '../../src/sync/relay-tokens.js';
import { peerIdOf } from '../../src/sync/repo-message.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { testPort } from '../world/port.js';

export const cluster = 'check-of-the-test-cluster';

/** Storage that a restarted relay finds again, and that can be told to fail. */
export class TestStorage implements StorageAdapterInterface {
  readonly chunks = new Map<string, Uint8Array>();
  failing = false;
  /** Saves neither resolve nor reject while this is set. */
  hanging: Promise<void> | undefined;

  load(key: StorageKey) {
    return this.#or(() => this.chunks.get(key.join('/')));
  }
  save(key: StorageKey, data: Uint8Array) {
    return this.#or(() => void this.chunks.set(key.join('/'), Uint8Array.from(data)), this.hanging);
  }
  remove(key: StorageKey) {
    return this.#or(() => void this.chunks.delete(key.join('/')));
  }
  loadRange(prefix: StorageKey) {
    return this.#or(() =>
      this.#under(prefix).map((name) => ({ key: name.split('/'), data: this.chunks.get(name) })),
    );
  }
  removeRange(prefix: StorageKey) {
    return this.#or(() => this.#under(prefix).forEach((name) => this.chunks.delete(name)));
  }
  #under(prefix: StorageKey) {
    return [...this.chunks.keys()].filter((name) => `${name}/`.startsWith(`${prefix.join('/')}/`));
  }
  async #or<T>(run: () => T, after?: Promise<void>): Promise<T> {
    await after;
    if (this.failing) throw new Error('ENOSPC: no space left on device');
    return run();
  }
}

/** A token as a relay keeps it. */
export function token(secret: string, role: TokenRole = 'replica', expires?: number): RelayToken {
  const sha256 = createHash('sha256').update(secret).digest('hex');
  return { sha256, role, ...(expires !== undefined && { expires }) };
}

/** Longer than a busy machine leaves a hand-made client without a turn before its hello. */
const HELLO_MS = 60_000;

/**
 * A relay of the test cluster, closed when the test is over; on a port that no system gives to anyone meanwhile, so
 * that another can be started there.
 */
export async function relay(options: Partial<RelayOptions> = {}): Promise<Relay> {
  for (;;) {
    try {
      const started = await startRelay({
        tokens: undefined,
        storage: new TestStorage(),
        clusterCheck: cluster,
        log: silentLog,
        clock: systemClock,
        ...options,
        port: options.port ?? (await testPort()),
        limits: { helloMs: HELLO_MS, ...options.limits },
      });
      onTestFinished(() => started.close());
      return started;
    } catch (error) {
      // Somebody else on this machine was faster.
      if (options.port !== undefined || (error as { code?: unknown }).code !== 'port-in-use') throw error;
    }
  }
}

let incarnations = 0;

/** Connections of one replica, closed when the test is over. */
export function connect(
  replica: string,
  relays: readonly (Relay | { url: string; token?: string })[],
  options: Partial<ConnectOptions> = {},
): Relays {
  incarnations += 1;
  const connected = connectRelays({
    self: { replica, incarnation: `i${incarnations}` },
    relays,
    clusterCheck: cluster,
    log: silentLog,
    clock: systemClock,
    ...options,
  });
  onTestFinished(() => connected.close());
  return connected;
}

/** A replica's Repo over these connections. */
export function repo(relays: Relays, storage?: StorageAdapterInterface): Repo {
  return new Repo({
    peerId: peerIdOf(relays.channel.self),
    network: relays.networkAdapters,
    sharePolicy: () => Promise.resolve(true),
    ...(storage ? { storage } : {}),
  });
}

export type Note = Record<string, unknown>;

export function newId(): DocumentId {
  return parseAutomergeUrl(generateAutomergeUrl()).documentId;
}

/** The same first bytes in every Repo, as the product's documents have. */
export function found(repository: Repo, id: DocumentId): DocHandle<Note> {
  const first = A.change(A.init<Note>({ actor: '00' }), { time: 0 }, (doc) => {
    doc['schema'] = 1;
  });
  const handle = repository.import<Note>(A.save(first), { docId: id });
  handle.doneLoading();
  return handle;
}

export function headsOf(handle: DocHandle<Note>): string[] {
  return handle.isReady() ? A.getHeads(handle.doc()) : [];
}

/** What a relay says that it has stored, once it tells of each of these: while it is busy it leaves some out. */
export async function storedHeads(
  asking: Relays,
  { url }: { url: string },
  ids: readonly DocumentId[],
): Promise<Map<string, string[]>> {
  let told: Map<string, string[]> | undefined;
  await until('the relay tells of each', async () => {
    told = (await asking.relayHeads(ids, 30_000)).get(url);
    return ids.every((id) => told?.has(id));
  });
  return told!;
}

/** Waits for a condition; fails with its name. */
export async function until(what: string, holds: () => unknown, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A hand-made client: what it receives, and how its connection ended. */
export interface RawClient {
  socket: WebSocket;
  frames: FrameFromRelay[];
  closed: () => { code: number; error?: string } | undefined;
  send(frame: FrameToRelay): void;
  sendRaw(data: Uint8Array | string): void;
}

export function rawClient(
  url: string,
  options: ClientOptions = {},
  protocols: string | string[] = protocol,
): RawClient {
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
  onTestFinished(() => socket.terminate());
  const frames: FrameFromRelay[] = [];
  let end: { code: number; error?: string } | undefined;
  let error: string | undefined;
  socket.on('message', (data) => {
    const frame = parseFrameFromRelay(data as Buffer);
    if (frame) frames.push(frame);
  });
  socket.on('error', (cause) => (error = cause.message));
  socket.on('close', (code) => (end = error === undefined ? { code } : { code, error }));
  const sendRaw = (data: Uint8Array | string) => {
    if (socket.readyState === socket.OPEN) socket.send(data);
  };
  return { socket, frames, closed: () => end, send: (frame) => sendRaw(encodeFrame(frame)), sendRaw };
}

/** A hand-made client that has been welcomed. */
export async function rawMember(
  url: string,
  replica: string,
  options: { incarnation?: string; client?: ClientOptions } = {},
): Promise<RawClient> {
  const client = rawClient(url, options.client);
  await until('the socket is open', () => client.socket.readyState === client.socket.OPEN);
  client.send(['hello', cluster, replica, options.incarnation ?? 'raw']);
  await until('welcome', () => client.frames.some(([kind]) => kind === 'welcome'));
  return client;
}

export async function allOpen(...connections: Relays[]): Promise<void> {
  await until('every link is open', () =>
    connections.every((each) => each.status().every(({ state }) => state === 'open')),
  );
}
