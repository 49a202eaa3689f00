import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { drill, struckMidRun } from '../world/inside.js';
import { isAnswered } from '../world/judge.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('SIGKILL of the owner in the middle of a run: one answer, one invocation', async () => {
  const world = await cluster({ replicas: 2, agents: drill });
  const room = await world.room();
  await world.answered();
  const { invocations: before } = await struckMidRun(world, room, {
    strike: (replica) => replica.kill(),
    mend: (replica) => replica.start(),
  });
  await world.answered();
  expect(await world.invocations()).toBe(before + 1);
  await world.watch('owner killed in the middle of a run');
});

test('SIGSTOP of the owner for longer than its lease, takeover, SIGCONT: one answer, no older text over it', async () => {
  const world = await cluster({ replicas: 2, agents: drill });
  const room = await world.room();
  await world.answered();
  const { owner } = await struckMidRun(world, room, {
    prompt: (seconds, token) => `wait ${seconds} stream 20 ${token}`,
    want: { text: (token) => new RegExp(`^drill #\\d+: .*${token}$`) },
    // Frozen with a placeholder on show, so that it has an edit to make when it wakes.
    strike: async (replica, asked) => {
      await world.alice.until(room, 'a placeholder', (history) => {
        const isShown = history.some(({ sender, content }) => {
          const mark = content['dev.understudy.delivery'] as { source?: string } | undefined;
          return sender === world.bot.userId && mark?.source === asked.prompt && content.body === '…';
        });
        return isShown || isAnswered(history, world.bot.userId, asked);
      });
      replica.freeze();
    },
    mend: (replica) => {
      replica.thaw();
      return replica.ready();
    },
  });
  await world.answered();
  owner.thaw();
  // Awake again when it answers its pages; then it has had its chance to speak.
  await owner.ready();
  await world.ask(room);
  await world.answered();
  expect(await world.problems()).toBe('');
  await world.watch('owner frozen for longer than its lease');
});

test(
  'prompts of a time when nobody was there are answered once each, older ones not again',
  { timeout: 1_200_000 },
  async () => {
    const world = await cluster({ replicas: 3 });
    const [room, other] = [await world.room(), await world.room()];
    await world.ask(room);
    await world.ask(other);
    await world.answered();
    const [one, two, away] = [world.replica(0), world.replica(1), world.replica(2)];
    await away.kill();
    await world.ask(other);
    await world.answered();
    await Promise.all([one.kill(), two.kill()]);
    // More than a /sync answer holds of one room, so that the timeline is limited.
    for (let n = 0; n < 60; n += 1) await world.ask(room);
    await world.ask(other);
    await Promise.all([one.start(), two.start()]);
    await world.answered(600_000);
    // Behind by all of that, and alone with it for a moment: it answers nothing from its past (D5).
    await one.kill();
    await away.start();
    await world.ask(other);
    await world.answered();
    expect(await world.problems()).toBe('');
    await world.watch('prompts while nobody was there');
  },
);

/** One text, whole: all its parts, in order, of one invocation. */
const oneWholeText = (size: number) => (parts: string[]) => {
  const text = parts.join('');
  const seed = /\[([^\]]+)\]/.exec(text)?.[1];
  return parts.length > 1 && text.length === size && seed !== undefined && text.split('drill #').length === 2;
};

test('two texts for one prompt, and everyone dies after part 1: the room shows one text, whole', async () => {
  const world = await cluster({
    replicas: 2,
    platforms: 2,
    gates: true,
    proxies: true,
    agents: drill,
    patience: '300ms',
  });
  const room = await world.room();
  await world.ask(room);
  await world.answered();
  for (const replica of world.replicas) replica.cutOff();
  // Whoever gets part 1 of the answer stored dies before it hears of it, and the other one with it.
  const died = new Promise<void>((resolve) => {
    for (const replica of world.replicas) {
      replica.proxy.onApplied(async (put) => {
        if (!JSON.stringify(put.body).includes('"part":1')) return;
        await Promise.all(world.replicas.map((each) => each.kill()));
        resolve();
      });
    }
  });
  const size = 40_000;
  await world.ask(room, (token) => `wait 1 vary size ${size} ${token}`, {
    parts: 'several',
    text: () => oneWholeText(size),
  });
  await died;
  for (const replica of world.replicas) replica.proxy.onApplied(undefined);
  // The one that is back first may hold no text of the chain, or another one; then the other comes back with its own.
  await world.replica(1).start();
  await world.answered();
  await world.replica(0).start();
  for (const replica of world.replicas) replica.rejoin();
  await world.ask(room);
  await world.answered();
  expect(await world.problems()).toBe('');
  await world.watch('two texts for one prompt');
});

everyRoomIsJudged();
