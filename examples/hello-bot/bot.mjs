/** A plain bot on matrix-bot-sdk with two lines changed, so that it can run twice. */
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AutojoinRoomsMixin, MatrixClient } from 'matrix-bot-sdk';
import { openNode } from 'understudy';

const { HOMESERVER_URL, ACCESS_TOKEN, UNDERSTUDY_CLUSTER_ID: clusterId } = process.env;
const [dataDir, relay] = process.argv.slice(2);
if (!HOMESERVER_URL || !ACCESS_TOKEN || !clusterId || !dataDir || !relay) {
  process.stderr.write(
    'usage: HOMESERVER_URL= ACCESS_TOKEN= UNDERSTUDY_CLUSTER_ID= node bot.mjs FOLDER RELAY_URL\n',
  );
  process.exit(2);
}
const say = (line) => process.stdout.write(`${line}\n`);

const node = await openNode({ clusterId, dataDir, relays: [{ url: relay }] });
await node.synced(10_000);
if (node.claims.authority() === undefined) await node.claims.setAuthority(relay);

// const storage = new SimpleFsStorageProvider('hello-bot.json');
const storage = node.matrixStorage();
const client = new MatrixClient(HOMESERVER_URL, ACCESS_TOKEN, storage);
AutojoinRoomsMixin.setupOnClient(client);

// client.on('room.message', handle);
client.on('room.message', node.once(handle));

const me = await client.getUserId();
await client.start();
say('ready');

async function handle(roomId, event) {
  if (event.sender === me || event.content?.msgtype !== 'm.text') return;
  const [command, ...words] = String(event.content.body).split(' ');
  const answer = await answerTo(command, words.join(' '));
  if (answer !== undefined) await client.replyNotice(roomId, event, `${answer} (${basename(dataDir)})`);
}

async function answerTo(command, text) {
  switch (command) {
    case '!hello':
      return 'Hello world!';
    case '!slow':
      say('slow');
      await pause(5_000);
      return 'There you are.';
    case '!remember':
      await storage.storeValue('note', text);
      return 'Noted.';
    case '!recall':
      return (await storage.readValue('note')) ?? 'Nothing noted.';
    default:
      return undefined;
  }
}

for (const event of ['SIGTERM', 'SIGINT']) {
  process.once(event, () => {
    client.stop();
    void node.close().then(() => process.exit(0));
  });
}
