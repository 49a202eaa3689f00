import { expect, it } from 'vitest';
import { contentOf } from '../../src/platform/backends/openai-content.js';
import { LARGEST_ATTACHMENT, type Attachment } from '../../src/platform/attachments.js';
import { onSqlite } from './databases.js';
import { scriptedServer } from './scripted-server.js';
import { answer, newChat, scratchFile, textFile, turnsClock, world } from './world.js';

const image = (name: string, bytes = new Uint8Array([1, 2, 3])): Attachment => ({
  name,
  mime_type: 'image/png',
  bytes,
});

onSqlite((fresh) => {
  it('shows the model images and texts, those of its history too, and names what it cannot show', async () => {
    const server = await scriptedServer((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(
        'data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
      );
    });
    const agentsFile = await scratchFile(
      'agents.yaml',
      `default: m\nagents:\n  - { id: m, name: M, backend: openai, model: tiny, base_url: "${server.url}/v1/" }`,
    );
    const { client } = await world(await fresh(), { agentsFile, clock: turnsClock });
    const chat = await newChat(client, 'm');
    const pdf = { ...textFile('c.pdf'), mime_type: 'application/pdf' };
    await answer(client, chat, 'a', 'look', [image('a.png'), textFile('b.txt', 'words'), pdf]);
    await answer(client, chat, 'b', 'and?');
    const said = [
      {
        type: 'text',
        text: 'look [a.png, 3 B image/png] [b.txt, 5 B text/plain] [c.pdf, 9 B application/pdf]',
      },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AQID' } },
      { type: 'text', text: 'File b.txt:\nwords' },
    ];
    const messages = server.requests.map(({ body }) => (body as { messages: unknown }).messages);
    expect(messages[0]).toEqual([{ role: 'user', content: said }]);
    expect(messages[1]).toEqual([
      { role: 'user', content: said },
      { role: 'assistant', content: 'ok' },
      { role: 'user', content: 'and?' },
    ]);
    // The earliest do not fit beside the latest: their names are what is left of them.
    const large = image('d.png', new Uint8Array(LARGEST_ATTACHMENT));
    await answer(client, chat, 'c', 'these', [large, large]);
    const last =
      (server.requests.at(-1)?.body as { messages: { content: unknown }[] } | undefined)?.messages ?? [];
    expect(last[0]?.content).toBe(said[0]?.text);
    expect(last.at(-1)?.content).toHaveLength(3);
  });
});

it('gives a text file cut, and none that is no text', () => {
  const long = contentOf('x', [textFile('a.txt', '🙂'.repeat(60_000))]);
  expect(JSON.stringify(long)).toContain('[cut off here]');
  expect(JSON.stringify(long).length).toBeLessThan(101_000);
  expect(contentOf('x', [{ ...textFile('a.txt'), bytes: new Uint8Array([0xff, 0xfe]) }])).toBe('x');
  expect(contentOf('x', [{ ...image('a.svg'), mime_type: 'image/svg+xml' }])).toBe('x');
});
