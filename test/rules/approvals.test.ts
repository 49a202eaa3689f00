import { expect, test } from 'vitest';
import { viewAnswer } from '../../src/delivery/view.js';
import { stepKey } from '../../src/bot/surface/platform-key.js';
import { answerTo, quiet } from '../surface/setting.js';
import { killAfter } from '../simulation/boundaries.js';
import { asked, asking, bobIn, questions } from './asking.js';
import { of } from './setting.js';

const decisions = ({ platform }: { platform: { decided: { decision: string }[] } }) =>
  platform.decided.map(({ decision }) => decision);

test('O6-approval: a decision passes ahead of the run that asked for it, and of what waits behind that', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { question } = await asked(setting);
  await world.asks(alice, room, 'next');
  await alice.reacts(room, question, '✅');
  await quiet(world, () => world.seen(room).length === 3);
  expect(questions(world, room)).toMatchObject([{ body: 'May I?\n\n✅ Approved by @alice:sim.test.' }]);
  expect(world.seen(room).map(({ body }) => body)).toContain('ask [approve]');
  expect(world.verdict()).toBe('');
  expect(world.actorProblems()).toEqual([]);
});

test('O6-approval: !no and !yes always pass ahead too; what was agreed to always is not asked again', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt } = await asked(setting);
  await world.asks(alice, room, '!no', { token: '❌ Declined.' });
  await quiet(world, () => answerTo(world, room, prompt).includes('[deny]'));
  await asked(setting, 'ask more');
  await world.asks(alice, room, '!yes sometimes', { token: 'Write !yes, or !yes always.' });
  await world.asks(alice, room, '!yes always', { token: '♾️ Approved, here always.' });
  await quiet(world, () => world.platform.decided.length === 2);
  const last = await world.asks(alice, room, 'ask again', { token: 'ask again', text: 'ask again' });
  await quiet(world, () => answerTo(world, room, last) !== '');
  expect(questions(world, room)).toHaveLength(2);
  expect(world.verdict()).toBe('');
});

test('a question offers ✅, ❌ and ♾️, one each, and says who may decide in clear', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt, question } = await asked(setting);
  await world.until(() => world.history(room).filter(({ type }) => type === 'm.reaction').length === 3);
  const keys = world
    .history(room)
    .filter(({ type, sender }) => type === 'm.reaction' && sender === world.bot)
    .map(({ content }) => content['m.relates_to'] ?? {});
  expect(keys.map(({ key }) => key)).toEqual(['✅', '❌', '♾️']);
  expect(new Set(keys.map(({ event_id }) => event_id))).toEqual(new Set([question]));
  const event = world.sent(room).find(({ event_id }) => event_id === question);
  expect(event?.content).toMatchObject({
    'm.relates_to': { 'm.in_reply_to': { event_id: prompt } },
    'dev.understudy.approval': { approval: '1', person: alice.mxid },
    'dev.understudy.delivery': { source: prompt, step: 'approval/1', final: false },
  });
  await alice.reacts(room, question, '♾');
  await quiet(world, () => answerTo(world, room, prompt).includes('[always]'));
  expect(world.verdict()).toBe('');
});

test('where a room takes no reactions, or has ours already, the question stands all the same', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const reaction = ({ type }: { type?: string }) => type === 'm.reaction';
  world.server.refuse(reaction, 400, 3);
  const first = await asked(setting);
  await world.until(() => world.happened.filter(({ event }) => event === 'offered-reaction').length === 3);
  await alice.reacts(room, first.question, '👎');
  await quiet(world, () => answerTo(world, room, first.prompt).includes('[deny]'));
  expect(world.verdict()).toBe('');
});

test('P5-first: 👍 and 👎 at once, to two replicas that are apart: the first holds, one note', async () => {
  const setting = await asking((made) => (made.settings.isAdmin = (mxid) => mxid === '@bob:sim.test'));
  const { world, alice, room } = setting;
  const bob = await bobIn(setting);
  const { prompt, question } = await asked(setting);
  world.hub.down();
  world.linked = false;
  await Promise.all([alice.reacts(room, question, '👍🏽'), bob.reacts(room, question, '👎')]);
  await world.until(() => answerTo(world, room, question) !== '', 60_000);
  await world.clock.advance(30_000);
  world.linked = true;
  world.healRelay();
  await quiet(world, () => /\[\w+\]/.test(answerTo(world, room, prompt)));
  const [{ decision, by } = { decision: '', by: '' }] = world.platform.decided;
  expect(world.platform.decided).toHaveLength(1);
  const shown = decision === 'approve' ? '✅ Approved' : '❌ Declined';
  world.messages.push({ room, text: new RegExp(`^Already decided: ${shown} by ${by}\\.$`) });
  expect(world.verdict()).toBe('');
});

test('P5-first: a second reaction is told what was decided, once, also by who had that first', async () => {
  const setting = await asking();
  const { world, alice, room, first } = setting;
  const { question } = await asked(setting);
  await alice.reacts(room, question, '❌');
  await quiet(world, () => world.platform.decided.length === 1);
  await alice.reacts(room, question, '✅');
  await quiet(world, () => answerTo(world, room, question) !== '');
  first.kill();
  world.restart(first);
  await quiet(world);
  world.messages.push({ room, text: /^Already decided: ❌ Declined by @alice:sim\.test\.$/ });
  expect(decisions(world)).toEqual(['deny']);
  expect(world.verdict()).toBe('');
});

test('P5-own-decision: who takes a reaction over that was decided on finds its own decision, and adds no note', async () => {
  const setting = await asking();
  const { world, alice, room, first } = setting;
  const { prompt, question } = await asked(setting);
  world.platform.onWrite = (process) => {
    if (process === first.life.process && world.platform.decided.length === 1) first.kill();
  };
  await alice.reacts(room, question, '✅');
  await world.until(() => !first.up);
  world.platform.onWrite = () => {};
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(decisions(world)).toEqual(['approve']);
  expect(world.verdict()).toBe('');
});

test('P5-own-decision: who takes a !yes over that was decided on finds its own decision, and answers it once', async () => {
  const setting = await asking();
  const { world, alice, room, first } = setting;
  const { prompt } = await asked(setting);
  world.platform.onWrite = (process) => {
    if (process === first.life.process && world.platform.decided.length === 1) first.kill();
  };
  const yes = await world.asks(alice, room, '!yes', { token: '✅ Approved.' });
  await world.until(() => !first.up);
  world.platform.onWrite = () => {};
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(answerTo(world, room, yes)).toContain('Approved');
  expect(decisions(world)).toEqual(['approve']);
  expect(world.verdict()).toBe('');
});

test('P5-before: !yes means no question that came after it', async () => {
  const setting = await asking((made) => {
    made.platform.answer = ({ text }) => ({ text, asks: '1', takesMs: 4000 });
  });
  const { world, alice, room, first, second } = setting;
  const holds = [first, second].map((one) => world.server.hold(of(one, 'context'), 'before'));
  await world.asks(alice, room, 'ask', { asks: /^May I\?/ });
  await world.until(() => world.platform.invocations.length === 1);
  const yes = await world.asks(alice, room, '!yes', { token: 'Nothing is pending.' });
  await world.until(() => questions(world, room).length === 1);
  for (const hold of holds) hold.release();
  await world.until(() => answerTo(world, room, yes) !== '');
  expect(world.platform.decided).toEqual([]);
  await world.asks(alice, room, '!yes', { token: '✅ Approved.' });
  await quiet(world, () => world.platform.decided.length === 1);
  expect(world.verdict()).toBe('');
});

test('P5-closed: a question that was decided on, or whose run is over, is not pending', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt, question } = await asked(setting);
  await alice.reacts(room, question, '✅');
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  const yes = await world.asks(alice, room, '!yes', { token: 'Nothing is pending.' });
  await quiet(world, () => answerTo(world, room, yes) !== '');
  await asked(setting, 'ask more');
  world.answers.at(-1)!.token = 'Cancelled.';
  await world.asks(alice, room, '!cancel', { token: 'Asked the agent to stop.' });
  await quiet(world, () => questions(world, room)[1]?.body === 'May I?\n\n🛑 Cancelled.');
  const no = await world.asks(alice, room, '!no', { token: 'Nothing is pending.' });
  await quiet(world, () => answerTo(world, room, no) !== '');
  expect(decisions(world)).toEqual(['approve']);
  expect(world.verdict()).toBe('');
});

test('P5-allowed: only the person whose prompt it was, and admins, decide; others get nothing for a reaction', async () => {
  const setting = await asking((made) => {
    made.settings.allowed = (mxid) => mxid !== '@mallory:sim.test';
    made.settings.isAdmin = (mxid) => mxid === '@carol:sim.test';
  });
  const { world, alice, room } = setting;
  const bob = await bobIn(setting);
  const [mallory, carol] = [world.person('mallory'), world.person('carol')];
  for (const one of [mallory, carol]) {
    await alice.client.invite(room, one.mxid);
    await one.acceptsAll();
  }
  const { prompt, question } = await asked(setting);
  for (const one of [bob, mallory]) await one.reacts(room, question, '✅');
  await world.asks(bob, room, '!yes', { token: 'Only @alice:sim.test, who asked, may decide that.' });
  await bob.reacts(room, prompt, '🛑');
  await quietBut(world, prompt);
  expect(world.platform.decided).toEqual([]);
  expect(world.platform.cancelled).toEqual([]);
  await carol.reacts(room, question, '❌');
  await quiet(world, () => answerTo(world, room, prompt).includes('[deny]'));
  expect(world.platform.decided).toMatchObject([{ by: carol.mxid }]);
  expect(world.verdict()).toBe('');
});

test('P5-restart: a reaction decides after a restart of all, on replicas with empty folders and memories', async () => {
  const setting = await asking();
  const { world, alice, room, first, second } = setting;
  const { prompt, question } = await asked(setting);
  await quietBut(world, prompt);
  first.kill();
  second.kill();
  await alice.reacts(room, question, '✅');
  second.wipe();
  world.restart(first);
  world.restart(second);
  await quiet(world, () => answerTo(world, room, prompt).includes('[approve]'));
  expect(decisions(world)).toEqual(['approve']);
  expect(world.happened.filter(({ event }) => event === 'reaction-target').length).toBeGreaterThan(0);
  expect(world.verdict()).toBe('');
});

test('a reaction that was taken back before anybody had read it decides nothing', async () => {
  const setting = await asking();
  const { world, alice, room, first, second } = setting;
  const { prompt, question } = await asked(setting);
  await quietBut(world, prompt);
  first.kill();
  second.kill();
  const reaction = await alice.reacts(room, question, '✅');
  await alice.redacts(room, reaction);
  world.restart(first);
  world.restart(second);
  await world.clock.advance(60_000);
  expect(world.platform.decided).toEqual([]);
  await alice.reacts(room, question, '❌');
  await quiet(world, () => answerTo(world, room, prompt).includes('[deny]'));
  expect(world.verdict()).toBe('');
});

test('a question that nobody decided on says so, and a late reaction is told', async () => {
  const setting = await asking();
  const { world, alice, room } = setting;
  const { prompt, question } = await asked(setting);
  world.answers[0]!.token = 'Nobody decided in time (reference';
  world.platform.expire();
  await quiet(world, () => answerTo(world, room, prompt).includes('(reference'));
  expect(questions(world, room)[0]?.body).toBe('May I?\n\n⌛ Nobody decided in time.');
  await alice.reacts(room, question, '✅');
  await quiet(world, () => answerTo(world, room, question) !== '');
  world.messages.push({ room, text: /^This question is no longer open\.$/ });
  expect(world.verdict()).toBe('');
});

test('P5-over: a question whose run ended while nobody followed it is closed by whoever comes then', async () => {
  const setting = await asking();
  const { world, room, first, second } = setting;
  for (const way of ['decided', 'cancelled']) {
    const { prompt } = await asked(setting, `ask ${way}`);
    await quietBut(world, prompt);
    for (const one of [first, second]) one.freeze();
    const run = stepKey(prompt, 'send');
    world.platform.elsewhere(run, way === 'decided' ? { approval: '1', decision: 'deny' } : 'cancel');
    await world.clock.advance(1000);
    for (const one of [first, second]) one.kill();
    for (const one of [first, second]) world.restart(one);
    if (way === 'cancelled') world.answers.at(-1)!.token = 'Cancelled.';
    await quiet(world, () =>
      answerTo(world, room, prompt).includes(way === 'decided' ? '[deny]' : 'Cancelled.'),
    );
  }
  expect(questions(world, room).map(({ body }) => body)).toEqual([
    'May I?\n\n❌ Declined.',
    'May I?\n\n🛑 Cancelled.',
  ]);
  expect(world.verdict()).toBe('');
});

test('D10-question: of two questions under one step the later one is taken away', () => {
  const sent = (id: string, step: string) => ({
    id,
    mark: { source: '$p', step, final: false, epoch: 0, replica: 'r0' },
    body: '',
    kind: 'm.text' as const,
    redacted: false,
  });
  const events = [sent('$a', 'approval/1'), sent('$b', 'approval/1/yes'), sent('$c', 'approval/1')];
  expect(viewAnswer(events).orphans).toEqual(['$c']);
});

test.each(['a reaction', '!yes or !no'] as const)(
  'killed after each write on the way from the question to the answer by %s, and taken over: one question, one decision',
  { timeout: 240_000 },
  async (by) => {
    const setting = await asking();
    const { world, alice, room, first } = setting;
    let kills = 0;
    for (let n = 1; n <= 30; n += 1) {
      const boundary = killAfter(world, first, n);
      const { prompt, question } = await asked(setting, `ask ${n}`);
      if (by === 'a reaction') await alice.reacts(room, question, n % 2 === 0 ? '✅' : '👎');
      else if (n % 2 === 0) await world.asks(alice, room, '!yes', { token: '✅ Approved.' });
      else await world.asks(alice, room, '!no', { token: '❌ Declined.' });
      await quiet(world, () => answerTo(world, room, prompt).includes('['));
      boundary.lift();
      expect(world.platform.decided).toHaveLength(n);
      expect(questions(world, room)).toHaveLength(n);
      expect(questions(world, room).at(-1)?.body).toContain('by @alice:sim.test.');
      if (!boundary.killed()) break;
      kills += 1;
      world.restart(first);
      await world.until(() => first.up && first.life.started === 'started');
      await quiet(world);
    }
    // The attempt, the question, three reactions, the decision, its edit, the answer, and what actors learn of them.
    expect(kills).toBeGreaterThanOrEqual(8);
    expect(kills).toBeLessThan(30);
    expect(world.verdict()).toBe('');
    expect(world.actorProblems()).toEqual([]);
  },
);

/** Until all but that prompt is done, which waits for a decision. */
async function quietBut(world: Awaited<ReturnType<typeof asking>>['world'], prompt: string): Promise<void> {
  await world.clock.advance(1000);
  await world.until(() => world.whatIsLeft().every((line) => line.includes(prompt)));
}
