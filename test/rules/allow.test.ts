import { expect, test } from 'vitest';
import { allowList, roomList } from '../../src/bot/allow.js';

test.each([
  ['@alice:example.org', '@alice:example.org', true],
  ['@alice:example.org', '@alice:example.org.evil', false],
  ['@alice:example.org', '@malice:example.org', false],
  ['*:example.org', '@alice:example.org', true],
  ['@*:example.org', '@alice:example.org', true],
  ['@*:example.org', '@alice:evil.example.org', false],
  ['*:example.org', '@alice:evil.org:example.org', false],
  ['*:example.org', '@alice:examplexorg', false],
  ['@*:*.example.org', '@alice:chat.example.org', true],
  ['@*:*.example.org', '@alice:example.org', false],
  ['@alice:*', '@alice:anywhere.test', true],
  ['@alice:*', '@alice:anywhere.test:8448', true],
  ['@alice:*', '@alicette:anywhere.test', false],
  ['@a*e:*', '@alice:x', true],
  ['@a*l*e:*', '@ae:x', false],
  ['@Alice:example.org', '@alice:example.org', false],
  ['*', '@anyone:anywhere', true],
  ['@a.c:x', '@abc:x', false],
])('the pattern %j and the user id %j: %s', (pattern, mxid, is) => {
  expect(allowList([pattern])(mxid)).toBe(is);
});

test('no list allows everyone; no list of rooms names none; rooms without a server can be named', () => {
  expect(allowList(undefined)('@anyone:x')).toBe(true);
  expect(roomList(undefined)('!room:x')).toBe(false);
  expect(roomList(['!room:*'])('!room:x')).toBe(true);
  expect(roomList(['!FjdpP77Dgmidbqmy3Dm28'])('!FjdpP77Dgmidbqmy3Dm28')).toBe(true);
  expect(roomList(['*'])('!FjdpP77Dgmidbqmy3Dm28')).toBe(true);
});

test('a pattern of many stars ends, whatever it is held against', () => {
  const many = allowList([`@${'*a'.repeat(100)}b:*`]);
  expect(many(`@${'a'.repeat(20_000)}:x`)).toBe(false);
  expect(many(`@${'a'.repeat(20_000)}b:x`)).toBe(true);
});
