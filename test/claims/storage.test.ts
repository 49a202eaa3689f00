import { describe, expect, it, onTestFinished } from 'vitest';
import { compareTokens } from '../../src/claims/token.js';
import type { ClaimRequest } from '../../src/claims/wire.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { losePowerAtEveryCall } from '../storage/every-call.js';
import type { LosingDisk } from '../storage/losing-disk.js';
import { onEveryStore, type Place } from '../storage/stores.js';
import { running, takeOver, type Running } from './running.js';
import { claiming, committing, tokenIn, wordOf } from './world.js';

const on = (place: Place): Promise<Running> =>
  running(new DurableStorage({ store: place.open(), log: silentLog }));

const asked = (key: string, ballot: Running['ballot']): ClaimRequest =>
  claiming(key, { ballot, leaseMs: 60_000 });

onEveryStore((fresh) => {
  it('K1-durable: what was granted and committed stands after a restart, and tokens only rise', async () => {
    const place = await fresh();
    const one = await on(place);
    await takeOver(one);
    const first = tokenIn(await one.ask(asked('1', one.ballot)));
    const second = tokenIn(await one.ask(asked('2', one.ballot)));
    expect(wordOf(await one.ask(committing('2', second, { ballot: one.ballot })))).toBe('committed');
    await one.close();

    const again = await on(place);
    onTestFinished(() => again.close());
    expect(again.ballot).toEqual(one.ballot);
    expect(again.claims.stats()).toMatchObject({ authority: 1, consumed: 1, silentMs: 0 });
    expect(wordOf(await again.ask(asked('2', one.ballot), 'b'))).toBe('consumed');
    const third = tokenIn(await again.ask(asked('3', one.ballot)));
    for (const earlier of [first, second]) expect(compareTokens(third, earlier)).toBeGreaterThan(0);
  });

  it('K1-ours: a process whose place was taken by another answers nothing more, and writes nothing over it', async () => {
    const place = await fresh();
    const storage = new DurableStorage({ store: place.open(), log: silentLog });
    const old = await running(storage);
    await takeOver(old);
    const other = await running(storage);
    onTestFinished(() => other.close());
    const token = tokenIn(await other.ask(asked('k', other.ballot)));
    expect(wordOf(await other.ask(committing('k', token, { ballot: other.ballot })))).toBe('committed');
    expect(wordOf(await old.ask(asked('k', old.ballot), 'b'))).toBe('unavailable');
    expect(old.claims.relay).toBeUndefined();
    const third = await running(storage);
    expect(wordOf(await third.ask(asked('k', third.ballot), 'b'))).toBe('consumed');
  });
});

describe('power', () => {
  it('K1-power: lost at any call to the disk, no token comes twice and what was said to be consumed stays so', async () => {
    const opened = (disk: LosingDisk) =>
      running(new DurableStorage({ dir: '/relay', files: disk.files, log: silentLog }));
    let relay = '';
    const losses = await losePowerAtEveryCall<{ token: number; committed?: true }>({
      prepare: async (disk) => {
        const one = await opened(disk);
        relay = one.ballot.relay;
        await takeOver(one);
        await one.close();
      },
      act: async (disk, say) => {
        const one = await opened(disk);
        const token = tokenIn(await one.ask(asked('k', one.ballot)));
        say({ token: token.counter });
        await one.ask(committing('k', token, { ballot: one.ballot }));
        say({ token: token.counter, committed: true });
      },
      check: async (disk, said, at) => {
        const one = await opened(disk);
        expect(one.ballot.relay, at).toBe(relay);
        expect(one.claims.stats().silentMs, at).toBe(0);
        const isConsumed = wordOf(await one.ask(asked('k', one.ballot), 'b')) === 'consumed';
        if (said.some(({ committed }) => committed)) expect(isConsumed, at).toBe(true);
        const next = tokenIn(await one.ask(asked('other', one.ballot)));
        for (const { token } of said) expect(next.counter, at).toBeGreaterThan(token);
        await one.close();
      },
    });
    expect(losses).toBeGreaterThan(100);
  }, 120_000);
});
