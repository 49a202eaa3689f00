import { expect, test } from 'vitest';
import { World } from '../simulation/world.js';
import { answerTo, quiet } from '../surface/setting.js';
import { questions } from './asking.js';

test('P5-asker: who takes a prompt up that it knows by its placeholder alone asks for its sender, who may decide', async () => {
  const world = new World(1);
  world.settings.allowed = (mxid) => mxid !== world.bot;
  world.platform.forgetful = false;
  world.platform.answer = ({ text }) => ({ text, asks: '1' });
  const alice = world.person('alice');
  const room = await world.plainRoom(alice);
  // Before genesis, so that the timeline before the placeholder is not read.
  const prompt = await alice.says(room, 'ask');
  await world.startAll();
  const mark = { source: prompt, step: 'anchor', final: false, epoch: 0, replica: 'gone' };
  const placeholder = {
    msgtype: 'm.notice',
    body: '…',
    'm.relates_to': { 'm.in_reply_to': { event_id: prompt } },
    'dev.understudy.delivery': mark,
  };
  await world.server.connect('bot', 'ELSEWHERE').send(room, 'm.room.message', 'earlier', placeholder);
  await world.until(() => questions(world, room).length > 0);
  const [question] = questions(world, room);
  await alice.reacts(room, question?.event ?? '', '✅');
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(world.platform.invocations.map(({ user }) => user)).toEqual([alice.mxid]);
});
