import { expect, it } from 'vitest';
import { onEveryDatabase } from './databases.js';
import { answer, ask, eventually, invocations, newChat, textFile, world } from './world.js';

/** How often what only shows while a run goes on is tried: a busy machine may come too late to see it. */
const TRIES = 6;

const status = async (url: string) =>
  ((await (await fetch(`${url}/v1/stats`)).json()) as { runs: Record<string, number> }).runs;

onEveryDatabase((fresh) => {
  it('counts the prompts of each context apart', async () => {
    const { client } = await world(await fresh());
    const [one, two] = [await newChat(client, 'echo', 'room 1'), await newChat(client, 'echo', 'room 2')];
    expect(await answer(client, one, 'a', 'hello')).toBe('echo #1: hello');
    expect(await answer(client, two, 'b', 'hi')).toBe('echo #1: hi');
    expect(await answer(client, one, 'c', 'again')).toBe('echo #2: again');
  });

  it('P1: gives the first chat of a key, whatever agent a later call asks for', async () => {
    const { client } = await world(await fresh());
    const first = await client.createChat('room', { agent: 'echo' });
    expect(await client.createChat('room', { agent: 'drill', title: 'other' })).toEqual(first);
    expect(await client.createChat('room', { agent: 'nobody' })).toEqual(first);
  });

  it('P1: makes one chat of two first calls at once', async () => {
    const { client } = await world(await fresh());
    const chats = await Promise.all([1, 2, 3, 4].map(() => client.createChat('room', { agent: 'echo' })));
    expect(new Set(chats.map((chat) => chat.platform_chat_id)).size).toBe(1);
  });

  it('refuses a chat with an agent that is not there, and leaves the key free', async () => {
    const { client } = await world(await fresh());
    await expect(client.createChat('room', { agent: 'nobody' })).rejects.toMatchObject({
      code: 'refused',
      status: 422,
    });
    expect((await client.createChat('room', { agent: 'echo' })).agent).toBe('echo');
  });

  it('P1, P2: begins one run for one key, whatever the second call says, and replays its result', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const texts = await Promise.all(
      ['vary', 'vary 2', 'vary 3'].map((text) => answer(client, chat, 'k', text)),
    );
    expect(new Set(texts).size).toBe(1);
    expect(await answer(client, chat, 'k', 'later')).toBe(texts[0]);
    expect(await invocations(platform, 'k')).toBe(1);
    expect(await answer(client, chat, 'next', 'x')).toBe('drill #2: x');
  });

  it('P2-attachments: attachments go with the run that its first call began, over a restart too', async () => {
    const database = await fresh();
    const first = await world(database);
    const chat = await newChat(first.client, 'drill');
    const files = [
      textFile('a.txt'),
      { ...textFile('b.bin'), mime_type: 'x/y', bytes: new Uint8Array(2000) },
    ];
    // Left in the middle of its run; the next process takes it up with what it began with.
    const cut = [
      answer(first.client, chat, 'k', 'wait 600', files),
      eventually(async () => ((await invocations(first.platform, 'k')) === 1 ? true : undefined)).then(() =>
        answer(first.client, chat, 'other', 'wait 0', [textFile('c.txt')]),
      ),
    ];
    const cutOff = Promise.allSettled(cut);
    await eventually(async () => {
      const { running, queued } = await status(first.platform.url);
      return running === 1 && queued === 1 ? true : undefined;
    });
    await first.platform.close();
    expect((await cutOff).map((end) => end.status)).toEqual(['rejected', 'rejected']);
    const second = await world(database);
    await second.client.cancel('k');
    expect(await answer(second.client, chat, 'other', 'another', [textFile('d.txt')])).toBe(
      'drill #2: wait 0 [c.txt, 9 B text/plain]',
    );
    expect(await answer(second.client, chat, 'next', 'on', files)).toBe(
      'drill #3: on [a.txt, 9 B text/plain] [b.bin, 2 kB x/y]',
    );
    expect(await answer(second.client, chat, 'last', 'bare')).toBe('drill #4: bare');
  });

  it('gives a caller that joins late everything from the start, then the rest live', async () => {
    const { client } = await world(await fresh());
    const join = async (n: number) => {
      const [key, chat] = [`k${n}`, await newChat(client, 'drill', `room ${n}`)];
      const prompt = { text: 'stream 12', user: '@a:b' };
      const early = client.sendMessage(key, chat, prompt)[Symbol.asyncIterator]();
      const head = [(await early.next()).value, (await early.next()).value];
      return { early, head, late: await ask(client, chat, key, 'anything') };
    };
    let { early, head, late } = await join(1);
    // Whoever comes when it is over is given its end alone.
    for (let n = 2; n <= TRIES && late.length === 1; n += 1) ({ early, head, late } = await join(n));
    expect(late.slice(0, 2)).toEqual(head);
    expect(late).toHaveLength(13);
    expect(
      late
        .slice(0, 12)
        .map((event) => event.type === 'delta' && event.text)
        .join(''),
    ).toBe('drill #1: stream 12');
    expect(late.at(-1)).toEqual({ type: 'final', text: 'drill #1: stream 12' });
    await early.return?.(undefined);
  });

  it('P2: goes on when every caller has left', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const caller = new AbortController();
    const left = (async () => {
      for await (const event of client.sendMessage(
        'k',
        chat,
        { text: 'stream 8', user: '@a:b' },
        caller.signal,
      )) {
        if (event.type === 'delta') caller.abort();
      }
    })();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
    await eventually(async () => ((await status(platform.url))['done'] === 1 ? true : undefined));
    expect(await ask(client, chat, 'k', '')).toEqual([{ type: 'final', text: 'drill #1: stream 8' }]);
    expect(await invocations(platform, 'k')).toBe(1);
  });

  it('runs one at a time per chat in the order of begin, and other chats beside it', async () => {
    const { client, platform } = await world(await fresh());
    const [chat, other] = [await newChat(client, 'drill', '1'), await newChat(client, 'drill', '2')];
    const ended: string[] = [];
    // It goes on until it is decided on.
    const slow = client.sendMessage('slow', chat, { text: 'approve', user: '@a:b' })[Symbol.asyncIterator]();
    expect((await slow.next()).value).toMatchObject({ type: 'approval' });
    const slowEnd = slow.next().then(() => ended.push('slow'));
    await eventually(async () => ((await ask(client, other, 'other', 'x')).length > 0 ? true : undefined));
    ended.push('other');
    const quick = answer(client, chat, 'quick', 'q').then((text) => {
      ended.push('quick');
      return text;
    });
    await eventually(async () => ((await status(platform.url))['queued'] === 1 ? true : undefined));
    const body = JSON.stringify({ decision: 'approve' });
    await fetch(`${platform.url}/v1/runs/slow/approvals/1`, { method: 'POST', body });
    await slowEnd;
    expect(await quick).toBe('drill #2: q');
    expect(ended).toEqual(['other', 'slow', 'quick']);
  });

  it('cancels a run for all its callers, frees the chat, and only by cancel', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const caller = ask(client, chat, 'k', 'wait 60');
    await eventually(() => client.cancel('k').then(() => true));
    expect(await caller).toMatchObject([{ type: 'error', code: 'cancelled' }]);
    expect(await ask(client, chat, 'k', 'wait 60')).toMatchObject([{ type: 'error', code: 'cancelled' }]);
    expect(await answer(client, chat, 'next', 'x')).toMatch(/^drill #\d: x$/);
  });

  it('cancels a run that has not begun yet, and a finished one not at all', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client);
    await client.cancel('early');
    expect(await ask(client, chat, 'early', 'x')).toMatchObject([{ type: 'error', code: 'cancelled' }]);
    expect(await answer(client, chat, 'done', 'x')).toBe('echo #1: x');
    await client.cancel('done');
    expect(await answer(client, chat, 'done', 'x')).toBe('echo #1: x');
    expect(await invocations(platform, 'early')).toBe(0);
  });

  it('branches up to now, or up to before a run', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client);
    await answer(client, chat, 'a', '1');
    await answer(client, chat, 'b', '2');
    const now = await client.branchChat('branch 1', chat, {});
    const before = await client.branchChat('branch 2', chat, { before: 'b' });
    expect(await client.branchChat('branch 1', chat, { before: 'b' })).toEqual(now);
    expect(await answer(client, now.platform_chat_id, 'c', 'x')).toBe('echo #3: x');
    expect(await answer(client, before.platform_chat_id, 'd', 'x')).toBe('echo #2: x');
    expect(await answer(client, chat, 'e', 'x')).toBe('echo #3: x');
    const deeper = await client.branchChat('branch 3', now.platform_chat_id, { before: 'a' });
    expect(await answer(client, deeper.platform_chat_id, 'f', 'x')).toBe('echo #1: x');
    await expect(client.branchChat('4', chat, { before: 'zzz' })).rejects.toMatchObject({
      code: 'refused',
      status: 404,
    });
  });

  it('leaves a run in progress out of a branch', async () => {
    const { client, platform } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    await answer(client, chat, 'a', '1');
    const running = ask(client, chat, 'b', 'wait 60');
    await eventually(async () => ((await status(platform.url))['running'] === 1 ? true : undefined));
    const branch = await client.branchChat('branch', chat, {});
    expect(await answer(client, branch.platform_chat_id, 'c', 'x')).toBe('drill #2: x');
    await client.cancel('b');
    await running;
  });

  it('branches a chat in which a run begins at the same instant, with or without it', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    for (let round = 1; round <= 8; round++) {
      const run = ask(client, chat, `run ${round}`, 'x');
      const branches = await Promise.all(
        [1, 2, 3, 4].map((n) => client.branchChat(`branch ${round}/${n}`, chat, {})),
      );
      await run;
      for (const { platform_chat_id } of branches) {
        const text = await answer(client, platform_chat_id, `in ${platform_chat_id}`, 'y');
        expect([`drill #${round}: y`, `drill #${round + 1}: y`]).toContain(text);
      }
    }
  });

  it('saves and loads contexts, each once per key', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client);
    await answer(client, chat, 'a', '1');
    await client.saveContext('save', chat, 'näme / 1');
    await answer(client, chat, 'b', '2');
    await client.loadContext('load', chat, 'näme / 1');
    expect(await answer(client, chat, 'c', 'x')).toBe('echo #2: x');
    await client.loadContext('load', chat, 'näme / 1');
    await client.saveContext('save', chat, 'other');
    expect(await answer(client, chat, 'd', 'x')).toBe('echo #3: x');
    expect(await client.listContexts(chat)).toMatchObject([{ name: 'näme / 1' }]);
    await expect(client.loadContext('l2', chat, 'none')).rejects.toMatchObject({
      code: 'refused',
      status: 404,
    });
  });

  it('ends a failing run with an error event, the same for every caller', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const failed = { type: 'error', code: 'drill-failed', message: 'drill #1 failed as it was told to' };
    expect(await ask(client, chat, 'k', 'fail')).toEqual([failed]);
    expect(await ask(client, chat, 'k', 'fail')).toEqual([failed]);
  });

  it('P2: takes a run up again that a stopped platform left, as the same invocation', async () => {
    const database = await fresh();
    /** Stops it in the middle of a run of that many seconds, with another one behind it. */
    const stopped = async (seconds: number) => {
      const { client, platform } = await world(database);
      const chat = await newChat(client, 'drill', `room ${seconds}`);
      let isOver = false;
      const reaches = (what: string) =>
        eventually(async () => (isOver || (await status(platform.url))[what] === 1 ? true : undefined));
      const cut = ask(client, chat, `k${seconds}`, `wait ${seconds} vary stream 3`).finally(() => {
        isOver = true;
      });
      const outcomes = [Promise.allSettled([cut])];
      await reaches('running');
      outcomes.push(Promise.allSettled([ask(client, chat, `second ${seconds}`, 'x')]));
      await reaches('queued');
      await platform.close();
      return { seconds, chat, outcomes: (await Promise.all(outcomes)).flat() };
    };
    let left = await stopped(1.2);
    // It came to its end before it was stopped: this process was too slow.
    for (let n = 1; n < TRIES && left.outcomes[0]?.status === 'fulfilled'; n += 1) {
      left = await stopped(2 * left.seconds);
    }
    expect(left.outcomes).toMatchObject([
      { reason: { code: 'unreachable' } },
      { reason: { code: 'unreachable' } },
    ]);

    const { chat, seconds } = left;
    const after = await world(database);
    const text = await answer(after.client, chat, `k${seconds}`, '');
    expect(text).toMatch(/^drill #1: wait [\d.]+ vary stream 3 \[[0-9a-f]{12}\]$/);
    expect(text).toContain(`: wait ${seconds} vary`);
    expect(await answer(after.client, chat, `second ${seconds}`, '')).toBe('drill #2: x');
    expect(await invocations(after.platform, `k${seconds}`)).toBe(1);
  });

  it('stores what databases do not like, and refuses it in ids', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client);
    expect(await answer(client, chat, 'a', 'nul \0 half \ud800 whole 😀')).toBe(
      'echo #1: nul \ufffd half \ufffd whole 😀',
    );
    await expect(ask(client, chat, 'a\0b', 'x')).rejects.toMatchObject({ code: 'refused', status: 400 });
    expect(await answer(client, chat, "k'; drop table runs; -- ü%", 'x')).toBe('echo #2: x');
  });
});
