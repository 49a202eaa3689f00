import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { LARGEST_ATTACHMENT } from '../../src/platform/attachments.js';
import { cluster, type Cluster } from '../world/cluster.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** For a machine that has much else to do. */
const ANSWERED_MS = 300_000;
const timeout = 900_000;
const unhurried = { lease: '3s', heartbeat: '500ms', patience: '2s' };

/** Puts a file into the homeserver's media repository; resolves to its `mxc` URI. */
async function upload({ alice }: Cluster, bytes: Buffer, type: string): Promise<string> {
  const { homeserver, token } = alice;
  const response = await fetch(`${homeserver.url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body: new Uint8Array(bytes),
  });
  if (!response.ok) throw new Error(`no upload: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { content_uri: string }).content_uri;
}

async function media(world: Cluster, room: string, name: string, size: number, more: object = {}) {
  const [msgtype, mimetype] = name.endsWith('.ogg') ? ['m.audio', 'audio/ogg'] : ['m.image', 'image/png'];
  const url = await upload(world, Buffer.alloc(size, 7), mimetype);
  const content = { msgtype, body: name, url, info: { mimetype, size }, ...more };
  return world.alice.send(room, 'm.room.message', content);
}

/** A prompt, whose answer ends with the files that went with it. */
const askWith = (world: Cluster, room: string, files: string) =>
  world.ask(room, (token) => `say ${token}`, {
    text: (token) => (parts) => parts.join('').endsWith(`: say ${token}${files}`),
  });

test(
  'files go with the next prompt, whoever of the replicas is there to answer it',
  { timeout },
  async () => {
    const world = await cluster({ replicas: 2, ...unhurried });
    const room = await world.room();
    await world.answered(ANSWERED_MS);
    await media(world, room, 'cat.png', 1200);
    await media(world, room, 'voice.ogg', 5);
    await askWith(world, room, ' [cat.png, 1 kB image/png] [voice.ogg, 5 B audio/ogg]');
    await askWith(world, room, '');

    const token = `t${randomUUID().slice(0, 13)}`;
    const prompt = await media(world, room, `what is ${token}`, 9, { filename: 'dog.png' });
    world.answers.push({
      room,
      prompt,
      token,
      text: (parts) => parts.join('').endsWith('[dog.png, 9 B image/png]'),
    });
    await world.answered(ANSWERED_MS);

    // Whose turn it is, is one of the two: each is killed between a file and its prompt.
    for (const replica of world.replicas) {
      await media(world, room, 'late.png', 7);
      await replica.kill();
      await askWith(world, room, ' [late.png, 7 B image/png]');
      await world.answered(ANSWERED_MS);
      await replica.start();
    }
    await askWith(world, room, '');
    await world.answered(ANSWERED_MS);
    expect(await world.problems()).toBe('');
    await world.watch('files with prompts, owners killed between them');
  },
);

test('a file that is too large is refused, by what it says or by what it is', { timeout }, async () => {
  const world = await cluster({ replicas: 2, ...unhurried });
  const room = await world.room();
  await world.answered(ANSWERED_MS);
  const said = await media(world, room, 'said.png', 5, { info: { size: LARGEST_ATTACHMENT + 1 } });
  world.answers.push({ room, prompt: said, token: 'I cannot take `said.png`: it is larger than 8.4 MB.' });
  await askWith(world, room, '');
  await world.answered(ANSWERED_MS);
  await media(world, room, 'lying.png', LARGEST_ATTACHMENT + 1, { info: { size: 5 } });
  const prompt = await world.alice.say(room, 'what is in it?');
  world.answers.push({ room, prompt, token: 'I could not get `lying.png`: it is larger than it said.' });
  await askWith(world, room, '');
  await world.answered(ANSWERED_MS);
  await world.watch('files that are too large');
});

everyRoomIsJudged();
