import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { everyRoomIsJudged } from '../world/watch.js';

const relation = (root: string) => ({
  rel_type: 'm.thread',
  event_id: root,
  is_falling_back: true,
  'm.in_reply_to': { event_id: root },
});

test(
  'two threads and the timeline of one room: three contexts, also after a replica was killed and both were new',
  { timeout: 600_000 },
  async () => {
    // Nobody is to be taken for dead on a machine that does other things too.
    const world = await cluster({ replicas: 2, lease: '3s', heartbeat: '500ms', patience: '2s' });
    const { alice } = world;
    const room = await world.room();
    /** Says something in a thread, or in none, and expects the echo to count it so. */
    const say = async (count: number, root?: string) => {
      const token = `t${randomUUID().slice(0, 13)}`;
      const thread = root !== undefined && { 'm.relates_to': relation(root) };
      const content = { msgtype: 'm.text', body: `say ${token}`, ...thread };
      const prompt = await alice.send(room, 'm.room.message', content);
      world.answers.push({ room, prompt, token, text: `echo #${count}: say ${token}` });
      return prompt;
    };
    const one = await say(1);
    const two = await say(2);
    await world.answered();
    const set = await alice.send(room, 'm.room.message', { msgtype: 'm.text', body: '!threads own' });
    world.answers.push({ room, prompt: set, token: 'Each thread here has a context of its own' });
    await world.answered();
    // At once: an order within the room is all there is.
    await Promise.all([say(1, one), say(1, two), say(3)]);
    await world.answered();
    await world.replica(0).kill();
    await say(2, one);
    await world.answered();
    await world.replica(0).start();
    await world.replica(1).kill();
    await say(2, two);
    await say(4);
    await say(3, one);
    await world.answered();
    expect(await world.invocations()).toBe(9);
    const events = await alice.history(room);
    for (const { prompt } of world.answers) {
      const asked = events.find(({ event_id }) => event_id === prompt)?.content['m.relates_to'];
      const answer = events.find(
        ({ sender, content }) =>
          sender === world.bot.userId && content['m.relates_to']?.['m.in_reply_to']?.event_id === prompt,
      );
      expect(answer?.content['m.relates_to']?.event_id).toBe(asked?.event_id);
    }
    expect(await world.problems()).toBe('');
    await world.replica(1).start();
    await world.watch('two threads and a timeline');
  },
);

everyRoomIsJudged();
