import { expect, it, onTestFinished } from 'vitest';
import type { PlatformClient, RunEvent } from '../../src/platform/client.js';
import { openDatabase } from '../../src/platform/service/database.js';
import type { Database } from '../../src/platform/service/tables.js';
import { silentLog } from '../../src/telemetry/log.js';
import { platformChildren, type PlatformChild } from './children/build.js';
import { onEveryDatabase, onPostgres } from './databases.js';
import { answer, clientOf, eventually, invocations, newChat } from './world.js';

const startChild = platformChildren();

const running = ({ url }: PlatformChild, count = 1) =>
  eventually(async () => {
    const { runs } = (await (await fetch(`${url}/v1/stats`)).json()) as { runs: Record<string, number> };
    return runs['running'] === count ? true : undefined;
  });

/** What a run says, until its stream ends or breaks. */
async function listen(client: PlatformClient, chat: string, key: string, text: string, into: RunEvent[]) {
  for await (const event of client.sendMessage(key, chat, { text, user: '@a:b' })) into.push(event);
}

onEveryDatabase((fresh) => {
  it('P2: goes on with the same invocation after SIGKILL in the middle of a run', async () => {
    const database = await fresh();
    const first = await startChild({ database, leaseMs: 500 });
    const chat = await newChat(clientOf(first), 'drill');
    const began = Date.now();
    const cut = answer(clientOf(first), chat, 'k', 'wait 2 vary');
    const outcome = expect(cut).rejects.toMatchObject({ code: 'unreachable' });
    await running(first);
    first.signal('SIGKILL');
    await first.ended;
    await outcome;

    const second = await startChild({ database, leaseMs: 500 });
    const texts = await Promise.all([1, 2].map(() => answer(clientOf(second), chat, 'k', 'another text')));
    expect(texts[0]).toMatch(/^drill #1: wait 2 vary \[[0-9a-f]{12}\]$/);
    expect(texts[1]).toBe(texts[0]);
    expect(await invocations(second, 'k')).toBe(1);
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_900);
    expect(await answer(clientOf(second), chat, 'next', 'x')).toBe('drill #2: x');
  });

  it('P2: keeps what was answered before SIGKILL', async () => {
    const database = await fresh();
    const first = await startChild({ database, leaseMs: 500 });
    const chat = await newChat(clientOf(first), 'drill');
    const text = await answer(clientOf(first), chat, 'k', 'vary');
    first.signal('SIGKILL');
    await first.ended;
    const second = await startChild({ database, leaseMs: 500 });
    expect(await answer(clientOf(second), chat, 'k', 'vary')).toBe(text);
    expect(await newChat(clientOf(second), 'drill')).toBe(chat);
    expect(await invocations(second, 'k')).toBe(1);
  });
});

onPostgres((fresh) => {
  // Longer than a busy machine leaves a living process without a turn: that would be a loss of its lease, too.
  const two = async (leaseMs = 2000) => {
    const database = await fresh();
    const processes = await Promise.all([
      startChild({ database, leaseMs }),
      startChild({ database, leaseMs }),
    ]);
    return { processes, clients: processes.map(clientOf) as [PlatformClient, PlatformClient] };
  };

  it('P2: begins one run of two first calls at two processes at once', async () => {
    const { processes, clients } = await two();
    for (let round = 0; round < 10; round++) {
      const chats = await Promise.all(clients.map((client) => newChat(client, 'drill', `room ${round}`)));
      expect(chats[0]).toBe(chats[1]);
      const key = `k${round}`;
      const texts = await Promise.all(
        [...clients, ...clients].map((client) => answer(client, chats[0]!, key, 'wait 0.1 vary')),
      );
      expect(new Set(texts).size).toBe(1);
      expect(await invocations(processes[0], key)).toBe(1);
    }
  });

  it('streams a run of one process through the other, from its start on, and cancels it there', async () => {
    const { clients } = await two();
    const chat = await newChat(clients[0], 'drill');
    const [here, there]: RunEvent[][] = [[], []];
    const begun = listen(clients[0], chat, 'k', 'stream 30', here!);
    await eventually(() => (here!.length > 3 ? true : undefined));
    const joined = listen(clients[1], chat, 'k', 'x', there!);
    await Promise.all([begun, joined]);
    const said = there!.flatMap((event) => (event.type === 'delta' ? [event.text] : [])).join('');
    expect('drill #1: stream 30'.startsWith(said)).toBe(true);
    expect(there!.length).toBeGreaterThan(5);
    expect(there!.at(-1)).toEqual(here!.at(-1));

    const long: RunEvent[] = [];
    const waiting = listen(clients[0], chat, 'long', 'wait 60', long);
    await eventually(() => clients[1].cancel('long').then(() => true));
    await waiting;
    expect(long).toMatchObject([{ type: 'error', code: 'cancelled' }]);
  });

  it('goes on when the server ends a transaction that stood still, as it does where the process was frozen', async () => {
    const { db } = await openDatabase(await fresh(), 200, silentLog);
    onTestFinished(() => db.destroy());
    const look = (from: Database) => from.selectFrom('processes').selectAll().execute();
    const stalled = db.transaction().execute(async (transaction) => {
      await look(transaction);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await look(transaction);
    });
    await expect(stalled).rejects.toThrow();
    expect(await look(db)).toEqual([]);
  });

  it('takes the runs of a killed process over, in the order of begin', async () => {
    const { processes, clients } = await two();
    const chat = await newChat(clients[0], 'drill');
    const cut = Promise.allSettled([answer(clients[0], chat, 'a', 'wait 1 vary')]);
    await running(processes[0]);
    const behind = answer(clients[1], chat, 'b', 'x');
    processes[0].signal('SIGKILL');
    await cut;
    expect(await answer(clients[1], chat, 'a', '')).toMatch(/^drill #1: wait 1 vary/);
    expect(await behind).toBe('drill #2: x');
    expect(await invocations(processes[1], 'a')).toBe(1);
  });

  it('lets a process that was frozen past its lease write nothing over what the other answered', async () => {
    const { processes, clients } = await two();
    const chat = await newChat(clients[0], 'drill');
    const frozen = Promise.allSettled([answer(clients[0], chat, 'a', 'wait 3')]);
    await running(processes[0]);
    processes[0].signal('SIGSTOP');
    const text = await answer(clients[1], chat, 'a', '');
    expect(text).toBe('drill #1: wait 3');
    expect(await answer(clients[1], chat, 'b', 'x')).toBe('drill #2: x');
    processes[0].signal('SIGCONT');
    await frozen;
    expect(await answer(clients[0], chat, 'a', '')).toBe(text);
    expect(await answer(clients[0], chat, 'c', 'y')).toBe('drill #3: y');
    expect(await invocations(processes[1], 'a')).toBe(1);
  });
});
