import { expect, it, onTestFinished } from 'vitest';
import type { PlatformClient, RunEvent } from '../../src/platform/client.js';
import { openDatabase } from '../../src/platform/service/database.js';
import type { Database } from '../../src/platform/service/tables.js';
import { silentLog } from '../../src/telemetry/log.js';
import { platformChildren, type PlatformChild } from './children/build.js';
import { onEveryDatabase, onPostgres } from './databases.js';
import { answer, clientOf, eventually, invocations, newChat } from './world.js';

const startChild = platformChildren();

/**
 * Begins a run that waits, and sees it running: again, with another that waits for longer, where this process was too
 * slow to see it. Gives the number of the try and what became of the run.
 */
async function seenRunning<T>(
  child: PlatformChild,
  begin: (n: number, seconds: number) => Promise<T>,
  seconds: number,
): Promise<{ n: number; seconds: number; outcome: Promise<PromiseSettledResult<T>> }> {
  for (let n = 1; ; n += 1, seconds *= 2) {
    let isOver = false;
    const outcome = Promise.allSettled([begin(n, seconds)]).then(([end]) => {
      isOver = true;
      return end;
    });
    const seen = await eventually(async () => {
      const { runs } = (await (await fetch(`${child.url}/v1/stats`)).json()) as {
        runs: Record<string, number>;
      };
      return runs['running'] === 1 ? 'running' : isOver ? 'over' : undefined;
    });
    if (seen === 'running') return { n, seconds, outcome };
  }
}

/**
 * Asks again while nobody answers, as every caller of a platform does: with the same key it is the same run. A process
 * that stood still for its lease has let go of its runs, and of its transactions.
 */
const surely = <T>(call: () => Promise<T>): Promise<T> =>
  eventually(() =>
    call().catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 'unreachable') return undefined;
      throw error;
    }),
  );

/** What a run says, until its stream ends or breaks. */
async function listen(client: PlatformClient, chat: string, key: string, text: string, into: RunEvent[]) {
  for await (const event of client.sendMessage(key, chat, { text, user: '@a:b' })) into.push(event);
}

onEveryDatabase((fresh) => {
  it('P2: goes on with the same invocation after SIGKILL in the middle of a run', async () => {
    const database = await fresh();
    /** Kills it in the middle of a run of about so many seconds. */
    const killed = async (about: number) => {
      const first = await startChild({ database, leaseMs: 500 });
      const client = clientOf(first);
      let [chat, key, began] = ['', '', 0];
      const begin = async (n: number, seconds: number) => {
        key = `k${seconds}/${n}`;
        chat = await surely(() => newChat(client, 'drill', `room ${key}`));
        began = Date.now();
        return answer(client, chat, key, `wait ${seconds} vary`);
      };
      const { seconds, outcome } = await seenRunning(first, begin, about);
      first.signal('SIGKILL');
      await first.ended;
      return { chat, key, began, seconds, outcome: await outcome };
    };
    let cut = await killed(2);
    // It came to its end before the kill: this process was too slow.
    for (let n = 1; n < 4 && cut.outcome.status === 'fulfilled'; n += 1) cut = await killed(2 * cut.seconds);
    const { chat, key, began, seconds, outcome } = cut;
    expect(outcome).toMatchObject({ reason: { code: 'unreachable' } });

    const second = await startChild({ database, leaseMs: 500 });
    const client = clientOf(second);
    const texts = await Promise.all(
      [1, 2].map(() => surely(() => answer(client, chat, key, 'another text'))),
    );
    expect(texts[0]).toMatch(/^drill #1: wait \d+ vary \[[0-9a-f]{12}\]$/);
    expect(texts[0]).toContain(`: wait ${seconds} vary`);
    expect(texts[1]).toBe(texts[0]);
    expect(await invocations(second, key)).toBe(1);
    expect(Date.now() - began).toBeGreaterThanOrEqual(seconds * 950);
    expect(await surely(() => answer(client, chat, 'next', 'x'))).toBe('drill #2: x');
  });

  it('P2: keeps what was answered before SIGKILL', async () => {
    const database = await fresh();
    const first = await startChild({ database, leaseMs: 500 });
    const chat = await surely(() => newChat(clientOf(first), 'drill'));
    const text = await surely(() => answer(clientOf(first), chat, 'k', 'vary'));
    first.signal('SIGKILL');
    await first.ended;
    const second = await startChild({ database, leaseMs: 500 });
    expect(await surely(() => answer(clientOf(second), chat, 'k', 'vary'))).toBe(text);
    expect(await surely(() => newChat(clientOf(second), 'drill'))).toBe(chat);
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
      const chats = await Promise.all(
        clients.map((client) => surely(() => newChat(client, 'drill', `room ${round}`))),
      );
      expect(chats[0]).toBe(chats[1]);
      const key = `k${round}`;
      const texts = await Promise.all(
        [...clients, ...clients].map((client) =>
          surely(() => answer(client, chats[0]!, key, 'wait 0.1 vary')),
        ),
      );
      expect(new Set(texts).size).toBe(1);
      expect(await invocations(processes[0], key)).toBe(1);
    }
  });

  it('streams a run of one process through the other, from its start on, and cancels it there', async () => {
    const { clients } = await two();
    const stream = async (n: number) => {
      const chat = await surely(() => newChat(clients[0], 'drill', `room ${n}`));
      const [here, there]: [RunEvent[], RunEvent[]] = [[], []];
      let isOver = false;
      const begun = listen(clients[0], chat, `k${n}`, 'stream 30', here).finally(() => (isOver = true));
      const outcomes = [Promise.allSettled([begun])];
      await eventually(() => (here.length > 3 || isOver ? true : undefined));
      outcomes.push(Promise.allSettled([listen(clients[1], chat, `k${n}`, 'x', there)]));
      const isWhole = (await Promise.all(outcomes)).flat().every(({ status }) => status === 'fulfilled');
      return { chat, here, there, isWhole };
    };
    let told = await stream(1);
    // One that came when it was over is given its end alone; one whose process stood still too long is cut.
    for (let n = 2; n <= 6 && (!told.isWhole || told.there.length === 1); n += 1) told = await stream(n);
    const { chat, here, there, isWhole } = told;
    expect(isWhole).toBe(true);
    const said = there.flatMap((event) => (event.type === 'delta' ? [event.text] : [])).join('');
    expect('drill #1: stream 30'.startsWith(said)).toBe(true);
    expect(there.length).toBeGreaterThan(5);
    expect(there.at(-1)).toEqual(here.at(-1));

    const long: RunEvent[] = [];
    const waiting = surely(() => listen(clients[0], chat, 'long', 'wait 60', long).then(() => true));
    await eventually(() =>
      clients[1].cancel('long').then(
        () => true,
        () => undefined,
      ),
    );
    await waiting;
    expect(long).toMatchObject([{ type: 'error', code: 'cancelled' }]);
  });

  it('goes on when the server ends a transaction that stood still, as it does where the process was frozen', async () => {
    const settings = await fresh();
    // To make its tables is a transaction as well.
    const { db } = await eventually(() => openDatabase(settings, 200, silentLog).catch(() => undefined));
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
    let chat = '';
    const begin = async (n: number, seconds: number) => {
      chat = await surely(() => newChat(clients[0], 'drill', `room ${n}`));
      return answer(clients[0], chat, `a${n}`, `wait ${seconds} vary`);
    };
    const { n, seconds, outcome } = await seenRunning(processes[0], begin, 1);
    const behind = surely(() => answer(clients[1], chat, 'b', 'x'));
    processes[0].signal('SIGKILL');
    await outcome;
    const text = await surely(() => answer(clients[1], chat, `a${n}`, ''));
    expect(text).toMatch(/^drill #1: wait \d+ vary/);
    expect(text).toContain(`: wait ${seconds} vary`);
    expect(await behind).toBe('drill #2: x');
    expect(await invocations(processes[1], `a${n}`)).toBe(1);
  });

  it('lets a process that was frozen past its lease write nothing over what the other answered', async () => {
    const { processes, clients } = await two();
    let chat = '';
    const begin = async (n: number, seconds: number) => {
      chat = await surely(() => newChat(clients[0], 'drill', `room ${n}`));
      return answer(clients[0], chat, `a${n}`, `wait ${seconds}`);
    };
    const { n, seconds, outcome } = await seenRunning(processes[0], begin, 3);
    processes[0].signal('SIGSTOP');
    const text = await surely(() => answer(clients[1], chat, `a${n}`, ''));
    expect(text).toBe(`drill #1: wait ${seconds}`);
    expect(await surely(() => answer(clients[1], chat, 'b', 'x'))).toBe('drill #2: x');
    processes[0].signal('SIGCONT');
    await outcome;
    expect(await surely(() => answer(clients[0], chat, `a${n}`, ''))).toBe(text);
    expect(await surely(() => answer(clients[0], chat, 'c', 'y'))).toBe('drill #3: y');
    expect(await invocations(processes[1], `a${n}`)).toBe(1);
  });
});
