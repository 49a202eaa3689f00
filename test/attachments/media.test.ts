import { expect, test } from 'vitest';
import { readAddress, readMedia } from '../../src/bot/attachments/media.js';
import type { RoomEvent } from '../../src/matrix/homeserver.js';
import { LARGEST_ATTACHMENT } from '../../src/platform/attachments.js';

const event = (content: Record<string, unknown>): RoomEvent => ({
  event_id: '$1',
  type: 'm.room.message',
  sender: '@alice:test',
  origin_server_ts: 5,
  content,
});
const image = { msgtype: 'm.image', body: 'cat.png', url: 'mxc://test/abc' };
const read = (content: object) => readMedia(event({ ...image, ...content }));

test('reads what is sent, and a caption only where the body says something else than the name', () => {
  const info = { size: 5, mimetype: 'image/PNG' };
  const address = { server: 'test', mediaId: 'abc' };
  const file = { event: '$1', ts: 5, name: 'cat.png', mimeType: 'image/png', size: 5, address };
  expect(read({ info })).toEqual({ file });
  expect(read({ info, filename: 'cat.png' })).toEqual({ file });
  expect(read({ info, filename: 'cat.png', body: ' ' })).toEqual({ file });
  expect(read({ info, filename: 'cat.png', body: 'look' })).toEqual({ caption: 'look', file });
  for (const msgtype of ['m.file', 'm.audio', 'm.video']) expect(read({ info, msgtype })).toEqual({ file });
  for (const msgtype of ['m.text', 'm.location', '__proto__', 7]) expect(read({ msgtype })).toBeUndefined();
  expect(read({ body: 7 })).toBeUndefined();
  expect(readMedia({ ...event(image), type: 'm.sticker' })).toBeUndefined();
});

test('takes no size, type or name on trust', () => {
  for (const size of ['5', -1, Number.NaN, 1e300, null, {}])
    expect(read({ info: { size } })?.file).toMatchObject({ size: 0 });
  for (const mimetype of ['x', 'a/b\r\nX: y', `a/${'b'.repeat(200)}`, 'text/html; charset=x', 7])
    expect(read({ info: { mimetype } })?.file).toMatchObject({ mimeType: 'application/octet-stream' });
  expect(read({ info: 'no' })?.file).toMatchObject({ size: 0 });
  expect(read({ body: 'a\u202egnp.exe\n\u0000b' })?.file).toMatchObject({ name: 'a gnp.exe b' });
  expect(read({ body: '\n' })?.file).toMatchObject({ name: 'file' });
  expect(read({ body: '🙂'.repeat(500) })?.file.name).toBe('🙂'.repeat(100));
});

test('refuses what is too large, encrypted or nowhere', () => {
  const fault = (content: object) => (read(content)?.file as { fault?: string } | undefined)?.fault;
  expect(fault({ info: { size: LARGEST_ATTACHMENT } })).toBeUndefined();
  expect(fault({ info: { size: LARGEST_ATTACHMENT + 1 } })).toBe('too-large');
  expect(fault({ file: { url: 'mxc://test/abc' }, url: undefined })).toBe('encrypted');
  expect(fault({ url: undefined })).toBe('no-address');
});

test('an address is what Matrix allows, so that it cannot lead a request with our token elsewhere', () => {
  expect(readAddress('mxc://example.org:8448/aB_-9')).toEqual({
    server: 'example.org:8448',
    mediaId: 'aB_-9',
  });
  expect(readAddress('mxc://[2001:db8::1]:80/a')).toBeDefined();
  const bad = [
    'https://example.org/a',
    'mxc://example.org',
    'mxc://example.org/',
    'mxc://../a',
    'mxc://./a',
    'mxc://example.org/..',
    'mxc://example.org/a/b',
    'mxc://example.org/a?b',
    'mxc://example.org/a%2f',
    'mxc://user@example.org/a',
    'mxc://exa mple/a',
    'mxc://example.org/a\n',
    `mxc://example.org/${'a'.repeat(256)}`,
    7,
    null,
  ];
  for (const url of bad) expect(readAddress(url), String(url)).toBeUndefined();
});
