import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { drill } from '../world/inside.js';
import { everyRoomIsJudged } from '../world/watch.js';

test('what was edited or redacted while it waited, while it ran, and when it was answered', async () => {
  const world = await cluster({
    replicas: 2,
    agents: drill,
    settings: { UNDERSTUDY_ON_EDIT: 'answer-again' },
  });
  const { alice } = world;
  const room = await world.room();
  await world.answered();

  // The room is busy until it is said otherwise, so that what follows waits.
  await world.command(room, 'wait 3600', 'Cancelled.');
  await alice.eventually('a run', async () => (await world.runsUnderWay()) === 1);
  const prompt = await alice.say(room, 'first form');
  await alice.edit(room, prompt, 'second form');
  const gone = await alice.say(room, 'regretted');
  await alice.redact(room, gone);
  const turned = await alice.say(room, 'hello');
  await alice.edit(room, turned, '!context');
  world.answers.push({ room, prompt: turned, token: 'platform_chat_id' });
  await world.command(room, '!cancel', 'Asked the agent to stop.');
  await alice.eventually('its answer', async () =>
    (await world.answerTo({ room, prompt })).includes('second form'),
  );
  await world.answered();
  expect(await world.invocations()).toBe(2);

  const late = await alice.edit(room, prompt, 'third form');
  await alice.eventually('another answer', async () =>
    (await world.answerTo({ room, prompt })).includes('third form'),
  );
  await alice.redact(room, late);
  for (const text of [/second form/, /third form/]) world.messages.push({ room, text });

  const WITHDRAWN = 'This was not answered: the message was deleted.';
  const withdrawn = await world.command(room, 'wait 3600 again', WITHDRAWN);
  await alice.eventually('a placeholder', async () => (await world.answerTo(withdrawn)) !== '');
  await alice.redact(room, withdrawn.prompt);
  await alice.eventually('its end', async () => (await world.answerTo(withdrawn)) === WITHDRAWN);
  expect(await world.runsUnderWay()).toBe(0);
  expect(await world.answerTo({ room, prompt: gone })).toBe('');
  await world.ask(room);
  await world.watch('edited and redacted');
});

everyRoomIsJudged();
