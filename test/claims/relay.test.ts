import { describe, expect, it, onTestFinished } from 'vitest';
import { encodeCbor } from '../../src/sync/codec.js';
import { closeCodes } from '../../src/sync/close-codes.js';
import { viewerProtocol } from '../../src/sync/frame.js';
import type { Relays } from '../../src/sync/connect.js';
import type { Relay } from '../../src/sync/relay.js';
import type { ClaimAnswer, ClaimRequest } from '../../src/claims/wire.js';
import { allOpen, cluster, connect, rawClient, rawMember, relay, TestStorage, until } from '../sync/world.js';
import { claiming, committing, patientClock, releasing, takingOver, tokenIn, wordOf } from './world.js';

/** A relay that decides on claims, and by which ballot. */
async function deciding(
  storage = new TestStorage(),
): Promise<{ hub: Relay; ballot: { term: number; relay: string } }> {
  const hub = await relay({ storage, clock: patientClock });
  const ballot = { term: 1, relay: hub.id ?? '' };
  const operator = connect('operator', [hub]);
  await allOpen(operator);
  for (const request of takingOver(ballot)) await ask(operator, ballot.relay, request);
  expect(hub.claims()).toMatchObject({ authority: 1, silentMs: 0 });
  operator.close();
  return { hub, ballot };
}

const ask = async (from: Relays, relayId: string, request: ClaimRequest): Promise<ClaimAnswer> => {
  const answer = await from.claims(relayId, request, 60_000);
  if (answer === undefined) throw new Error('no answer');
  return answer;
};

describe('claims over sockets', () => {
  it('a relay says its lasting name at the upgrade, the same after a restart', async () => {
    const storage = new TestStorage();
    const first = await relay({ storage });
    const client = connect('a', [first]);
    await allOpen(client);
    expect(client.named()).toEqual([{ relay: first.id, url: first.url }]);
    const { id } = first;
    await first.close();
    expect((await relay({ storage })).id).toBe(id);
    expect((await relay()).id).not.toBe(id);
  });

  it('K1-race: of many that claim one key at once exactly one is given it', async () => {
    const { hub, ballot } = await deciding();
    const clients = Array.from({ length: 8 }, (_, at) => connect(`r${at}`, [hub]));
    await allOpen(...clients);
    for (let key = 0; key < 20; key += 1) {
      const answers = await Promise.all(
        clients.map((client) => ask(client, ballot.relay, claiming(`k${key}`, { ballot, leaseMs: 60_000 }))),
      );
      expect(answers.map(wordOf).sort()).toEqual(['granted', ...Array.from({ length: 7 }, () => 'held')]);
    }
    expect(hub.claims()).toMatchObject({ granted: 20, held: 20, authority: 1 });
    expect(hub.claims().refused.held).toBe(140);
  });

  it('K1-bound: whose claim it is the connection says, and nobody else ends it', async () => {
    const { hub, ballot } = await deciding();
    const [a, b] = [connect('a', [hub]), connect('b', [hub])];
    await allOpen(a, b);
    const token = tokenIn(await ask(a, ballot.relay, claiming('k', { ballot, leaseMs: 60_000 })));
    expect(wordOf(await ask(b, ballot.relay, committing('k', token, { ballot })))).toBe('not-owner');
    expect(wordOf(await ask(b, ballot.relay, { ...releasing('k', token), ballot } as ClaimRequest))).toBe(
      'not-owner',
    );
    expect(wordOf(await ask(a, ballot.relay, committing('k', token, { ballot })))).toBe('committed');
    expect(hub.claims().refused['not-owner']).toBe(2);
  });

  it('K1-other: a relay that is not named refuses, and says who is', async () => {
    const { ballot } = await deciding();
    const other = await relay();
    const client = connect('a', [other]);
    await allOpen(client);
    expect(await ask(client, other.id ?? '', claiming('k', { ballot }))).toEqual({
      is: 'refused',
      reason: 'not-authority',
      authority: ballot,
    });
  });

  it('K1-viewer: one that may only read claims nothing, and is ended', async () => {
    const { hub, ballot } = await deciding();
    const viewer = rawClient(hub.url, {}, viewerProtocol);
    await until('open', () => viewer.socket.readyState === viewer.socket.OPEN);
    viewer.send(['hello', cluster, 'looker', 'i']);
    await until('welcome', () => viewer.frames.length > 0);
    viewer.send(['claim', 1, encodeCbor(claiming('k', { ballot }))]);
    await until('ended', () => viewer.closed());
    expect(viewer.closed()?.code).toBe(closeCodes['read-only']);
    expect(hub.claims()).toMatchObject({ granted: 0, held: 0 });
  });

  it('K1-hostile: what is no request ends that connection only', async () => {
    const { hub, ballot } = await deciding();
    const good = connect('good', [hub]);
    await allOpen(good);
    const fine = claiming('k', { ballot });
    const bodies: [string, Uint8Array][] = [
      ['no CBOR', Uint8Array.of(0xff)],
      ['nothing', new Uint8Array()],
      ['null', encodeCbor(null)],
      ['an unknown verb', encodeCbor({ ...fine, op: 'steal' })],
      ['a verb of the prototype', encodeCbor({ ...fine, op: '__proto__' })],
      ['a long key', encodeCbor({ ...fine, key: 'k'.repeat(1025) })],
      ['another namespace’s form', encodeCbor({ ...fine, namespace: '../x' })],
      ['a lease without end', encodeCbor({ ...fine, leaseMs: 1e12 })],
      ['a lease that is no number', encodeCbor({ ...fine, leaseMs: Number.NaN })],
      ['a relay of another form', encodeCbor({ ...fine, ballot: { term: 1, relay: 'x' } })],
      ['a term without end', encodeCbor({ ...fine, ballot: { ...ballot, term: 2 ** 60 } })],
      ['a token below nothing', encodeCbor({ ...committing('k', { ...ballot, counter: -1 }) })],
      ['a part that there is not', encodeCbor({ op: 'give', next: ballot, part: 16 })],
    ];
    for (const [name, body] of bodies) {
      const hostile = await rawMember(hub.url, 'hostile');
      hostile.send(['claim', 1, body]);
      await until(name, () => hostile.closed());
      expect(hostile.closed()?.code, name).toBe(closeCodes.malformed);
    }
    expect(wordOf(await ask(good, ballot.relay, fine))).toBe('granted');
    expect(good.stats().lost).toBe(0);
  }, 120_000);

  it('K1-busy: one connection has so many requests open, and no more', async () => {
    const storage = new TestStorage();
    const { hub, ballot } = await deciding(storage);
    const client = connect('a', [hub]);
    await allOpen(client);
    let free = () => {};
    storage.hanging = new Promise((resolve) => (free = resolve));
    onTestFinished(() => free());
    const asked = Array.from({ length: 80 }, (_, at) =>
      ask(client, ballot.relay, claiming(`k${at}`, { ballot })),
    );
    await until('some were refused', () => client.stats().malformed === 0 && hub.claims().granted === 0);
    const first = await Promise.race(asked);
    expect(wordOf(first)).toBe('busy');
    free();
    storage.hanging = undefined;
    const words = (await Promise.all(asked)).map(wordOf);
    expect(words.filter((word) => word === 'busy')).toHaveLength(16);
    expect(words.filter((word) => word === 'granted')).toHaveLength(64);
  });

  it('K1-disk: nothing is answered that is not stored, and all of it when it is', async () => {
    const storage = new TestStorage();
    const { hub, ballot } = await deciding(storage);
    const client = connect('a', [hub]);
    await allOpen(client);
    storage.failing = true;
    const request = claiming('k', { ballot, leaseMs: 60_000 });
    expect(wordOf(await ask(client, ballot.relay, request))).toBe('unavailable');
    expect(hub.claims().failures).toBeGreaterThan(0);
    storage.failing = false;
    const token = tokenIn(await ask(client, ballot.relay, request));
    await hub.close();
    const again = await relay({ storage });
    const later = connect('b', [again]);
    await allOpen(later);
    expect(wordOf(await ask(later, ballot.relay, claiming('k', { ballot })))).toBe('held');
    expect(token.counter).toBeGreaterThan(0);
  });
});
