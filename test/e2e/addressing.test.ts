import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { Person } from '../world/person.js';
import { seenMessages } from '../world/seen.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** For a machine that has much else to do. */
const ANSWERED_MS = 150_000;
const timeout = 300_000;
/** Nobody is to be taken for dead meanwhile. */
const unhurried = { lease: '3s', heartbeat: '500ms', patience: '2s' };

const NOTICE = /^I answer only people on my list/;
const LINE = /^Hello! Your chat with me is here/;

interface Said {
  prompt: string;
  token: string;
}

/** Three people and the bot in one room: alice and bob may talk to it, mallory may not. */
async function three(world: Cluster) {
  const { alice, bot } = world;
  const [bob, mallory] = await Promise.all(
    ['bob', 'mallory'].map((name) => Person.register(world.homeserver, name)),
  );
  if (!bob || !mallory) throw new Error('two more people are needed');
  const invite = [bot.userId, bob.userId, mallory.userId];
  const room = await alice.createRoom({ direct: false, name: 'All of us', invite });
  world.messages.push({ room, text: LINE });
  await Promise.all([bob.join(room), mallory.join(room), world.botIn(room)]);
  await world.answered(ANSWERED_MS);

  const said = async (who: Person, more: object = {}, text = (token: string) => `say ${token}`) => {
    const token = `t${randomUUID().slice(0, 13)}`;
    const content = { msgtype: 'm.text', body: text(token), ...more };
    return { prompt: await who.send(room, 'm.room.message', content), token };
  };
  return {
    bob,
    mallory,
    room,
    said,
    asked: async (...of: Parameters<typeof said>): Promise<Said> => {
      const one = await said(...of);
      world.answers.push({ room, ...one });
      return one;
    },
    answerTo: async ({ prompt }: Said): Promise<string> => {
      await world.answered(ANSWERED_MS);
      const events = seenMessages(await alice.history(room)).filter(({ inReplyTo }) => inReplyTo === prompt);
      return events.at(-1)?.eventId ?? '';
    },
  };
}

const mentions = (...users: Person[]) => ({ 'm.mentions': { user_ids: users.map(({ userId }) => userId) } });
const replyTo = (event_id: string) => ({ 'm.relates_to': { 'm.in_reply_to': { event_id } } });
const inThread = (root: string) => ({
  'm.relates_to': {
    rel_type: 'm.thread',
    event_id: root,
    is_falling_back: true,
    'm.in_reply_to': { event_id: root },
  },
});

test(
  'three people and two replicas: each is answered when they address the bot, and in a direct chat always',
  { timeout },
  async () => {
    const world = await cluster({
      replicas: 2,
      ...unhurried,
      settings: { UNDERSTUDY_ALLOWED_USERS: '@alice*:*,@bob*:*', UNDERSTUDY_STRANGERS: 'notice' },
    });
    const { alice, bot } = world;
    const { bob, mallory, room, said, asked, answerTo } = await three(world);

    await said(alice);
    await said(bob, mentions(alice));
    const first = await asked(bob, mentions(bot));
    await asked(alice, {}, (token) => `${bot.localpart}, say ${token}`);
    const answer = await answerTo(first);
    await asked(alice, { ...replyTo(answer), ...mentions(bob) });
    const root = (await said(alice)).prompt;
    const other = (await said(alice)).prompt;
    await asked(bob, { ...inThread(root), ...mentions(bot) });
    world.messages.push({ room, text: NOTICE });
    await said(mallory, mentions(bot));
    await said(mallory, mentions(bot));
    await world.answered(ANSWERED_MS);
    await asked(alice, { ...inThread(root), ...mentions() });
    await said(bob, { ...inThread(other), ...mentions() });
    await said(bob, { ...replyTo(other), ...mentions() });

    await world.answered(ANSWERED_MS);

    // What they remembered is gone; the homeserver knows.
    await Promise.all(world.replicas.map((replica) => replica.kill()));
    await asked(bob, { ...replyTo(answer), ...mentions() });
    await asked(bob, { ...inThread(root), ...mentions() });
    await said(mallory, mentions(bot));
    await said(bob, { ...inThread(other), ...mentions() });
    await Promise.all(world.replicas.map((replica) => replica.start()));
    await world.answered(ANSWERED_MS);

    const [theirs, declined] = await Promise.all([
      bob.createRoom({ invite: [bot.userId] }),
      mallory.createRoom({ invite: [bot.userId] }),
    ]);
    const direct = await bob.say(theirs, 'say directly');
    await bob.eventually('the bot answers in a direct chat', async () =>
      seenMessages(await bob.history(theirs)).some(({ inReplyTo }) => inReplyTo === direct),
    );
    await mallory.eventually('the invite is declined', async () => {
      const events = await mallory.history(declined);
      const membership = events.findLast(
        ({ type, state_key }) => type === 'm.room.member' && state_key === bot.userId,
      );
      return membership?.content['membership'] === 'leave';
    });
    await world.watch('three people and two replicas');
  },
);

test('what is remembered of our messages survives restarts where it is told to', { timeout }, async () => {
  const world = await cluster({
    replicas: 2,
    ...unhurried,
    settings: { UNDERSTUDY_PERSISTENT_STATE: 'threads,sent' },
  });
  const room = await world.room();
  await world.ask(room);
  await world.answered(ANSWERED_MS);
  const entries = async () =>
    Promise.all(
      world.replicas.map(async (replica) => {
        const [, count] =
          /understudy_keyed_entries\{[^}]*namespace="sent-messages"[^}]*\} (\d+)/.exec(
            (await replica.page('/metrics'))?.text ?? '',
          ) ?? [];
        return Number(count ?? 0);
      }),
    );
  const counted = await world.alice.eventually('both replicas have the same messages', async () => {
    const [one = 0, other] = await entries();
    // The line, the greeting, the answer.
    return one >= 3 && one === other && one;
  });
  await Promise.all(world.replicas.map((replica) => replica.kill()));
  await Promise.all(world.replicas.map((replica) => replica.start()));
  expect(await entries()).toEqual([counted, counted]);
  await world.watch('remembered messages');
});

everyRoomIsJudged();
