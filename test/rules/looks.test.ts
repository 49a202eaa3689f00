import { expect, test } from 'vitest';
import { splitText } from '../../src/delivery/split.js';
import { TYPING } from '../../src/bot/signs.js';
import type { SimulatedRequest } from '../simulation/faults.js';
import type { World } from '../simulation/world.js';
import { eventProblems } from '../world/event-schema.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import { alone, of, setting } from './setting.js';

const CODE = `**See:**\n\n\`\`\`ts\n${'if (a < b) { log("x"); }\n'.repeat(1200)}\`\`\`\n\nDone.`;

/** A run that takes long enough to show a placeholder, edits and a typing notice, and ends with Markdown. */
const slow =
  (text = '**done**', takesMs = 4000) =>
  (world: World) => {
    world.settings.placeholderAfterMs = 500;
    world.platform.answer = () => ({ text, takesMs, deltas: ['*one*', ' and two'] });
  };

const relationOf = ({ content }: TimelineEvent) => content['m.relates_to'];
const stepOf = ({ content }: TimelineEvent) =>
  (content['dev.understudy.delivery'] as { step?: string } | undefined)?.step ?? '';
const calls = (world: World, call: string): SimulatedRequest[] =>
  world.requests((request) => request.call === call && request.client.startsWith('r'));

test('L-html: an answer and each edit carry their Markdown as HTML, inside and out, and the body as it was said', async () => {
  const { world, alice, room } = await alone(slow());
  await world.asks(alice, room, 'hello', { token: '', text: '**done**' });
  await world.settleAll();
  const final = world.sent(room).find((event) => stepOf(event) === 'final')?.content;
  const html = { format: 'org.matrix.custom.html', formatted_body: '<strong>done</strong>' };
  expect(final).toMatchObject({ body: '* **done**', ...html, formatted_body: `* ${html.formatted_body}` });
  expect(final?.['m.new_content']).toEqual({
    msgtype: 'm.text',
    body: '**done**',
    ...html,
    'm.mentions': {},
  });
  expect(relationOf({ content: final ?? {} } as TimelineEvent)?.rel_type).toBe('m.replace');
  const streamed = world.sent(room).filter((event) => stepOf(event).startsWith('stream/'));
  expect(streamed[0]?.content['m.new_content']).toMatchObject({
    body: '*one*',
    formatted_body: '<em>one</em>',
  });
  expect(world.verdict()).toBe('');
});

test('L-html: what won is told by the hash of its text, however its HTML was made', async () => {
  const { world, alice, room, first } = await setting((made) => {
    made.platform.answer = () => ({ text: '**said**' });
  });
  const held = world.server.hold(of(first, 'send', /^anchor$/), 'before');
  await world.asks(alice, room, 'hello', { token: '', text: '**said**' });
  const { txn = '', content = {} } = await world.until(() => held.used).then(() => held.arrived);
  const other = world.server.connect('bot', 'DELIVERY');
  await other.send(room, 'm.room.message', txn, { ...content, formatted_body: '<b>said</b>' });
  held.release();
  await world.settleAll();
  expect(world.sent(room)).toHaveLength(1);
  expect(world.verdict()).toBe('');
});

test('L-thread: an answer stays in the thread of its prompt, with placeholder and parts, and replies for other clients', async () => {
  const { world, alice, room } = await alone(slow(CODE));
  const root = await alice.says(room, '# not for the bot');
  await world.settleAll();
  const relates = { rel_type: 'm.thread', event_id: root };
  const before = world.sent(room).length;
  const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'hello', 'm.relates_to': relates });
  await world.settleAll();
  const sent = world.sent(room).slice(before);
  expect(sent.length).toBeGreaterThan(splitText(CODE).length);
  for (const event of sent) {
    const relation = relationOf(event);
    if (relation?.rel_type === 'm.replace') expect(relation).not.toHaveProperty('m.in_reply_to');
    else
      expect(relation).toEqual({ ...relates, is_falling_back: true, 'm.in_reply_to': { event_id: prompt } });
  }
  expect(world.unfitEvents()).toEqual([]);
});

test('L-thread: a thread that the homeserver does not take leaves the prompt with a plain reply', async () => {
  const { world, alice, room, only } = await alone();
  const sends = of(only, 'send', /^anchor$/);
  world.server.refuse(
    (request) => sends(request) && JSON.stringify(request.content).includes('m.thread'),
    400,
    99,
  );
  const relates = { rel_type: 'm.thread', event_id: '$of-another-server' };
  const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'hello', 'm.relates_to': relates });
  world.answers.push({ room, prompt, token: 'hello' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(relationOf(world.sent(room)[0] as TimelineEvent)).toEqual({ 'm.in_reply_to': { event_id: prompt } });
});

test('L-thread: what names no event is no thread', async () => {
  const { world, alice, room } = await alone();
  for (const event_id of [7, '', 'room', null, `$${'x'.repeat(300)}`, { a: 1 }]) {
    const relates = { rel_type: 'm.thread', event_id };
    const prompt = await alice.sends(room, { msgtype: 'm.text', body: 'hello', 'm.relates_to': relates });
    world.answers.push({ room, prompt, token: 'hello' });
  }
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('L-typing: a typing notice stands while an agent thinks, and not after', async () => {
  const { world, alice, room } = await alone(slow('done', 25_000));
  await world.asks(alice, room, 'hello', { token: '' });
  await world.until(() => world.sent(room).some((event) => stepOf(event) === 'final'));
  await world.settleAll();
  const said = calls(world, 'typing').map(({ content }) => content?.['typing']);
  expect(said).toEqual([true, true, true, false]);
  expect(calls(world, 'typing')[0]?.content).toEqual({ typing: true, timeout: TYPING.timeoutMs });
  expect(world.verdict()).toBe('');
});

test('L-typing: a killed replica leaves a notice that ends by itself, and a short run none', async () => {
  const { world, alice, room, first } = await setting(slow('done', 6000));
  await world.asks(alice, room, 'hello', { token: '' });
  await world.until(() => calls(world, 'typing').length > 0);
  first.kill();
  await world.settleAll();
  for (const { content } of calls(world, 'typing')) {
    if (content?.['typing'] === true) expect(content['timeout']).toBeLessThanOrEqual(15_000);
  }
  expect(calls(world, 'typing').at(-1)?.content).toEqual({ typing: false });
  const count = calls(world, 'typing').length;
  world.platform.answer = () => ({ text: 'at once' });
  await world.asks(alice, room, 'again', { token: '', text: 'at once' });
  await world.settleAll();
  expect(calls(world, 'typing')).toHaveLength(count);
});

test('L-courtesy: no answer waits for a receipt or a typing notice, and failures are counted', async () => {
  const { world, alice, room } = await alone(slow('done', 6000));
  const isCourtesy = ({ call }: SimulatedRequest) => call === 'typing' || call === 'readReceipt';
  world.server.hold(({ call }) => call === 'readReceipt', 'before');
  world.server.refuse(isCourtesy, 502, 99);
  await world.asks(alice, room, 'hello', { token: '', text: 'done' });
  await world.settleAll();
  const outcomes = world.happened.filter(({ event }) => event === 'typing' || event === 'receipt');
  expect(outcomes.length).toBeGreaterThan(1);
  expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['failed']));
  expect(world.verdict()).toBe('');
});

test('L-receipt: a prompt that is taken up is marked as read, once', async () => {
  const { world, alice, room } = await setting();
  const prompt = await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(calls(world, 'readReceipt').map(({ event }) => event)).toEqual([prompt]);
});

test('L-streaming: switched off, a long run shows a placeholder and questions, and nothing that is not final', async () => {
  const { world, alice, room } = await alone((made) => {
    made.settings.placeholderAfterMs = 500;
    made.settings.streaming = false;
    made.platform.answer = () => ({ text: 'done', takesMs: 12_000, deltas: ['one'], approval: 'a1' });
  });
  await world.asks(alice, room, 'hello', { token: '', text: 'done', asks: /^May I/ });
  await world.settleAll();
  const shown = world
    .sent(room)
    .filter(({ content }) => !JSON.stringify(content).includes('"step":"approval/'))
    .map(({ content }) => String((content['m.new_content'] ?? content).body));
  expect(shown[0]).toBe('…');
  expect(shown.at(-1)).toBe('done');
  expect(shown.some((body) => body.includes('waits for an approval: May I?'))).toBe(true);
  const streamed = shown.slice(1, -1).filter((body) => !body.includes('waits for an approval'));
  expect(new Set(streamed)).toEqual(new Set(['…']));
  expect(world.verdict()).toBe('');
});

test('L-schema: whatever a replica sends for a long run, and for a command, Matrix knows so', async () => {
  const { world, alice, room } = await alone(slow(CODE));
  await world.asks(alice, room, 'hello', { token: '', text: () => true, parts: 'several' });
  await alice.says(room, '!new');
  await world.settleAll();
  expect(new Set(world.requests(() => true).map(({ call }) => call))).toContain('createRoom');
  expect(world.unfitEvents()).toEqual([]);
});

test('L-schema: events that Matrix does not know so are found, planted one by one', () => {
  const text = { msgtype: 'm.text', body: 'a' };
  const reply = { 'm.in_reply_to': { event_id: '$a' } };
  const replace = { rel_type: 'm.replace', event_id: '$a' };
  const html = { format: 'org.matrix.custom.html', formatted_body: '<b>a</b>' };
  for (const fit of [text, { ...text, ...html }, { ...text, 'm.relates_to': reply }]) {
    expect(eventProblems('m.room.message', fit)).toEqual([]);
  }
  expect(
    eventProblems('m.room.message', { ...text, 'm.relates_to': replace, 'm.new_content': text }),
  ).toEqual([]);
  for (const unfit of [
    { msgtype: 'm.text' },
    { ...text, body: 7 },
    { ...text, msgtype: 'm.other' },
    { ...text, format: html.format },
    { ...text, formatted_body: html.formatted_body },
    { ...text, ...html, format: 'text/html' },
    { ...text, ...html, formatted_body: '<script>a</script>' },
    { ...text, 'm.relates_to': { 'm.in_reply_to': {} } },
    { ...text, 'm.relates_to': replace },
    { ...text, 'm.new_content': text },
    { ...text, 'm.relates_to': { ...replace, ...reply }, 'm.new_content': text },
    { ...text, 'm.relates_to': replace, 'm.new_content': { ...text, 'm.relates_to': reply } },
    { ...text, 'm.relates_to': { rel_type: 'm.thread', event_id: '$a' } },
    { ...text, 'm.mentions': { user_ids: 'all' } },
    { ...text, body: 'x'.repeat(60_000) },
  ]) {
    expect([unfit, eventProblems('m.room.message', unfit)]).not.toEqual([unfit, []]);
  }
  expect(
    eventProblems('m.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$a', key: '✅' } }),
  ).toEqual([]);
  expect(
    eventProblems('m.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$a' } }),
  ).not.toEqual([]);
  expect(eventProblems('m.space.child', { order: '1' })).not.toEqual([]);
  expect(eventProblems('m.space.parent', { via: [] })).not.toEqual([]);
  expect(eventProblems('m.unheard.of', {})).not.toEqual([]);
});
