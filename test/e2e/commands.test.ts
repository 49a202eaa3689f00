import { expect, test } from 'vitest';
import { type CommandEntry, commands, usageOf } from '../../src/bot/surface/commands/list.js';
import { cluster, type Cluster } from '../world/cluster.js';
import { Person } from '../world/person.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** For what is asked at once, on a machine that does other things too. */
const SLOW_MS = 150_000;

const stateOf = async (world: Cluster, room: string, type: string, key = '') =>
  (await world.alice.state(room)).find((event) => event.type === type && event.state_key === key)?.content;

/** A command's one answer, in full. */
async function told(world: Cluster, room: string, command: string, token: string): Promise<string> {
  const answer = await world.command(room, command, token);
  await world.answered(SLOW_MS);
  return world.answerTo(answer);
}

/** The room that an answer points to, entered. */
async function enter(world: Cluster, answer: string): Promise<string> {
  const room = decodeURIComponent(/matrix\.to\/#\/([^?]+)/.exec(answer)?.[1] ?? '');
  await world.alice.join(room);
  return room;
}

test(
  'every command: normal use, missing and wrong arguments, and without permission',
  { timeout: 300_000 },
  async () => {
    // Nothing is killed here: a busy machine must not look like one that died.
    const world = await cluster({ replicas: 2, lease: '3s', heartbeat: '500ms', patience: '10s' });
    const dm = await world.room();
    await world.answered(SLOW_MS);
    const line = (await world.alice.history(dm)).findLast(({ sender }) => sender === world.bot.userId);
    const chat = await enter(world, String(line?.content.body));

    // Said at once: the bot answers in their order.
    const wrong = (commands as readonly CommandEntry[]).flatMap((entry) => {
      const usage = `Usage: !${usageOf(entry)}: ${entry.summary}`;
      const tooMuch = entry.parameters.length === 0 ? 'more' : `"${'x'.repeat(101)}"`;
      const needsOne = entry.parameters.some(({ optional }) => optional !== true);
      return [[needsOne ? `!${entry.name}` : `!${entry.name} ${tooMuch}`, usage]];
    });
    for (const [body = '', usage = ''] of wrong) await world.command(chat, body, usage);
    for (const [body = '', token = ''] of [
      ['!nonsense', 'There is no command !nonsense.'],
      ['!help nonsense', 'There is no command !nonsense.'],
      ['!agent nobody', 'There is no agent “nobody”.'],
      ['!load', 'Nothing is saved here.'],
      ['!load tomatoes', 'Nothing is saved as “tomatoes” here.'],
      ['!save ..', 'That is no name for a context.'],
      ['!yes', 'Nothing is pending.'],
      ['!no', 'Nothing is pending.'],
      ['!cancel', 'Nothing is under way here.'],
      ['!help load', 'Only for the one whose room it is.'],
      ['!help', '!archive: close this chat'],
      ['!agents', '→ echo: Echo'],
      ['!context', 'chat: C1'],
    ])
      await world.command(chat, body, token);
    for (const body of ['!rename Kitchen', '!archive'])
      await world.command(dm, body, 'This is no chat that I made.');
    await world.answered(SLOW_MS);

    await world.ask(chat, undefined, { text: (token) => `echo #1: say ${token}` });
    await world.command(chat, '!save "my tomatoes"', 'Saved as “my tomatoes”.');
    await world.ask(chat, undefined, { text: (token) => `echo #2: say ${token}` });
    const branch = await world.command(chat, '!branch Beans & peas', 'Branched into C2 “Beans & peas”');
    await world.command(chat, '!load', '1. my tomatoes');
    await world.answered(SLOW_MS);
    await told(world, chat, '1', 'Loaded “my tomatoes”');
    await world.ask(chat, undefined, { text: (token) => `echo #2: say ${token}` });
    await world.command(chat, '!load my tomatoes', 'Loaded “my tomatoes”');
    await world.command(chat, '!context', 'loaded: my tomatoes');
    await world.command(chat, '!rename Garden', 'This chat is called “Garden” now.');
    await world.answered(SLOW_MS);
    expect((await stateOf(world, chat, 'm.room.name'))?.['name']).toBe('Garden');
    const beans = await enter(world, await world.answerTo(branch));
    await world.ask(beans, undefined, { text: (token) => `echo #3: say ${token}` });
    expect(await told(world, beans, '!chats', 'Your chats')).toMatch(
      /^· C1 “Garden”: .*\n→ C2 “Beans & peas”: /m,
    );

    await world.command(beans, '!archive', 'C2 is archived.');
    await world.command(beans, 'and now?', 'This chat is archived.');
    await world.command(beans, '!rename Peas', 'This chat is archived.');
    const made = await told(world, beans, '!new "Herb bed"', 'Made C3 “Herb bed”');
    const [space = ''] = (await world.alice.invitations()).filter(
      (room) => !made.includes(encodeURIComponent(room)),
    );
    await world.alice.join(space);
    expect((await stateOf(world, space, 'm.space.child', beans))?.['via']).toBeUndefined();
    expect((await stateOf(world, space, 'm.space.child', chat))?.['via']).toEqual([expect.any(String)]);

    const herbs = await enter(world, made);
    await told(world, herbs, '!agent drill', 'This room now talks to Drill (drill)');
    const bob = await Person.register(world.homeserver, 'bob');
    await world.alice.invite(herbs, bob.userId);
    await bob.join(herbs);
    const long = await world.command(herbs, 'wait 600', 'Cancelled.');
    const shown = () => `the placeholder of ${long.prompt}`;
    await world.alice.until(herbs, shown, (history) =>
      history.some(({ content }) => content['m.relates_to']?.['m.in_reply_to']?.event_id === long.prompt),
    );
    expect(await status(world, herbs)).toMatch(
      /^answered by: replica-\d\nalive besides: replica-\d\n[^]*\ntasks: 1 running[^\n]*$/,
    );
    const bobs = async (body: string, token: string) =>
      void world.answers.push({ room: herbs, prompt: await bob.say(herbs, body), token });
    await bobs('!cancel', `Only ${world.alice.userId}, who asked, may cancel that.`);
    await world.alice.until(herbs, 'the refusal', (history) =>
      history.some(({ content }) => String(content.body).startsWith('Only ')),
    );
    await world.command(herbs, '!cancel', 'Asked the agent to stop.');
    for (const { name, parameters, who } of commands as readonly CommandEntry[]) {
      if (who !== 'owner') continue;
      const body = [`!${name}`, ...parameters.map(() => 'echo')].join(' ');
      await bobs(
        body,
        `Only ${world.alice.userId}, whose room this is, may do that here. !new makes you a chat of your own.`,
      );
    }
    await world.answered(SLOW_MS);
    await world.watch('every command');
  },
);

/** What `!status` says while a run is under way: it passes ahead of it. */
async function status(world: Cluster, room: string): Promise<string> {
  const asked = await world.command(room, '!status', 'answered by');
  return world.alice.eventually('the status', async () => (await world.answerTo(asked)) || undefined);
}

everyRoomIsJudged();
