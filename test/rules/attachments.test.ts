import { expect, test } from 'vitest';
import { LARGEST_ATTACHMENT } from '../../src/platform/attachments.js';
import type { SimulatedPerson } from '../simulation/person.js';
import type { World } from '../simulation/world.js';
import { alone, of, setting } from './setting.js';

/** A file of alice in a room: uploaded, then sent. */
function files(world: World, alice: SimulatedPerson, room: string) {
  return (name: string, more: object = {}, who = alice, where = room): Promise<string> => {
    const url = world.server.upload(`bytes of ${name}`);
    const content = { msgtype: 'm.image', body: name, url, info: { mimetype: 'image/png', size: 12 } };
    return who.sends(where, { ...content, ...more });
  };
}

/** What the agent was given with each prompt, in the order of the runs. */
const given = (world: World) =>
  world.platform.invocations.map(({ text, files: with_ = [] }) =>
    [text, ...with_.map((file) => file.split(':')[0])].join(' + '),
  );

const notices = (world: World, room: string) => world.seen(room).map(({ body }) => body);

test('F-staged: files go with the next prompt, several in one go, and nothing is said of them', async () => {
  const { world, alice, room } = await alone();
  const file = files(world, alice, room);
  await file('a.png');
  await file('b.ogg', { msgtype: 'm.audio', info: { mimetype: 'audio/ogg' } });
  await world.settleAll();
  expect(notices(world, room)).toEqual([]);
  await world.asks(alice, room, 'first', { text: 'first by run 1' });
  await world.asks(alice, room, 'second', { text: 'second by run 2' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['first + a.png + b.ogg', 'second']);
  expect(world.platform.invocations[0]?.files).toEqual(['a.png: bytes of a.png', 'b.ogg: bytes of b.ogg']);
});

test('F-staged: a file with a caption is a prompt by itself', async () => {
  const { world, alice, room } = await alone();
  const prompt = await files(world, alice, room)('what is this?', { filename: 'cat.png' });
  world.answers.push({ room, prompt, token: 'what is this?' });
  await world.asks(alice, room, 'and now?');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['what is this? + cat.png', 'and now?']);
});

test('F-person: each person in each room has their own, and the order of the timeline decides', async () => {
  const { world, alice, room } = await alone();
  const bob = world.person('bob');
  await alice.client.invite(room, bob.mxid);
  await bob.client.join(room);
  const file = files(world, alice, room);
  await file('hers.png');
  await file('his.png', {}, bob);
  await world.asks(bob, room, 'of bob');
  await file('late.png', {}, bob);
  await world.asks(alice, room, 'of alice');
  await world.asks(bob, room, 'again of bob');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['of bob + his.png', 'of alice + hers.png', 'again of bob + late.png']);
});

test('F-command: a command takes no files, nor does the choice from its list', async () => {
  const { world, alice, room } = await alone();
  const file = files(world, alice, room);
  await alice.says(room, '!save one');
  await file('a.png');
  await alice.says(room, '!load');
  await world.settleAll();
  await alice.says(room, '1');
  await alice.says(room, '!help');
  await world.asks(alice, room, 'a question');
  await world.settleAll();
  expect(given(world)).toEqual(['a question + a.png']);
});

test('F-takeover: who takes over sends the same files, and they do not go with the next prompt again', async () => {
  const { world, alice, room, first, second } = await setting();
  const file = files(world, alice, room);
  await file('a.png');
  await file('b.png');
  await world.settleAll();
  // Killed while it fetches the second file.
  const held = world.server.hold(
    (request) => of(first, 'media')(request) && world.platform.invocations.length === 0,
    'after',
  );
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  let isHeld = false;
  void held.arrived.then(() => (isHeld = true));
  await world.until(() => isHeld);
  first.kill();
  held.release();
  await world.settleAll();
  await world.asks(alice, room, 'next', { text: 'next by run 2' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['asked + a.png + b.png', 'next']);
  expect(second.bot.staged().items).toBe(0);
});

test('F-takeover: a replica that starts with nothing in memory reads what waits from the room', async () => {
  const { world, alice, room, only } = await alone();
  await files(world, alice, room)('a.png');
  await world.settleAll();
  only.kill();
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['asked + a.png']);
});

test('F-takeover: the same process asks no more than once where nothing can wait', async () => {
  const { world, alice, room, only } = await alone();
  await world.asks(alice, room, 'one');
  await world.settleAll();
  const before = world.server.requests.filter(of(only, 'context')).length;
  await world.asks(alice, room, 'two');
  await world.settleAll();
  expect(world.server.requests.filter(of(only, 'context')).length).toBe(before);
  expect(world.verdict()).toBe('');
});

test('F-outage: an outage of the homeserver while files are fetched is waited out and is no attempt', async () => {
  const { world, alice, room, only } = await alone();
  await files(world, alice, room)('a.png');
  await world.settleAll();
  let isDown = true;
  const away = new Set(['media', 'whoami']);
  world.server.refuse(({ client, call }) => isDown && client.startsWith(only.id) && away.has(call), 502, 1e6);
  const prompt = await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  // More deaths than a prompt has attempts.
  for (let deaths = 0; deaths < 4; deaths++) {
    await world.until(() => only.bot.engine.get(prompt)?.waiting === true);
    await world.clock.advance(100);
    only.kill();
    world.restart(only);
  }
  await world.until(() => only.bot.engine.get(prompt)?.waiting === true);
  isDown = false;
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['asked + a.png']);
});

test('F-missing: a prompt whose file is gone is answered once, by a notice that names the file', async () => {
  const { world, alice, room } = await setting();
  await files(world, alice, room)('a.png', { url: 'mxc://sim.test/never' });
  await world.asks(alice, room, 'asked', { text: /could not get `a\.png`: the homeserver does not have it/ });
  await world.asks(alice, room, 'next', { text: 'next by run 1' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['next']);
});

test('F-missing: a file whose own server is gone holds nothing up', async () => {
  const { world, alice, room, only } = await alone();
  await files(world, alice, room)('a.png');
  world.server.refuse(of(only, 'media'), 502, 1000);
  await world.asks(alice, room, 'asked', { text: /could not get `a\.png`: the homeserver cannot fetch it/ });
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('F-size: a file larger than it said is given up and named', async () => {
  const { world, alice, room } = await alone();
  const url = world.server.upload('x'.repeat(LARGEST_ATTACHMENT + 1));
  await files(world, alice, room)('a.bin', { url });
  await world.asks(alice, room, 'asked', { text: /could not get `a\.bin`: it is larger than it said/ });
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('F-size: a file that says it is too large is refused at once, once over all replicas', async () => {
  const { world, alice, room } = await setting();
  await files(world, alice, room)('a.bin', { info: { size: LARGEST_ATTACHMENT + 1 } });
  await world.settleAll();
  expect(notices(world, room)).toEqual(['I cannot take `a.bin`: it is larger than 8.4 MB.']);
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  await world.settleAll();
  expect(given(world)).toEqual(['asked']);
});

test('F-size: where the bot speaks only when addressed, a refused file is named to who asks', async () => {
  const { world, alice, room } = await alone((made) => (made.settings.alwaysRooms = () => false));
  const file = files(world, alice, room);
  const mention = { 'm.mentions': { user_ids: [world.bot] } };
  await file('a.bin', { info: { size: LARGEST_ATTACHMENT + 1 } });
  await file('b.png');
  await alice.says(room, 'look at these, everyone');
  await world.settleAll();
  expect(notices(world, room)).toEqual([]);
  await alice.sends(room, { msgtype: 'm.text', body: 'asked', ...mention });
  await world.settleAll();
  expect(notices(world, room)).toEqual(['I cannot take `a.bin`: it is larger than 8.4 MB.']);
  await file('c.png');
  await alice.says(room, 'and this');
  await alice.sends(room, { msgtype: 'm.text', body: 'next', ...mention });
  await world.settleAll();
  expect(given(world)).toEqual(['next + c.png']);
});

test('F-count: more files than go with one prompt are said once, and hold up nothing after', async () => {
  const { world, alice, room } = await setting();
  const file = files(world, alice, room);
  for (let i = 1; i <= 12; i++) await file(`${i}.png`);
  await world.asks(alice, room, 'prompt', { text: /^I take 10 files with one prompt, and 12 came before/ });
  await world.asks(alice, room, 'next', { text: 'next by run 1' });
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(given(world)).toEqual(['next']);
});

test('F-together: files that are too large together are said once, by what they say they are and by what they are', async () => {
  const MB = 1024 * 1024;
  for (const said of [true, false]) {
    const { world, alice, room } = await setting();
    const file = files(world, alice, room);
    for (const name of ['a.png', 'b.png', 'c.png'])
      await file(name, {
        url: world.server.upload('x'.repeat(6 * MB)),
        info: { mimetype: 'image/png', ...(said && { size: 6 * MB }) },
      });
    await world.asks(alice, room, 'prompt', {
      text: /^The files before this prompt are larger than 16.8 MB together. Send/,
    });
    await world.asks(alice, room, 'next', { text: 'next by run 1' });
    await world.settleAll();
    expect(world.verdict()).toBe('');
    expect(given(world)).toEqual(['next']);
  }
});

test('F-redacted: a redacted file goes with nothing', async () => {
  const { world, alice, room } = await alone();
  const file = files(world, alice, room);
  await file('a.png');
  await alice.redacts(room, await file('b.png'));
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  await world.settleAll();
  expect(given(world)).toEqual(['asked + a.png']);
});

test('F-redacted: nor does one that is redacted while it is fetched', async () => {
  const { world, alice, room, only } = await alone();
  const file = files(world, alice, room);
  const redacted = await file('a.png');
  await file('b.png');
  await world.settleAll();
  const held = world.server.hold(of(only, 'media'), 'after');
  let isHeld = false;
  void held.arrived.then(() => (isHeld = true));
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  await world.until(() => isHeld);
  await alice.redacts(room, redacted);
  await world.clock.advance(1000);
  held.release();
  await world.settleAll();
  expect(given(world)).toEqual(['asked + b.png']);
  expect(world.verdict()).toBe('');
});

test('F-old: a file waits for half an hour', async () => {
  const { world, alice, room, only } = await alone();
  const file = files(world, alice, room);
  await file('a.png');
  await world.clock.advance(20 * 60_000);
  await file('b.png');
  await world.clock.advance(11 * 60_000);
  await world.asks(alice, room, 'asked', { text: 'asked by run 1' });
  await world.settleAll();
  expect(given(world)).toEqual(['asked + b.png']);
  expect(only.bot.staged().items).toBe(0);
});

test('F-encrypted: an encrypted file and one without an address are refused', async () => {
  const { world, alice, room } = await alone();
  const file = files(world, alice, room);
  await file('a.png', { url: undefined, file: { url: 'mxc://sim.test/x', key: {} } });
  await file('b.png', { url: 'mxc://../../../v3/logout' });
  await file('!new', { url: undefined });
  await alice.sends(room, { msgtype: 'm.location', body: 'here', geo_uri: 'geo:0,0' });
  await world.settleAll();
  expect(notices(world, room)).toEqual([
    'I cannot take `a.png`: it is encrypted, and I cannot read it. Send it unencrypted.',
    'I cannot take `b.png`: it has no address that I could fetch it from.',
    'I cannot take `!new`: it has no address that I could fetch it from.',
    'I can read text, images, files, audio and video.',
  ]);
});
