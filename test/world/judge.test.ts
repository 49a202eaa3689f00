import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { judge, tell, type Case, type ExpectedAnswer } from './judge.js';
import type { TimelineEvent } from './matrix-http.js';
import type { Person } from './person.js';
import { seenMessages } from './seen.js';
import { judgeNow, untilAnswered } from './watch.js';
import { newPerson } from './world.js';

const reply = (prompt: string, text: string) => ({
  msgtype: 'm.text',
  body: text,
  'm.relates_to': { 'm.in_reply_to': { event_id: prompt } },
});

let alice: Person;
let bot: Person;
beforeAll(async () => {
  alice = await newPerson('alice');
  bot = await newPerson('bot');
});

const roomOfBoth = async () => {
  const room = await alice.createRoom({ invite: [bot.userId] });
  await bot.join(room);
  return room;
};

const prompts = async (room: string, count: number): Promise<ExpectedAnswer[]> => {
  const answers: ExpectedAnswer[] = [];
  for (let n = 1; n <= count; n += 1) {
    const token = `token-${randomUUID()}`;
    answers.push({ room, prompt: await alice.say(room, `say ${token}`), token });
  }
  return answers;
};

const problemsOf = async (of: Case & { rooms?: string[] }) => {
  const rooms = new Set([...(of.rooms ?? []), ...of.answers.map((one) => one.room)]);
  const histories = new Map<string, TimelineEvent[]>();
  for (const room of rooms) histories.set(room, await alice.history(room));
  return judge(histories, of);
};

describe('the checker, checked', () => {
  test('a bot of three copies without coordination is reported with every answer tripled', async () => {
    const rooms = [await roomOfBoth(), await roomOfBoth()];
    const answers = [...(await prompts(rooms[0]!, 4)), ...(await prompts(rooms[1]!, 3))];
    // What a bot library does by itself: each copy reads all prompts and sends under transaction ids of its own. The
    // texts differ, because an event id is a hash: equal events of one millisecond would be one event.
    const copy = async (name: string) => {
      for (const { room, prompt, token } of answers) {
        await bot.send(room, 'm.room.message', reply(prompt, `you said ${token} (${name})`));
      }
    };
    await Promise.all([copy('a'), copy('b'), copy('c')]);
    const problems = await problemsOf({ bot: bot.userId, answers });
    expect(problems.map(({ kind, times }) => `${kind} ${times}`)).toEqual(answers.map(() => 'doubled 3'));
    expect(new Set(problems.map(({ about }) => about))).toEqual(new Set(answers.map(({ token }) => token)));
  });

  test('a bot that answers each prompt once is found without fault', async () => {
    const room = await roomOfBoth();
    const answers = await prompts(room, 3);
    for (const { prompt, token } of answers)
      await bot.send(room, 'm.room.message', reply(prompt, `you said ${token}`));
    await untilAnswered(alice, { bot: bot.userId, answers });
    expect(await judgeNow(alice, { bot: bot.userId, answers })).toBe('');
  });

  test('an answer that never came, and one to the wrong prompt, are both reported', async () => {
    const room = await roomOfBoth();
    const answers = await prompts(room, 2);
    await bot.send(room, 'm.room.message', reply(answers[0]!.prompt, `you said ${answers[1]!.token}`));
    const problems = await problemsOf({ bot: bot.userId, answers });
    expect(problems.map(({ kind }) => kind)).toEqual(['wrong', 'missing']);
    expect(tell(problems)).toContain('1 wrong, 1 missing');
  });

  test('a second message in reply to a prompt is too many, whatever it says', async () => {
    const room = await roomOfBoth();
    const [answer] = (await prompts(room, 1)) as [ExpectedAnswer];
    await bot.send(room, 'm.room.message', reply(answer.prompt, `you said ${answer.token}`));
    await bot.send(room, 'm.room.message', reply(answer.prompt, 'something else'));
    const problems = await problemsOf({ bot: bot.userId, answers: [answer] });
    expect(problems.map(({ kind, times }) => [kind, times])).toEqual([['doubled', 2]]);
  });

  test('a message that replies to nothing is unexplained, unless it was expected, and then as often as expected', async () => {
    const room = await roomOfBoth();
    await bot.say(room, 'Hello, I am the bot.');
    const of = { bot: bot.userId, answers: [], rooms: [room] };
    expect((await problemsOf(of)).map(({ kind }) => kind)).toEqual(['unexplained']);
    expect(await problemsOf({ ...of, messages: [{ room, text: /^Hello/ }] })).toEqual([]);
    await bot.say(room, 'Hello, I am the bot.');
    expect(
      (await problemsOf({ ...of, messages: [{ room, text: /^Hello/ }] })).map(({ kind }) => kind),
    ).toEqual(['doubled']);
  });

  test('an edited answer counts with its last text, a redacted one not at all', async () => {
    const room = await roomOfBoth();
    const [answer] = (await prompts(room, 1)) as [ExpectedAnswer];
    const placeholder = await bot.send(room, 'm.room.message', reply(answer.prompt, '…'));
    expect((await problemsOf({ bot: bot.userId, answers: [answer] })).map(({ kind }) => kind)).toEqual([
      'wrong',
    ]);
    await bot.edit(room, placeholder, 'half of it');
    await bot.edit(room, placeholder, `you said ${answer.token}`);
    const exact = { ...answer, text: `you said ${answer.token}` };
    expect(await problemsOf({ bot: bot.userId, answers: [exact] })).toEqual([]);
    const second = await bot.send(room, 'm.room.message', reply(answer.prompt, `you said ${answer.token}`));
    expect((await problemsOf({ bot: bot.userId, answers: [exact] })).map(({ kind }) => kind)).toEqual([
      'doubled',
    ]);
    await bot.redact(room, second);
    expect(await problemsOf({ bot: bot.userId, answers: [exact] })).toEqual([]);
    await alice.edit(room, placeholder, 'not mine to edit');
    expect(seenMessages(await alice.history(room)).find(({ eventId }) => eventId === placeholder)?.body).toBe(
      exact.text,
    );
  });

  test('an answer in several parts counts as one; with a part twice, out of order or missing it is wrong', async () => {
    const room = await roomOfBoth();
    const [first, second, third] = (await prompts(room, 3)) as [
      ExpectedAnswer,
      ExpectedAnswer,
      ExpectedAnswer,
    ];
    const whole = (token: string) => ({ parts: 'several' as const, text: `${token} one, two, three` });
    const send = async ({ prompt }: ExpectedAnswer, ...parts: string[]) => {
      for (const part of parts) await bot.send(room, 'm.room.message', reply(prompt, part));
    };
    await send(first, `${first.token} one`, ', two', ', three');
    await send(second, `${second.token} one`, ', two', ', two', ', three');
    await send(third, `${third.token} one`, `${third.token} one`, ', two', ', three');
    const answers = [first, second, third].map((one) => ({ ...one, ...whole(one.token) }));
    const problems = await problemsOf({ bot: bot.userId, answers });
    expect(problems.map(({ kind, about }) => [kind, about])).toEqual([
      ['wrong', second.token],
      ['doubled', third.token],
    ]);
  });

  test('a history of more than one page is read whole and in order', async () => {
    const room = await roomOfBoth();
    const sent: string[] = [];
    for (let n = 0; n < 12; n += 1) {
      sent.push(...(await Promise.all(Array.from({ length: 50 }, () => bot.say(room, `line ${n}`)))));
    }
    const seen = seenMessages(await alice.history(room));
    expect(new Set(seen.map(({ eventId }) => eventId))).toEqual(new Set(sent));
    const numbers = seen.map(({ body }) => Number(body.slice(5)));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });
});
