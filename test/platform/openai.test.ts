import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { onSqlite } from './databases.js';
import { cut, scriptedServer, type Script } from './scripted-server.js';
import { answer, ask, eventually, invocations, newChat, scratchFile, turnsClock, world } from './world.js';

const chunk = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
const role = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n';
const stop = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const usage = 'data: {"choices":[],"usage":{"total_tokens":3}}\n\n';
const DONE = 'data: [DONE]\n\n';

function speak(response: ServerResponse, ...parts: string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const part of parts) response.write(part);
}

const says =
  (...words: string[]): Script =>
  (response) => {
    speak(response, ': a comment\n\n', role, ...words.map(chunk), stop, usage, DONE);
    response.end();
  };

onSqlite((fresh) => {
  const model = async (script: Script, openai = {}) => {
    const server = await scriptedServer(script);
    const agentsFile = await scratchFile(
      'agents.yaml',
      `default: m\nagents:\n  - { id: m, name: M, backend: openai, model: tiny, base_url: "${server.url}/v1/", system_prompt: Be brief. }`,
    );
    const settings = {
      agentsFile,
      env: { OPENAI_API_KEY: 'sk-secret' },
      openai: { backoffMs: 10, ...openai },
      clock: turnsClock,
    };
    const made = await world(await fresh(), settings);
    return { ...made, server, chat: await newChat(made.client, 'm') };
  };

  it('streams the answer and gives the model the history of this context', async () => {
    const { client, chat, server, platform } = await model(says('Hel', 'lo'));
    expect(await ask(client, chat, 'a', 'hi')).toEqual([
      { type: 'delta', text: 'Hel' },
      { type: 'delta', text: 'lo' },
      { type: 'final', text: 'Hello' },
    ]);
    await answer(client, chat, 'b', 'and?');
    const [, second] = server.requests;
    expect(second).toMatchObject({ method: 'POST', path: '/v1/chat/completions' });
    expect(second?.headers.authorization).toBe('Bearer sk-secret');
    expect(second?.body).toEqual({
      model: 'tiny',
      stream: true,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: 'Hello' },
        { role: 'user', content: 'and?' },
      ],
    });
    expect(await invocations(platform, 'a')).toBe(1);
  });

  it('asks again after a 500, a cut stream, a broken one and silence, counting each', async () => {
    const { client, chat, platform } = await model(
      (response, request, count) => {
        if (count === 1) return void response.writeHead(500).end('oops');
        if (count === 2) {
          speak(response, role);
          return cut(response);
        }
        if (count === 3) {
          speak(response, 'data: {"error":{"message":"overloaded"}}\n\n');
          return void response.end();
        }
        if (count === 4) return speak(response, role);
        return says('at last')(response, request, count);
      },
      { silenceMs: 200, attempts: 5 },
    );
    expect(await answer(client, chat, 'k', 'hi')).toBe('at last');
    expect(await invocations(platform, 'k')).toBe(5);
  });

  it('cuts a listener that heard a part of an answer that was given up; asking again it hears one answer', async () => {
    let goOn: () => void = () => undefined;
    const heard = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const { client, chat } = await model(async (response, request, count) => {
      if (count > 1) return says('whole')(response, request, count);
      speak(response, role, chunk('torn'));
      await heard;
      cut(response);
    });
    const listener = (async () => {
      for await (const event of client.sendMessage('k', chat, { text: 'hi', user: '@a:b' })) {
        expect(event).toEqual({ type: 'delta', text: 'torn' });
        goOn();
      }
    })();
    await expect(listener).rejects.toMatchObject({ code: 'unreachable' });
    expect(await answer(client, chat, 'k', 'hi')).toBe('whole');
  });

  it('ends with a clear error when the endpoint refuses, stays away, or says nothing', async () => {
    const refusing = await model(
      (response) => void response.writeHead(404).end('{"error":{"message":"model tiny not found"}}'),
    );
    expect(await ask(refusing.client, refusing.chat, 'k', 'hi')).toEqual([
      {
        type: 'error',
        code: 'backend-refused',
        message: expect.stringContaining('(HTTP 404): model tiny not found'),
      },
    ]);
    expect(refusing.server.requests).toHaveLength(1);

    const away = await model((response) => void response.destroy(), { attempts: 2 });
    expect(await ask(away.client, away.chat, 'k', 'hi')).toMatchObject([
      { type: 'error', code: 'backend-unavailable', message: expect.stringContaining('2 attempts') },
    ]);
    expect(away.server.requests).toHaveLength(2);

    const mute = await model(says());
    expect(await ask(mute.client, mute.chat, 'k', 'hi')).toMatchObject([
      { type: 'error', code: 'backend-empty' },
    ]);
  });

  it('waits as long as a 429 asks for', async () => {
    const { client, chat } = await model((response, request, count) => {
      if (count === 1) return void response.writeHead(429, { 'retry-after': '1' }).end();
      return says('ok')(response, request, count);
    });
    const began = Date.now();
    expect(await answer(client, chat, 'k', 'hi')).toBe('ok');
    expect(Date.now() - began).toBeGreaterThanOrEqual(950);
  });

  it('stops asking when the run is cancelled', async () => {
    let closed = false;
    const { client, chat, server } = await model((response) => {
      response.once('close', () => {
        closed = true;
      });
      speak(response, role);
    });
    const run = ask(client, chat, 'k', 'hi');
    await eventually(() => (server.requests.length === 1 ? true : undefined));
    await client.cancel('k');
    expect(await run).toMatchObject([{ type: 'error', code: 'cancelled' }]);
    await eventually(() => (closed ? true : undefined));
  });

  it('asks the model once more after a restart, because no key lets it ask for the same answer', async () => {
    const server = await scriptedServer((response, request, count) =>
      count === 1 ? speak(response, role) : says('second')(response, request, count),
    );
    const agentsFile = await scratchFile(
      'agents.yaml',
      'default: m\nagents:\n  - { id: m, name: M, backend: openai, model: tiny }',
    );
    const database = await fresh();
    const settings = { agentsFile, env: { OPENAI_BASE_URL: server.url } };
    const before = await world(database, settings);
    const chat = await newChat(before.client, 'm');
    const cutOff = expect(ask(before.client, chat, 'k', 'hi')).rejects.toMatchObject({ code: 'unreachable' });
    await eventually(() => (server.requests.length === 1 ? true : undefined));
    await before.platform.close();
    await cutOff;
    const after = await world(database, settings);
    expect(await answer(after.client, chat, 'k', 'hi')).toBe('second');
    expect(await invocations(after.platform, 'k')).toBe(2);
  });
});
