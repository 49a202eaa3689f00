import { next as A } from '@automerge/automerge';
import { connect as connectTcp } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { protocol } from '../../src/sync/frame.js';
import { buildOnce } from '../world/build.js';
import { isSoak, report, watched } from './attack.js';
import { bloom, bringing, manyOperations, poison } from './crafted.js';
import { relayProcess } from './relay-process.js';
import { headsOf, rawClient, until } from './world.js';

// Small frames at a real relay that cost gigabytes, minutes or a document wherever nobody looks into them first.
beforeAll(buildOnce, 120_000);

const rounds = isSoak ? 20 : 1;

test('frames of a few bytes that unfold, loop, panic or spoil: each ends its connection, and the others never notice', async () => {
  const relay = await relayProcess();
  const bystanders = await watched({ url: relay.url, token: 'rw' }, { clusterCheck: relay.check });
  await bystanders.stillConverge();
  const doc = bystanders.mine.doc();
  const heads = headsOf(bystanders.mine);
  const filter = (probes: number) => [{ lastSync: [], bloom: bloom(1, 8, probes, 1) }];
  const said = (parts: object) => A.encodeSyncMessage({ heads, need: [], have: [], changes: [], ...parts });
  const bombs = [
    bringing(manyOperations(2 ** 31)),
    bringing(manyOperations(5_000_000)),
    bringing(manyOperations(90_000, 'k'.repeat(10_000))),
    said({ have: filter(1_000_000) }),
    said({ have: filter(4_294_967_295) }),
    said({ need: [heads[0], heads[0]] }),
    ...Object.values(poison(doc)).map((change) => bringing(change)),
  ];
  const before = relay.rss();
  const { pid } = relay.process;
  const attack = async () => {
    for (let round = 0; round < rounds; round += 1) {
      for (const bomb of bombs) {
        let code: number | undefined;
        // Again where this process stood still before its hello, for longer than the relay waits for one.
        do {
          const client = rawClient(relay.url, { maxPayload: 0 }, protocol);
          await until('open', () => client.socket.readyState === client.socket.OPEN || client.closed());
          client.send(['hello', relay.check, 'm', 'raw']);
          client.send(['attach']);
          client.send(['sync', bystanders.id, bomb]);
          await until('ended', client.closed);
          code = client.closed()?.code;
        } while (code === 4004);
        expect(code).toBe(4000);
      }
      // Before it has said who it is.
      const early = rawClient(relay.url, {}, protocol);
      await until('open', () => early.socket.readyState === early.socket.OPEN);
      early.sendRaw(Buffer.from([0xc2, 0x5a, 0, 0x20, 0, 0, ...Buffer.alloc(0x200000, 255)]));
      await until('ended', early.closed);
    }
  };
  const latency = await bystanders.whileAttacked(attack());
  const grown = relay.rss() - before;
  report('small frames that unfold', {
    frames: rounds * (bombs.length + 1),
    ...latency,
    'after all': `+${grown} MB`,
  });
  expect(await relay.count('closedMalformed')).toBe(rounds * (bombs.length + 1));
  expect([relay.process.pid, relay.process.crashes]).toEqual([pid, []]);
  expect(grown).toBeLessThan(200);
}, 600_000);

test('deflated frames are not agreed to, and headers without end or in drops hold nobody up', async () => {
  const relay = await relayProcess();
  const bystanders = await watched({ url: relay.url, token: 'rw' }, { clusterCheck: relay.check });
  const client = rawClient(relay.url, { perMessageDeflate: true }, protocol);
  await until('open', () => client.socket.readyState === client.socket.OPEN);
  expect(client.socket.extensions).toBe('');
  const port = Number(new URL(relay.url).port);
  const attempt = (text: string) =>
    new Promise<string>((resolve) => {
      let answer = '';
      const socket = connectTcp(port, '127.0.0.1', () => socket.write(text));
      socket.on('data', (data) => (answer += data.toString()));
      socket.on('error', () => undefined).on('close', () => resolve(answer));
    });
  const flood = attempt(`GET / HTTP/1.1\r\nHost: x\r\n${'X-Header: y\r\n'.repeat(20_000)}\r\n`);
  const long = attempt(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'y'.repeat(200_000)}\r\n\r\n`);
  const begun = performance.now();
  // Two hundred that never finish their request.
  const drops = Array.from({ length: 200 }, () => attempt('GET / HTTP/1.1\r\nHost: x\r\nX-'));
  await bystanders.stillConverge();
  for (const answer of await Promise.all([flood, long])) expect(answer).not.toContain('101');
  await Promise.all(drops);
  expect(performance.now() - begun).toBeLessThan(60_000);
  expect(await relay.count('httpFailures')).toBeGreaterThanOrEqual(200);
  await bystanders.stillConverge();
}, 120_000);
