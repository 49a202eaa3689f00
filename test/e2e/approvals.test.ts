import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { drill } from '../world/inside.js';
import type { ExpectedAnswer } from '../world/judge.js';
import { seenMessages } from '../world/seen.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** Every keyed store of the bot outlives its processes, and reaches the other replica. */
const persistent = { UNDERSTUDY_PERSISTENT_STATE: 'threads,sent,approvals,prompts' };

const QUESTION = /^Drill #\d+ wants to go on\./;

/** The messages that ask for something, in a room, as they show. */
const questions = async (world: Cluster, room: string) => {
  const history = await world.alice.history(room);
  const asking = new Set(
    history.filter(({ content }) => 'dev.understudy.approval' in content).map(({ event_id }) => event_id),
  );
  return seenMessages(history).filter(({ eventId }) => asking.has(eventId));
};

/** A prompt whose agent asks; resolves to it and the event of the question, with our reactions on it. */
async function asked(world: Cluster, room: string, verdict: string) {
  const before = (await questions(world, room)).length;
  const prompt = await world.ask(room, (token) => `approve ${token}`, {
    text: (token) => new RegExp(`^drill #\\d+: approve ${token} \\[${verdict}\\]$`),
    asks: QUESTION,
  });
  await world.alice.until(room, 'three reactions of ours on a question', (history) => {
    const question = history.findLast(({ content }) => 'dev.understudy.approval' in content)?.event_id;
    return (
      history.filter(({ content }) => 'dev.understudy.approval' in content).length > before &&
      history.filter(
        ({ type, sender, content }) =>
          type === 'm.reaction' &&
          sender === world.bot.userId &&
          content['m.relates_to']?.event_id === question,
      ).length === 3
    );
  });
  const question = (await questions(world, room)).at(-1)?.eventId ?? '';
  return { prompt, question };
}

const decidedBy = async (world: Cluster, room: string) => {
  const [last] = (await questions(world, room)).toReversed();
  return last?.body ?? '';
};

/** What was said of a reaction: it replies to the question. */
const note = (room: string, prompt: string): ExpectedAnswer => ({ room, prompt, token: 'Already decided: ' });

test('a question and a list outlive a restart of all replicas and of the platform: a reaction decides, a number chooses', async () => {
  const world = await cluster({ replicas: 2, agents: drill, settings: persistent });
  const room = await world.room();
  const listed = await world.room();
  await world.ask(listed);
  await world.answered();
  await world.command(listed, '!save peas', 'Saved as “peas”');
  await world.answered();
  await world.command(listed, '!load', '1. peas');
  await world.answered();
  const before = await world.invocations();
  const { question } = await asked(world, room, 'approved');
  await Promise.all([...world.replicas, ...world.platforms].map((process) => process.kill()));
  await world.alice.react(room, question, '✅');
  await world.command(listed, '1', 'Loaded “peas”');
  await Promise.all([...world.replicas, ...world.platforms].map((process) => process.start()));
  await world.answered();
  expect(await world.invocations()).toBe(before + 1);
  expect(await decidedBy(world, room)).toContain(`✅ Approved by ${world.alice.userId}.`);
  await world.command(room, '!yes', 'Nothing is pending.');
  await world.watch('a question and a list outlive a restart of all');
});

test('the owner is killed after it has asked, and 👍 and 👎 come at once: one decision, one answer, one note', async () => {
  const world = await cluster({ replicas: 2, agents: drill, settings: persistent });
  const room = await world.room();
  await world.answered();
  const { question } = await asked(world, room, '(approved|denied)');
  // On a busy machine both may be at work on it.
  const begun = await Promise.all(
    world.replicas.map((replica) => replica.metric('understudy_begun_sources')),
  );
  await world.replica(begun.findIndex((count) => (count ?? 0) > 0) === 1 ? 1 : 0).kill();
  const marks = await Promise.all(['👍', '👎'].map((key) => world.alice.react(room, question, key)));
  expect(new Set(marks).size).toBe(2);
  world.answers.push(note(room, question));
  await world.answered();
  for (const replica of world.replicas) if (!replica.isRunning) await replica.start();
  expect((await questions(world, room)).length).toBe(1);
  // A second run, decided by a message, while both are there.
  await asked(world, room, 'denied');
  await world.command(room, '!no', '❌ Declined.');
  await world.answered();
  await world.watch('the owner killed after it has asked');
});

everyRoomIsJudged();
