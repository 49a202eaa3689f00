import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTcp, type Socket } from 'node:net';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  parseFrameFromRelay,
  parseFrameToRelay,
  protocol,
  viewerProtocol,
  type RepoFrame,
} from '../../src/sync/frame.js';
import type { RelayToken } from '../../src/sync/relay-tokens.js';
import { checkRepoFrame } from '../../src/sync/repo-message.js';
import { deadline, say } from '../soak/time.js';
import { buildOnce } from '../world/build.js';
import { inflatingMessage, isSoak, mutator, report, seedOfRun, syncMessage, watched } from './attack.js';
import { seeded } from '../storage/random.js';
import { relayProcess, writeTokens, type RelayProcess } from './relay-process.js';
import { newId, rawClient, token, until, type RawClient } from './world.js';

/** The code of a connection that says nothing for some seconds. */
const SILENT = 4004;

/** For what takes as long as it is told to. */
const LONG_MS = isSoak ? 86_400_000 : 600_000;

// Every attack goes at a real `understudy relay`, whose memory the operating system tells, while two replicas work.
beforeAll(buildOnce, 120_000);

async function attacked(settings: Record<string, string> = {}, tokens: RelayToken[] = []) {
  const relay = await relayProcess(settings, (dir): Record<string, string> => {
    if (tokens.length === 0) return {};
    return { UNDERSTUDY_RELAY_TOKENS_FILE: writeTokens(join(dir, 'tokens.json'), tokens) };
  });
  const bystanders = await watched({ url: relay.url, token: 'rw' }, { clusterCheck: relay.check });
  await bystanders.stillConverge();
  const { pid } = relay.process;
  const before = relay.rss();
  return {
    relay,
    bystanders,
    /** The process is the same one, and took less than `mb` more memory. */
    survived: async (what: string, mb: number, figures: Record<string, number | string> = {}) => {
      await bystanders.stillConverge();
      const grown = relay.rss() - before;
      report(what, { ...figures, 'relay before': `${before} MB`, 'after all': `+${grown} MB` });
      expect(relay.process.pid).toBe(pid);
      expect(relay.process.crashes).toEqual([]);
      expect(grown).toBeLessThan(mb);
    },
  };
}

/** A hand-made client of that relay, welcomed and attached. */
async function member(relay: RelayProcess, name: string, spoken = protocol): Promise<RawClient> {
  for (;;) {
    const client = rawClient(relay.url, { maxPayload: 0 }, spoken);
    await until('open', () => client.socket.readyState === client.socket.OPEN || client.closed());
    client.send(['hello', relay.check, name, 'raw']);
    client.send(['attach']);
    const isWelcome = () => client.frames.some(([kind]) => kind === 'welcome');
    await until('welcome', () => isWelcome() || client.closed()?.code === SILENT);
    // This process stood still before its hello for so long that the relay did not wait.
    if (isWelcome()) return client;
  }
}

const isRepoFrame = (frame: readonly unknown[]): frame is RepoFrame =>
  ['sync', 'request', 'doc-unavailable', 'ephemeral'].includes(String(frame[0]));

test(`${isSoak ? '1,000,000' : '50,000'} mutated frames through the parsers: none throws, and nothing piles up`, () => {
  const frames = isSoak ? 1_000_000 : 50_000;
  const next = mutator(seeded(seedOfRun()), newId());
  const before = process.memoryUsage().rss;
  const begin = performance.now();
  let understood = 0;
  for (let n = 0; n < frames; n += 1) {
    const bytes = next();
    const frame = parseFrameToRelay(bytes);
    if (frame && isRepoFrame(frame) && checkRepoFrame(frame)) understood += 1;
    parseFrameFromRelay(bytes);
  }
  const grown = Math.round((process.memoryUsage().rss - before) / 2 ** 20);
  const perSecond = Math.round((frames * 1000) / (performance.now() - begin));
  report('frames through the parser', { frames, understood, 'a second': perSecond, grown: `${grown} MB` });
  // Both, or the mutator makes nothing but noise, or no damage at all.
  expect(understood).toBeGreaterThan(frames / 20);
  expect(understood).toBeLessThan(frames / 1.5);
  expect(grown).toBeLessThan(300);
}, 600_000);

test(
  `${isSoak ? '20,000' : '2,000'} fuzzed frames over sockets, under their own name and before any: the relay goes on`,
  async () => {
    const frames = Number(process.env['UNDERSTUDY_SOAK_FRAMES'] ?? (isSoak ? 20_000 : 2_000));
    const end = deadline(Infinity);
    // A token for each viewer: one that wrote may not come back with the same at once.
    const viewers = Array.from({ length: Math.min(frames / 10, 5_000) }, (_, n) => `viewer-${n}`);
    const tokens = [token('rw'), ...viewers.map((secret) => token(secret, 'viewer'))];
    const { relay, bystanders, survived } = await attacked({}, tokens);
    const random = seeded(seedOfRun());
    const below = (n: number) => Math.floor(random() * n);
    const next = mutator(random, bystanders.id, relay.check);
    let sent = 0;
    let ended = 0;
    // By chance none of so few may have been of one kind: then there are more of them.
    const hasSeenAll = async () => {
      const { closedMalformed = 0, closedReadOnly = 0 } = await relay.counts();
      return closedMalformed > 0 && closedReadOnly > 0;
    };
    const attack = async (name: string) => {
      while ((sent < frames || !(await hasSeenAll())) && sent < 5 * frames && performance.now() < end) {
        say('frames over sockets so far', { sent, of: frames, ended, relay: `${relay.rss()} MB` });
        const secret = below(3) === 0 ? viewers.pop() : undefined;
        const headers = { authorization: `Bearer ${secret ?? 'rw'}` };
        const client = rawClient(relay.url, { headers }, secret === undefined ? protocol : viewerProtocol);
        await until('decided', () => client.socket.readyState !== client.socket.CONNECTING);
        if (below(4) > 0) client.send(['hello', relay.check, name, 'raw']);
        if (below(4) > 0) client.send(['attach']);
        for (let n = 0; n < 20 && !client.closed(); n += 1) {
          client.sendRaw(next());
          sent += 1;
          if (below(5) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        if (below(2) === 0) await until('ended', client.closed, 200).catch(() => undefined);
        if (client.closed()) ended += 1;
        client.socket.terminate();
      }
    };
    const latency = await bystanders.whileAttacked(Promise.all(['m', 'n', 'o'].map(attack)));
    await until('the attackers are forgotten', async () => (await relay.count('connections')) === 2);
    const counts = await relay.counts();
    const refusals = Object.fromEntries(
      Object.entries(counts).filter(([name]) => /^(refused|closed)/.test(name)),
    );
    await survived('fuzzed frames over sockets', 250, { sent, ended, ...latency, ...refusals });
    // Whoever was ended was counted, with its reason.
    expect(Object.values(refusals).reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(ended);
    expect(counts['closedMalformed']).toBeGreaterThan(0);
    expect(counts['closedReadOnly']).toBeGreaterThan(0);
  },
  LONG_MS,
);

test('wrong protocol versions are refused before the upgrade, each counted', async () => {
  const { relay, bystanders, survived } = await attacked();
  const versions = ['', 'understudy.v0', 'understudy.v2', 'understudy.v1x', 'x'.repeat(4_000), '1', 'mqtt'];
  const attack = async () => {
    for (const version of versions) {
      const client = rawClient(relay.url, {}, version === '' ? [] : [version]);
      await until('refused', client.closed);
      expect(client.closed()?.error).toContain('400');
    }
  };
  const latency = await bystanders.whileAttacked(attack());
  expect(await relay.count('refusedVersion')).toBe(versions.length);
  await survived('wrong versions', 100, latency);
}, 60_000);

test('a frame of 100 MB, whole or in pieces without end, ends its connection and costs next to nothing', async () => {
  const { relay, bystanders, survived } = await attacked();
  const attack = async () => {
    const whole = await member(relay, 'm');
    whole.socket.on('error', () => undefined);
    whole.sendRaw(new Uint8Array(100 * 1024 * 1024));
    await until('ended', whole.closed);
    const pieces = await member(relay, 'n');
    pieces.socket.on('error', () => undefined);
    const piece = new Uint8Array(1024 * 1024);
    for (let n = 0; n < 100 && !pieces.closed(); n += 1) {
      pieces.socket.send(piece, { fin: false, binary: true });
      await until('taken', () => pieces.closed() ?? pieces.socket.bufferedAmount < 4 * piece.length);
    }
    await until('ended', pieces.closed);
  };
  const latency = await bystanders.whileAttacked(attack());
  await until('both counted', async () => (await relay.count('closedTooBig')) === 2);
  await survived('frames of 100 MB', 150, latency);
}, 60_000);

test('a change that inflates a thousandfold is refused before Automerge sees it', async () => {
  const { relay, bystanders, survived } = await attacked();
  const message = inflatingMessage(400);
  const attack = async () => {
    const attacker = await member(relay, 'm');
    attacker.send(['sync', bystanders.id, message]);
    await until('ended', attacker.closed);
    expect(attacker.closed()?.code).toBe(4000);
  };
  const latency = await bystanders.whileAttacked(attack());
  expect(await relay.count('closedMalformed')).toBe(1);
  await survived('an inflating change', 250, { frame: `${message.length} bytes`, ...latency });
}, 60_000);

test('5,000 requests for documents that nobody has cost no memory', async () => {
  const { relay, bystanders, survived } = await attacked();
  const asked = 5_000;
  const attack = async () => {
    const attacker = await member(relay, 'm');
    const empty = syncMessage(0);
    for (let n = 0; n < asked; n += 1) attacker.send([n % 2 ? 'sync' : 'request', newId(), empty]);
    const answers = () => attacker.frames.filter(([kind]) => kind === 'doc-unavailable').length;
    await until('answered', () => answers() === asked, 60_000);
  };
  const latency = await bystanders.whileAttacked(attack());
  expect(await relay.counts()).toMatchObject({ documents: 1, unknownDocuments: asked });
  await survived('requests for unknown documents', 150, { asked, ...latency });
}, 120_000);

const idle = isSoak ? 5_000 : 1_000;
/** Of each process; Node takes as many as the hard limit gives. */
const openFiles = Number(/open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);

test.skipIf(openFiles < idle + 500)(
  `${idle} idle connections are held, and beyond its bounds a relay refuses`,
  async () => {
    const limit = 2 * idle;
    const { relay, bystanders, survived } = await attacked({ UNDERSTUDY_RELAY_CONNECTIONS: String(limit) });
    const clients: RawClient[] = [];
    const begin = performance.now();
    const attack = async () => {
      for (let n = 0; n < idle; n += 100) {
        const some = Array.from({ length: 100 }, (_, k) => member(relay, `v${n + k}`, viewerProtocol));
        clients.push(...(await Promise.all(some)));
      }
    };
    const latency = await bystanders.whileAttacked(attack());
    const tookMs = Math.round(performance.now() - begin);
    expect(await relay.count('viewers')).toBe(idle);
    // Half of all places are for those that read: the next one is refused, and a replica is not.
    const late = rawClient(relay.url, {}, viewerProtocol);
    await until('refused', late.closed);
    expect(late.closed()?.error).toContain('503');
    const gamma = await member(relay, 'gamma');
    expect(gamma.closed()).toBeUndefined();
    expect(await relay.count('refusedFull')).toBe(1);
    expect(clients.filter((client) => client.closed())).toEqual([]);
    await survived('idle connections', idle * 0.15 + 100, {
      idle,
      'open files allowed': openFiles,
      opened: `in ${tookMs} ms`,
      ...latency,
    });
    for (const client of clients) client.socket.terminate();
    await until('all forgotten', async () => (await relay.count('connections')) === 3, 60_000);
  },
  600_000,
);

test('silent connections are ended in time, and more replicas than a cluster has are refused', async () => {
  const { relay, bystanders, survived } = await attacked();
  const attack = async () => {
    let late = 0;
    const silent = Array.from({ length: 100 }, () => rawClient(relay.url));
    const many = Array.from({ length: 80 }, async (_, n) => {
      for (;;) {
        const client = rawClient(relay.url);
        await until('open', () => client.socket.readyState === client.socket.OPEN || client.closed());
        client.send(['hello', relay.check, `r${n}`, 'raw']);
        await until('decided', () => client.closed() ?? client.frames.length > 0);
        const code = client.closed()?.code ?? 0;
        // Said too late, because this process stood still: it is one of the silent ones.
        if (code !== SILENT) return code;
        late += 1;
      }
    });
    const codes = await Promise.all(many);
    expect(codes.filter((code) => code === 4009)).toHaveLength(80 - (64 - 2));
    await until('ended', () => silent.every((client) => client.closed()?.code === SILENT));
    expect(await relay.counts()).toMatchObject({ closedSilent: 100 + late, closedTooManyReplicas: 18 });
  };
  const latency = await bystanders.whileAttacked(attack());
  await survived('silent connections, too many replicas', 150, latency);
}, 60_000);

test('a reader that never reads, sent more than the relay would hold, is dropped', async () => {
  const { relay, bystanders, survived } = await attacked();
  let most = 0;
  const attack = async () => {
    const [sleeper, talker] = [await member(relay, 'sleeper'), await member(relay, 'talker')];
    sleeper.socket.pause();
    const body = new Uint8Array(256 * 1024);
    let seq = 0;
    await until(
      'dropped',
      async () => {
        if (talker.socket.bufferedAmount < 8 * body.length) {
          talker.send(['channel', 'sleeper', 'talker', 'raw', (seq += 1), 't', body]);
        }
        if (seq % 50 !== 0) return false;
        most = Math.max(most, await relay.count('greatestBacklogBytes'));
        return (await relay.count('closedSlow')) === 1;
      },
      60_000,
    );
  };
  const latency = await bystanders.whileAttacked(attack());
  await survived('a reader that never reads', 200, { 'greatest backlog': `${most} bytes`, ...latency });
  expect(most).toBeLessThan(64 * 1024 * 1024);
}, 120_000);

test('who floods the relay with pings and reads no answer is dropped', async () => {
  const { relay, bystanders, survived } = await attacked();
  const attack = async () => {
    const flooder = await member(relay, 'm');
    flooder.socket.pause();
    await until(
      'dropped',
      async () => {
        if (flooder.socket.bufferedAmount < 1_000_000) {
          for (let n = 0; n < 500; n += 1) flooder.socket.ping(new Uint8Array(125));
        }
        return (await relay.count('closedSlow')) === 1;
      },
      60_000,
    );
  };
  const latency = await bystanders.whileAttacked(attack());
  await survived('a flood of pings', 150, latency);
}, 120_000);

test('connections that never finish their request are held by nobody', async () => {
  const { relay, bystanders, survived } = await attacked();
  const half = 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n';
  const sockets: Socket[] = [];
  let ended = 0;
  const attack = async () => {
    for (let n = 0; n < 300; n += 1) {
      const socket = connectTcp(Number(new URL(relay.url).port), '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => undefined).on('close', () => (ended += 1));
      socket.resume().write(n % 3 === 0 ? '' : half);
      sockets.push(socket);
    }
    await until('ended', () => ended === sockets.length, 40_000);
  };
  const latency = await bystanders.whileAttacked(attack());
  await survived('requests that never end', 150, { connections: sockets.length, ...latency });
}, 60_000);
