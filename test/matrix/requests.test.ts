import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { editContent, messageContent } from '../../src/delivery/content.js';
import { eventProblems, roomProblems } from '../world/event-schema.js';
import { PublishedSchemas } from '../world/published-schemas.js';
import { PutLog, requestProblems } from '../world/put-log.js';

const text = { msgtype: 'm.text', body: 'x' };
const mark = { source: '$1', step: 'anchor', final: true, epoch: 0, replica: 'r' };
const html = (formatted_body: string) => ({ ...text, format: 'org.matrix.custom.html', formatted_body });
const room = (rest: string) => `/_matrix/client/v3/rooms/!r%3Ah/${rest}`;

const WRONG: [type: string, content: unknown][] = [
  ['m.room.message', undefined],
  ['m.room.message', null],
  ['m.room.message', []],
  ['m.room.message', {}],
  ['m.room.message', { msgtype: 'm.text' }],
  ['m.room.message', { ...text, body: 5 }],
  ['m.room.message', { ...text, msgtype: 'm.image' }],
  ['m.room.message', { ...text, formatted_body: '<b>x</b>' }],
  ['m.room.message', { ...text, format: 'org.matrix.custom.html' }],
  ['m.room.message', { ...html('x'), format: 'text/html' }],
  ['m.room.message', html('<script>alert(1)</script>')],
  ['m.room.message', html('<b>not closed')],
  ['m.room.message', html('<mx-reply>not said</mx-reply>')],
  ['m.room.message', { ...text, 'm.new_content': text }],
  ['m.room.message', { ...text, 'm.relates_to': { rel_type: 'm.replace', event_id: '$1' } }],
  ['m.room.message', { ...text, 'm.relates_to': { rel_type: 'm.thread', event_id: '$1' } }],
  ['m.room.message', { ...text, 'm.relates_to': { 'm.in_reply_to': { event_id: 'no id' } } }],
  ['m.room.message', { ...text, 'm.mentions': { user_ids: 'alice' } }],
  ['m.room.message', { ...text, 'm.mentions': { user_ids: ['alice'] } }],
  ['m.room.message', { ...text, 'm.mentions': { room: 'yes' } }],
  ['m.room.message', { ...text, 'dev.understudy.delivery': { ...mark, epoch: -1 } }],
  ['m.room.message', { ...text, 'dev.understudy.delivery': { step: 'anchor' } }],
  ['m.room.message', { ...text, body: 'x'.repeat(60_000) }],
  ['m.reaction', {}],
  ['m.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$1', key: '' } }],
  ['m.room.redaction', { redacts: 'no id' }],
  ['m.room.create', { creator: '@a:b' }],
  ['m.room.power_levels', { users: { alice: 100 } }],
  ['m.room.power_levels', { events_default: '100' }],
  ['m.room.name', {}],
  ['m.room.topic', { topic: 5 }],
  ['m.room.tombstone', { body: 'moved' }],
  ['m.room.member', { membership: 'gone' }],
  ['m.room.join_rules', { join_rule: 'whoever' }],
  ['m.room.history_visibility', {}],
  ['m.room.guest_access', { guest_access: true }],
  ['m.room.canonical_alias', { alias: 'no alias' }],
  ['m.space.child', { via: [] }],
  ['m.space.child', { via: ['h'], order: 'ö' }],
  ['m.space.parent', { via: 'h' }],
  ['m.direct', { alice: ['!r:h'] }],
  ['m.direct', { '@alice:h': ['r'] }],
  ['dev.understudy.ledger', { source: '$1' }],
  ['dev.understudy.ledger', { source: '$1', room: '!r:h', dropped: true }],
  ['dev.understudy.archived', {}],
  ['dev.understudy.unheard', {}],
  ['m.room.unheard', {}],
];

describe('what a replica sends', () => {
  test.each(WRONG)('%s %j is refused', (type, content) => {
    expect(eventProblems(type, content)).not.toEqual([]);
  });

  test('what the bot makes fits', () => {
    const message = { kind: 'm.text' as const, body: '**b** @room', mark };
    for (const content of [
      messageContent(message),
      messageContent({ ...message, replyTo: { event: '$1' } }),
      messageContent({ ...message, replyTo: { event: '$1', thread: '$2' } }),
      editContent({ ...message, target: '$1' }),
    ])
      expect(eventProblems('m.room.message', content)).toEqual([]);
  });

  test('a room is held to the schemas of its first events', () => {
    const body = { preset: 'private_chat', name: 'x', creation_content: { type: 'm.space' } };
    expect(roomProblems(body)).toEqual([]);
    const state = (type: string, content: unknown) => ({ ...body, initial_state: [{ type, content }] });
    expect(roomProblems(state('m.room.guest_access', { guest_access: 'forbidden' }))).toEqual([]);
    for (const wrong of [
      { ...body, preset: 'secret' },
      { ...body, invite: ['alice'] },
      { ...body, nmae: 'x' },
      { ...body, name: 5 },
      { ...body, creation_content: { room_version: '11' } },
      { ...body, power_level_content_override: { invite: '0' } },
      state('m.room.guest_access', { guest_access: 'perhaps' }),
      state('m.room.unheard', {}),
      { ...body, initial_state: [null] },
    ])
      expect(roomProblems(wrong), JSON.stringify(wrong)).not.toEqual([]);
  });
});

describe('a proxy', () => {
  test('knows every request that changes something, and no other passes', () => {
    const fine: [string, string, unknown][] = [
      ['GET', room('state'), ''],
      ['PUT', room('send/m.room.message/t'), text],
      ['PUT', room('state/m.room.name/'), { name: 'x' }],
      ['PUT', room('redact/%241/t'), {}],
      ['PUT', room('typing/%40b%3Ah'), { typing: true, timeout: 5 }],
      ['POST', room('receipt/m.read/%241'), {}],
      ['POST', room('invite'), { user_id: '@a:h' }],
      ['POST', room('leave'), {}],
      ['POST', '/_matrix/client/v3/join/!r%3Ah', {}],
      ['POST', '/_matrix/client/v3/createRoom', {}],
      ['PUT', '/_matrix/client/v3/user/%40b%3Ah/account_data/m.direct', { '@a:h': ['!r:h'] }],
    ];
    for (const [method, path, body] of fine) expect(requestProblems(method, path, body), path).toEqual([]);
    const wrong: [string, string, unknown][] = [
      ['PUT', room('send/m.room.message/t'), {}],
      ['PUT', room('send/m.room.unheard/t'), {}],
      ['PUT', room('state/m.room.name'), {}],
      ['PUT', room('typing/%40b%3Ah'), { typing: true }],
      ['POST', room('invite'), {}],
      ['POST', room('leave'), { rason: 'x' }],
      ['POST', room('upgrade'), { new_version: '12' }],
      ['PUT', '/_matrix/client/v3/user/%40b%3Ah/account_data/m.direct', { a: [] }],
      ['POST', '/_matrix/media/v3/upload', ''],
      ['DELETE', '/_matrix/client/v3/devices/X', {}],
    ];
    for (const [method, path, body] of wrong)
      expect(requestProblems(method, path, body), path).not.toEqual([]);
    const log = new PutLog();
    log.hold('POST', `${room('upgrade')}?x=1`, {});
    expect(log.unfit).toEqual(['POST /rooms/…/upgrade: nothing is known of such a request']);
  });
});

describe('published schemas', () => {
  let folder: string | undefined;
  afterEach(() => (folder ? rm(folder, { recursive: true }) : undefined));

  test('YAML that refers to other YAML is held to as it stands', async () => {
    folder = await mkdtemp(join(tmpdir(), 'schemas-'));
    await mkdir(join(folder, 'parts'));
    await writeFile(join(folder, 'parts', 'id.yaml'), 'type: string\npattern: "^x"\nformat: some-id\n');
    await writeFile(
      join(folder, 't.thing$a.b.yaml'),
      'properties:\n  content:\n    properties:\n      id: { $ref: parts/id.yaml }\n    required: [id]\n',
    );
    await writeFile(join(folder, 't.thing.yaml'), 'properties:\n  content:\n    required: [msgtype]\n');
    const schemas = new PublishedSchemas(folder);
    expect(schemas.size).toBe(3);
    expect(schemas.problems('t.thing', { msgtype: 'a.b', id: 'x1' })).toEqual([]);
    expect(schemas.problems('t.thing', { msgtype: 'a.b', id: 'y1' })).toEqual([
      expect.stringContaining('t.thing: not as published: /id'),
    ]);
    expect(schemas.problems('t.thing', {})).not.toEqual([]);
    expect(schemas.problems('t.other', {})).toBeUndefined();
  });
});
