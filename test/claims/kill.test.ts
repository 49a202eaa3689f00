import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Ballot, FencingToken } from '../../src/claims/token.js';
import type { ClaimAnswer, ClaimRequest } from '../../src/claims/wire.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { Relays } from '../../src/sync/connect.js';
import { silentLog } from '../../src/telemetry/log.js';
import { oneOfEach, changing, forEachOf, takesAll } from '../actors/children/each.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { scratchFolder } from '../storage/scratch.js';
import { relayProcess, type RelayProcess } from '../sync/relay-process.js';
import { connect, until } from '../sync/world.js';
import { buildOnce } from '../world/build.js';
import { running, takeOver, type Running } from './running.js';
import { claiming, committing, renewing, tokenIn, wordOf } from './world.js';

const children = compiledChildren('test/claims/children', ['relay-claims-child', 'holder-child']);

const claimsIn = (dir: string): Promise<Running> => running(new DurableStorage({ dir, log: silentLog }));

describe('killed at every file call', () => {
  /** Runs the claims over a copy of a folder: what they said before they died, and their calls when they did not. */
  async function run(from: string, dieAt?: number) {
    const dir = join(await scratchFolder(), 'data');
    await cp(from, dir, { recursive: true });
    const child = startChild(children.path('relay-claims-child'), [dir, String(dieAt ?? '')]);
    const end = await child.ended;
    const said = new Map(child.lines.map((line) => [line.split(' ')[0], line.slice(line.indexOf(' '))]));
    const calls = said.get('calls');
    // One that never comes to its call would prove nothing.
    expect(end, `of call ${dieAt}`).toBe(dieAt === undefined ? 0 : 'SIGKILL');
    const token = said.get('granted');
    return {
      dir,
      token: token === undefined ? undefined : (JSON.parse(token) as FencingToken),
      isCommitted: said.has('committed'),
      calls: calls === undefined ? [] : (JSON.parse(calls) as string[]),
    };
  }

  it('K1-kill: of a start, a claim and a commit: no token comes twice, none is lower, what was answered stands', async () => {
    const from = join(await scratchFolder(), 'data');
    const first = await claimsIn(from);
    await takeOver(first);
    const { ballot } = first;
    const before = tokenIn(await first.ask(claiming('before', { ballot, leaseMs: 60_000 })));
    await first.close();

    const { calls } = await run(from);
    // A call that reads changes nothing: killed before it, the disk is as before the next that does.
    const came = { before: 0, granted: 0, committed: 0 };
    await forEachOf(oneOfEach(6, changing(calls)), async (call) => {
      const at = `killed at call ${call}, ${calls[call - 1]}`;
      const { dir, token, isCommitted } = await run(from, call);
      came[isCommitted ? 'committed' : token === undefined ? 'before' : 'granted'] += 1;
      const again = await claimsIn(dir);
      expect(again.ballot, at).toEqual(ballot);
      expect(again.claims.stats(), at).toMatchObject({ authority: 1, silentMs: 0 });
      // Its answer may be lost: who asked asks again.
      const repeated = await again.ask(
        claiming('k', { ballot, request: 'the-one', worker: 'w', leaseMs: 60_000 }),
      );
      const isConsumed = wordOf(repeated) === 'consumed';
      if (isCommitted) expect(isConsumed, at).toBe(true);
      if (isConsumed) expect(token, at).toBeDefined();
      const stands = isConsumed ? (token as FencingToken) : tokenIn(repeated);
      if (token !== undefined) expect(stands, at).toEqual(token);
      expect(stands.counter, at).toBeGreaterThan(before.counter);
      expect(wordOf(await again.ask(claiming('k', { ballot }), 'b')), at).toBe(
        isConsumed ? 'consumed' : 'held',
      );
      expect(wordOf(await again.ask(claiming('before', { ballot }), 'b')), at).toBe('held');
      const next = tokenIn(await again.ask(claiming('other', { ballot }), 'b'));
      expect(next.counter, at).toBeGreaterThan(stands.counter);
      await again.close();
    });
    expect(came.before).toBeGreaterThan(takesAll ? 8 : 0);
    expect(came.granted).toBeGreaterThan(takesAll ? 3 : 0);
  }, 300_000);
});

describe('of a real relay', () => {
  beforeAll(buildOnce, 120_000);

  interface Deciding {
    relay: RelayProcess;
    ballot: Ballot;
    /** Asks as this replica. */
    as: (replica: string) => (request: ClaimRequest) => Promise<ClaimAnswer>;
  }

  async function deciding(): Promise<Deciding> {
    const relay = await relayProcess();
    const replicas = new Map<string, Relays>();
    const connected = async (replica: string): Promise<[Relays, string]> => {
      const relays =
        replicas.get(replica) ?? connect(replica, [{ url: relay.url }], { clusterCheck: relay.check });
      replicas.set(replica, relays);
      await until('it is open', () => relays.named().length === 1);
      return [relays, relays.named()[0]?.relay ?? ''];
    };
    const as = (replica: string) => async (request: ClaimRequest) => {
      let answer: ClaimAnswer | undefined;
      // A disk that is slower than the relay waits for decides nothing: as a replica does, it is asked again.
      await until('it has decided', async () => {
        const [relays, id] = await connected(replica);
        answer = await relays.claims(id, request, 30_000);
        return answer !== undefined && wordOf(answer) !== 'unavailable';
      });
      return answer as ClaimAnswer;
    };
    const [, id] = await connected('a');
    const ballot = { term: 1, relay: id };
    await takeOver({ ask: as('a'), ballot });
    return { relay, ballot, as };
  }

  it('killed while a key is held and another is taken for good: the holder goes on, nobody else is given either', async () => {
    const { relay, ballot, as } = await deciding();
    const [a, b] = [as('a'), as('b')];
    const asked = claiming('k', { ballot, leaseMs: 60_000 });
    const token = tokenIn(await a(asked));
    const done = tokenIn(await a(claiming('done', { ballot, leaseMs: 60_000 })));
    expect(wordOf(await a(committing('done', done, { ballot })))).toBe('committed');
    await relay.process.kill();
    await relay.process.start();
    expect(wordOf(await b(claiming('k', { ballot })))).toBe('held');
    expect(wordOf(await b(claiming('done', { ballot })))).toBe('consumed');
    expect(tokenIn(await a(asked))).toEqual(token);
    expect(wordOf(await a({ ...renewing('k', token, 60_000), ballot } as ClaimRequest))).toBe('renewed');
    expect(tokenIn(await b(claiming('other', { ballot }))).counter).toBeGreaterThan(done.counter);
    expect(wordOf(await a(committing('k', token, { ballot })))).toBe('committed');
    expect(wordOf(await b(claiming('k', { ballot })))).toBe('consumed');
  }, 120_000);

  it('standing still for longer than a lease: it is over then, the next holder has a higher token, and the first is told', async () => {
    const { relay, ballot, as } = await deciding();
    const [a, b] = [as('a'), as('b')];
    const first = tokenIn(await a(claiming('k', { ballot, leaseMs: 1_000 })));
    const long = tokenIn(await a(claiming('long', { ballot, leaseMs: 60_000 })));
    expect(wordOf(await b(claiming('long', { ballot })))).toBe('held');
    relay.process.freeze();
    const waiting = b(claiming('k', { ballot, leaseMs: 60_000 }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    relay.process.thaw();
    expect(tokenIn(await waiting).counter).toBeGreaterThan(long.counter);
    expect(wordOf(await a(committing('k', first, { ballot })))).toBe('stale');
    expect(wordOf(await b(claiming('long', { ballot })))).toBe('held');
    expect(wordOf(await a(committing('long', long, { ballot })))).toBe('committed');
  }, 120_000);

  it('a holder that is killed: its key is another’s when its time is over, and not before', async () => {
    const { relay, ballot, as } = await deciding();
    const b = as('b');
    // Connected already when the lease begins.
    expect(wordOf(await b(claiming('another', { ballot })))).toBe('granted');
    const leaseMs = 4_000;
    let refused = 0;
    // Where the lease was over before anybody could ask for the key, nobody was refused it: once more, with another.
    for (let attempt = 0; attempt < 5 && refused === 0; attempt += 1) {
      const key = `k${attempt}`;
      const from = performance.now();
      const holder = startChild(children.path('holder-child'), [
        relay.url,
        relay.check,
        ballot.relay,
        key,
        String(leaseMs),
      ]);
      expect(await holder.line(() => true)).toBe('granted');
      await holder.kill();
      await until('it is free', async () => {
        const word = wordOf(await b(claiming(key, { ballot })));
        if (word === 'held') refused += 1;
        return word === 'granted';
      });
      expect(performance.now() - from).toBeGreaterThan(leaseMs);
    }
    expect(refused).toBeGreaterThan(0);
  }, 180_000);
});
