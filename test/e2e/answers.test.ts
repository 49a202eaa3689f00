import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('a prompt in each of two rooms gets one answer each, each in its own context', async () => {
  const world = await cluster({ replicas: 2 });
  const [one, two] = [await world.room(), await world.room()];
  // Both are the first of their context, so both are counted as the first.
  const first = { text: (token: string) => `echo #1: say ${token}` };
  await world.ask(one, undefined, first);
  await world.ask(two, undefined, first);
  await world.answered();
  await world.ask(one, undefined, { text: (token) => `echo #2: say ${token}` });
  await world.answered();
  expect(await world.problems()).toBe('');
  await world.watch('two rooms, two contexts');
});

test('a Markdown answer with 70 KB of code, asked for in a thread, is whole, formatted and in that thread', async () => {
  const agents = { default: 'drill', agents: [{ id: 'drill', name: 'Drill', backend: 'drill' }] };
  const world = await cluster({ replicas: 2, proxies: true, agents });
  const room = await world.room();
  const { prompt: root } = await world.ask(room);
  await world.answered();
  const token = `t${randomUUID().slice(0, 13)}`;
  const thread = { rel_type: 'm.thread', event_id: root, is_falling_back: true };
  const prompt = await world.alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: `**${token}** size 70000 wait 2.5\n\n\`\`\`ts\n`,
    'm.relates_to': { ...thread, 'm.in_reply_to': { event_id: root } },
  });
  // 00001 00002 …: a word that is lost or doubled shows.
  const numbers = (parts: string[]) =>
    parts
      .join('')
      .match(/\b\d{5}\b/g)
      ?.filter((word) => word !== '70000') ?? [];
  const isWhole = (parts: string[]) =>
    numbers(parts).length > 11_000 && numbers(parts).every((word, n) => Number(word) === n + 1);
  world.answers.push({ room, prompt, token, parts: 'several', text: isWhole });
  await world.answered();
  const events = await world.alice.history(room);
  const own = events.filter(
    ({ sender, content }) =>
      sender === world.bot.userId && content['m.relates_to']?.['m.in_reply_to']?.event_id === prompt,
  );
  expect(own.length).toBeGreaterThan(5);
  for (const { content } of own) expect(content['m.relates_to']).toMatchObject(thread);
  const [placeholder, ...parts] = own;
  const final = events.find(
    ({ content }) =>
      content['m.new_content'] &&
      content['m.relates_to']?.event_id === placeholder?.event_id &&
      String(content.body).includes('00001'),
  );
  expect(final?.content['m.new_content']).toMatchObject({
    formatted_body: expect.stringContaining('<code class="language-ts">'),
  });
  for (const { content } of parts) {
    expect(content.body).toMatch(/^```ts\n/);
    expect(content['formatted_body']).toMatch(/^<pre><code class="language-ts">/);
  }
  expect(await world.problems()).toBe('');
  await world.watch('long code in a thread');
});

everyRoomIsJudged();
