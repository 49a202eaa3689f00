import { expect, test } from 'vitest';
import { Presence } from '../../src/sync/presence.js';

const sender = (replica: string, incarnation: string) => ({ replica, incarnation });
const shown = (presence: Presence<string>) =>
  [...presence.all().values()].map(({ replica, incarnation }) => `${replica}/${incarnation}`);

test('a late word that an older incarnation is gone does not take the newer one away', () => {
  const presence = new Presence<string>();
  presence.replace('left', [sender('beta', '1')]);
  presence.joined('left', sender('beta', '2'));
  presence.gone('left', sender('beta', '1'));
  expect(shown(presence)).toEqual(['beta/2']);
  presence.gone('left', sender('beta', '2'));
  expect(shown(presence)).toEqual([]);
});

test('where relays name different incarnations, the one heard of last counts until its relay loses it', () => {
  const presence = new Presence<string>();
  presence.replace('left', [sender('beta', '1')]);
  presence.replace('right', [sender('beta', '1')]);
  presence.joined('right', sender('beta', '2'));
  expect(shown(presence)).toEqual(['beta/2']);
  presence.joined('left', sender('gamma', '1'));
  expect(shown(presence)).toContain('beta/2');
  presence.lost('right');
  expect(shown(presence)).toEqual(['beta/1', 'gamma/1']);
});

test('a word about someone from a relay that is not open says nothing', () => {
  const presence = new Presence<string>();
  presence.joined('left', sender('beta', '1'));
  presence.gone('left', sender('beta', '1'));
  expect(shown(presence)).toEqual([]);
});
