import { describe, expect, it } from 'vitest';
import { silentLog, startRelay, systemClock, type Clock } from '../../src/index.js';
import type { ClaimStoreOptions, HeldClaim, OpenNodeOptions, Relay, StateNode } from '../../src/index.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { CLUSTER, eventually, folder, MemoryStorage, node } from '../node/world.js';
import { testPort } from '../world/port.js';
import { onTestFinished } from 'vitest';

const LONGEST_MS = 3_000;
const STEPS: ClaimStoreOptions = {
  namespace: 'steps',
  class: 'claim',
  ttl: 2_900,
  whenUnreachable: 'wait',
  // For what is decided at last: nobody waits so long but on a machine that stands still.
  patience: 60_000,
};

/** Leases that no machine outlasts by standing still. */
const LONG_MS = 60_000;
let aheadMs = 0;
/** Of relays: a test puts it ahead of the others, so that nobody waits for the end of a silence. */
const relayClock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };

/** A relay whose silence is short, unless leases must be long. */
async function hub(storage = new MemoryStorage(), port = 0, longestLeaseMs = LONGEST_MS): Promise<Relay> {
  const started = await startRelay({
    port,
    tokens: undefined,
    storage,
    clusterCheck: clusterCheck(CLUSTER),
    limits: { claims: { longestLeaseMs } },
    clock: relayClock,
    log: silentLog,
  });
  onTestFinished(() => started.close());
  return started;
}

async function nodes(relays: Relay[], ...more: Partial<OpenNodeOptions>[]): Promise<StateNode[]> {
  const opened: StateNode[] = [];
  for (const options of more.length > 0 ? more : [{}]) {
    opened.push(await node(relays, { found: opened.length === 0, ...options }));
  }
  await eventually(() => opened.every(({ claims }) => opened.length > 0 && claims !== undefined));
  return opened;
}

/** Names a relay, and waits until the replicas know it. */
async function name(relay: Relay, first: StateNode, ...others: StateNode[]): Promise<void> {
  await eventually(() => first.relays().every(({ state }) => state === 'open'));
  const { ballot } = await first.claims.setAuthority(relay.url);
  expect(ballot.relay).toBe(relay.id);
  await eventually(() => [first, ...others].every(({ claims }) => claims.authority()?.relay === relay.id));
}

const held = (claimed: { granted: boolean }): HeldClaim => {
  if (!claimed.granted || !('token' in claimed)) throw new Error(`not held: ${JSON.stringify(claimed)}`);
  return claimed as HeldClaim;
};

describe('claims of nodes', () => {
  it('of replicas that claim one key one is given it, and nobody once it is committed', async () => {
    const relay = await hub(new MemoryStorage(), 0, LONG_MS);
    const [one, other] = (await nodes([relay], {}, {})) as [StateNode, StateNode];
    await name(relay, one, other);
    aheadMs += LONG_MS;
    const long = { ...STEPS, ttl: LONG_MS };
    const [here, there] = [await one.openKeyedStore(long), await other.openKeyedStore(long)];
    const claims = await Promise.all([here.claim('k', { owner: 'w1' }), there.claim('k')]);
    expect(claims.filter(({ granted }) => granted)).toHaveLength(1);
    const [winner, loser] = claims[0].granted ? [here, there] : [there, here];
    const claim = held(claims.find(({ granted }) => granted) as HeldClaim);
    expect(claim.leftMs()).toBeGreaterThan(0);
    expect(claim.authority).toBe(relay.id);
    expect(await winner.renew(claim)).toBe(true);
    await expect(loser.commit({ key: 'k', token: claim.token })).rejects.toMatchObject({ code: 'not-owner' });
    expect(await winner.commit(claim)).toEqual({ authority: relay.id });
    expect(await winner.commit(claim)).toEqual({ authority: relay.id });
    for (const store of [winner, loser]) {
      expect(await store.claim('k')).toMatchObject({ granted: false, reason: 'consumed' });
    }
    await expect(winner.release(claim)).rejects.toMatchObject({ code: 'stale' });
    expect(one.counters().claims.granted + other.counters().claims.granted).toBe(1);
    await expect(one.openKeyedStore(STEPS)).rejects.toMatchObject({ code: 'already-open' });
    await expect(one.openKeyedStore({ ...STEPS, namespace: 'x', ttl: 90_000 })).rejects.toMatchObject({
      code: 'bad-options',
    });
  }, 120_000);

  it('what is released, or whose time is over, is another’s; a late holder is told so', async () => {
    const relay = await hub();
    const [one, other] = (await nodes([relay], {}, {})) as [StateNode, StateNode];
    await name(relay, one, other);
    const [here, there] = [await one.openKeyedStore(STEPS), await other.openKeyedStore(STEPS)];
    // Of a lease that is over when it is given nothing could be said.
    await eventually(async () => (await here.claim('before')).granted);
    const first = held(await here.claim('k'));
    await here.release(first);
    const second = held(await there.claim('k'));
    expect(second.fence > first.fence).toBe(true);
    await eventually(async () => (await here.claim('k')).granted);
    expect(second.leftMs()).toBe(0);
    await expect(there.commit(second)).rejects.toMatchObject({ code: 'stale' });
    expect(await there.renew(second)).toBe(false);
    expect(other.counters().claims.stale).toBe(2);
  }, 120_000);

  it('K1-rule: with no authority in reach a namespace waits, or goes on and says so', async () => {
    const storage = new MemoryStorage();
    const relay = await hub(storage, await testPort());
    const [one] = (await nodes([relay])) as [StateNode];
    const wait = await one.openKeyedStore({ ...STEPS, patience: 200 });
    const proceed = await one.openKeyedStore({
      ...STEPS,
      namespace: 'hints',
      whenUnreachable: 'proceed',
      patience: 200,
    });
    await expect(wait.claim('k')).rejects.toMatchObject({ code: 'no-authority' });
    expect(await proceed.claim('k')).toEqual({
      granted: true,
      key: 'k',
      authority: 'none',
      risk: 'duplicate',
      because: 'none-named',
    });
    await name(relay, one);
    const { port } = relay;
    const claim = held(await wait.claim('k', { patience: 60_000 }));
    await relay.close();
    await expect(wait.commit(claim)).rejects.toMatchObject({ code: 'no-authority' });
    await expect(wait.claim('l')).rejects.toMatchObject({ code: 'no-authority' });
    const unguarded = await proceed.claim('k');
    expect(unguarded).toMatchObject({ granted: true, authority: 'none', risk: 'duplicate' });
    expect(one.counters().claims).toMatchObject({ waited: 3, proceeded: 2 });
    // It comes back on its port with what it held, and takes what was done without it.
    const again = await hub(storage, port);
    expect(await wait.commit(claim, { patience: 60_000 })).toEqual({ authority: again.id });
    if (unguarded.granted)
      expect(await proceed.commit(unguarded, { patience: 60_000 })).toEqual({ authority: again.id });
    expect(again.claims().consumed).toBe(2);
  }, 120_000);

  it('K1-moved: another relay takes over what is held and committed, and the old one refuses', async () => {
    const [old, next] = [await hub(), await hub()];
    const [one, other] = (await nodes([old, next], {}, {})) as [StateNode, StateNode];
    await name(old, one, other);
    const [here, there] = [
      await one.openKeyedStore({ ...STEPS, ttl: 3_000 }),
      await other.openKeyedStore(STEPS),
    ];
    await here.commit(held(await here.claim('done')));
    const claim = held(await here.claim('kept'));
    const { ballot, silentMs, stored } = await other.claims.setAuthority(next.id ?? '');
    expect({ silentMs, stored }).toEqual({ silentMs: 0, stored: true });
    await eventually(() => one.claims.authority()?.term === ballot.term);
    expect(await there.claim('done')).toMatchObject({ granted: false, reason: 'consumed' });
    const fresh = held(await there.claim('fresh'));
    expect(fresh.fence > claim.fence).toBe(true);
    expect(fresh.authority).toBe(next.id);
    expect(old.claims().authority).toBe(0);
    expect(await one.claims.holders()).toMatchObject({ relay: next.id, consumed: 1 });
    expect((await one.claims.status()).relays.filter(({ isAuthority }) => isAuthority)).toHaveLength(1);
  }, 120_000);

  it('K1-gone: an old one that is out of reach is given up only when that is said', async () => {
    const [old, next] = [await hub(), await hub()];
    const [one] = (await nodes([old, next])) as [StateNode];
    await name(old, one);
    await old.close();
    await expect(one.claims.setAuthority(next.url)).rejects.toMatchObject({ code: 'unreachable' });
    await expect(one.claims.setAuthority('ws://127.0.0.1:1')).rejects.toMatchObject({
      code: 'unknown-relay',
    });
    const { silentMs } = await one.claims.setAuthority(next.url, { giveUpOld: true });
    expect(silentMs).toBeGreaterThan(LONGEST_MS / 2);
    const store = await one.openKeyedStore(STEPS);
    expect(held(await store.claim('k')).authority).toBe(next.id);
  }, 120_000);

  it('K1-told: a relay that comes back after it was given up hears of that from whoever knows', async () => {
    const storage = new MemoryStorage();
    const [old, next] = [await hub(storage, await testPort()), await hub()];
    const [one] = (await nodes([old, next])) as [StateNode];
    await name(old, one);
    const { port } = old;
    await old.close();
    await one.claims.setAuthority(next.url, { giveUpOld: true });
    const back = await hub(storage, port);
    expect(back.claims().authority).toBe(1);
    await eventually(() => back.claims().authority === 0);
  }, 120_000);

  it('K1-older-node: a relay whose storage is put back learns it from a replica that was restarted', async () => {
    const storage = new MemoryStorage();
    const relay = await hub(storage, await testPort());
    const dataDir = await folder();
    const [one] = (await nodes([relay], { dataDir })) as [StateNode];
    await name(relay, one);
    const before = new MemoryStorage();
    for (const { key, data } of await storage.loadRange([]))
      if (data !== undefined) await before.save(key, data);
    const token = held(await (await one.openKeyedStore(STEPS)).claim('k')).token;
    await one.close();
    const { port } = relay;
    await relay.close();
    const restored = await hub(before, port);
    const again = await node([restored], { dataDir, found: true });
    const store = await again.openKeyedStore(STEPS);
    const claim = held(await store.claim('other', { patience: 60_000 }));
    expect(claim.token.counter).toBeGreaterThan(token.counter);
    expect(restored.claims().rolledBack).toBe(1);
  }, 120_000);
});
