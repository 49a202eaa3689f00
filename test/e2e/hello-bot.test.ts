import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFailed, onTestFinished, test } from 'vitest';
import { silentLog, startRelay, systemClock } from '../../src/index.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { MemoryStorage } from '../node/world.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import { Person } from '../world/person.js';
import { Process } from '../world/process.js';
import { newPerson, sharedHomeserver } from '../world/world.js';

const script = fileURLToPath(new URL('../../examples/hello-bot/bot.mjs', import.meta.url));
/** Of `node.once`: the authority, named for the first time, is silent for so long, milliseconds. */
const LEASE_MS = 15_000;

const answersTo = (history: TimelineEvent[], question: string): string[] =>
  history
    .filter(({ content }) => content['m.relates_to']?.['m.in_reply_to']?.event_id === question)
    .map(({ content }) => String(content.body));

test('a plain bot of matrix-bot-sdk, run twice: one answer each, also over kill -9, and one state', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-hello-'));
  const clusterId = randomBytes(32).toString('base64url');
  const relay = await startRelay({
    port: 0,
    tokens: undefined,
    storage: new MemoryStorage(),
    clusterCheck: clusterCheck(clusterId),
    limits: { claims: { longestLeaseMs: LEASE_MS } },
    clock: systemClock,
    log: silentLog,
  });
  const bot = await newPerson('hello');
  const second = await Person.login(sharedHomeserver(), bot.userId, bot.password);
  const bots = [bot, second].map(
    ({ token, homeserver }, at) =>
      new Process(
        `hello-${at + 1}`,
        [join(dir, `hello-${at + 1}`), relay.url],
        {
          UNDERSTUDY_HTTP_PORT: '0',
          HOMESERVER_URL: homeserver.url,
          ACCESS_TOKEN: token,
          UNDERSTUDY_CLUSTER_ID: clusterId,
        },
        script,
      ),
  );
  onTestFailed(() => {
    process.stderr.write(`${bots.map((one) => one.tail()).join('\n')}\n`);
  });
  onTestFinished(async () => {
    await Promise.all(bots.map((one) => one.kill()));
    await relay.close();
    await rm(dir, { recursive: true, force: true });
  });
  const ready = async (one: Process) => {
    const from = one.lines.length;
    one.launch();
    await one.line(({ text }) => text === 'ready', { from });
  };
  const [first, other] = bots as [Process, Process];
  await ready(first);
  await ready(other);

  const alice = await newPerson('alice');
  const room = await alice.createRoom({ invite: [bot.userId] });
  await alice.eventually('the bot in the room', async () => (await alice.members(room)).includes(bot.userId));
  const asked: string[] = [];
  const ask = async (text: string): Promise<string> => {
    const question = await alice.say(room, text);
    asked.push(question);
    return question;
  };
  const answer = (question: string): Promise<string> =>
    alice.until(room, `an answer to ${question}`, (history) => answersTo(history, question)[0]);
  const named = (name: string) => bots.find((one) => name.includes(one.name)) as Process;

  for (const question of [await ask('!hello'), await ask('!hello'), await ask('!hello')])
    expect(await answer(question)).toContain('Hello world!');

  // Whoever works on it dies before it answers: the other one does when the claim is over.
  const froms = bots.map((one) => one.lines.length);
  const slow = await ask('!slow');
  const worker = await Promise.any(
    bots.map((one, at) => one.line(({ text }) => text === 'slow', { from: froms[at] ?? 0 }).then(() => one)),
  );
  await worker.kill();
  const heir = named(await answer(slow));
  expect(heir).not.toBe(worker);
  expect(await answer(await ask('!hello'))).toContain(heir.name);
  expect(await answer(await ask('!remember tea'))).toContain(heir.name);

  // Back again, it is handed what it missed; alone then, it knows what the other one stored.
  await ready(worker);
  await expect
    .poll(async () => named(await answer(await ask('!recall'))) === worker, { timeout: 60_000 })
    .toBe(true);
  await heir.kill();
  expect(await answer(await ask('!recall'))).toContain(`tea (${worker.name})`);

  const history = await alice.history(room);
  for (const question of asked) expect(answersTo(history, question), question).toHaveLength(1);
}, 240_000);
