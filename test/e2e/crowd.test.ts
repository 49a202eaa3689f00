import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Sqlite from 'libsql';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { growth, verdict, type Sample } from '../soak/growth.js';
import { isSoak, say } from '../soak/time.js';
import { Cluster } from '../world/cluster.js';
import { understudy } from '../world/command.js';
import { atRest, field } from '../world/inside.js';
import { Inspector, inspectable, type Memory } from '../world/inspector.js';
import { judge, tell } from '../world/judge.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import { Talker } from '../world/talker.js';

/** In all, with a picture before every fifth. */
const PROMPTS = Number(process.env['UNDERSTUDY_SOAK_PROMPTS'] ?? (isSoak ? 10_000 : 1_000));
/** Of these, so many until the replicas are warm. Within them one is killed. */
const FIRST = Math.min(500, PROMPTS / 2);
/** Between two looks at the memory. */
const ROUND = 2 * Math.ceil(Math.min(100, PROMPTS / 20) / 2);
const how = { open: 4, pictureEvery: 5 };

const KB = 1024;
/** What may grow with every prompt, bytes: of it its settled mark and the mark of its run stay for a week. */
const MOST = 8 * KB;
/** The same of buffers, in which Automerge's documents are, the copies that a cut makes among them. */
const MOST_BUFFERS = 16 * KB;
/** The leak that the check must see. */
const PLANTED = 20 * KB;

/** What goes with a generation must go several times between the first look at the memory and the last, runs among it. */
const cutOften = {
  UNDERSTUDY_GENERATION_EVENTS: '60',
  UNDERSTUDY_GENERATION_EVERY: '2s',
  UNDERSTUDY_ARCHIVE_AFTER: '5s',
};

let world: Cluster;
let alice: Talker;
let bob: Talker;

beforeAll(async () => {
  const agents = [
    { id: 'echo', name: 'Echo', backend: 'echo', description: 'Says it again' },
    { id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' },
  ];
  world = await Cluster.open({
    agents: { default: 'echo', agents },
    // As in practice: what the others' short ones cost in heartbeats is a good part of a prompt's work.
    lease: '3s',
    heartbeat: '500ms',
    patience: '5s',
    settings: { ...inspectable, ...cutOften },
  });
  const enter = (name: string, agent: string) =>
    Talker.enter(world.homeserver, name, world.bot.userId, agent);
  [alice, bob] = await Promise.all([enter('alice', 'echo'), enter('bob', 'drill')]);
});

afterAll(() => world?.dispose());

const talkers = () => [alice, bob];
const said = () => alice.prompts.length + bob.prompts.length;
/** Both at the same time, half of them each. */
const talk = (count: number) => Promise.all(talkers().map((one) => one.talk(count / 2, how)));

const tellTails = () =>
  onTestFailed(() => {
    process.stderr.write(`${world.tails()}\n`);
  });

/** Everything in every room that a person can see, by room. */
async function roomsOf({ person }: Talker): Promise<Map<string, TimelineEvent[]>> {
  for (const room of await person.invitations()) await person.join(room);
  const rooms = new Map<string, TimelineEvent[]>();
  for (const room of await person.joinedRooms()) rooms.set(room, await person.history(room));
  return rooms;
}

/** What is wrong in a person's rooms: answers as a person sees them, each to its own prompt, by the room's agent. */
function problemsOf(talker: Talker, rooms: Map<string, TimelineEvent[]>): string {
  const messages = [...rooms.keys()].map((room) => ({
    room,
    text: /^Hello! /,
    times: 'at most once' as const,
  }));
  // Whether a picture is answered is not asked here; what it gets is one notice at most, and holds nobody's text.
  const aboutPictures = [...rooms.values()].flat().filter(({ sender, content }) => {
    const to = content['m.relates_to']?.['m.in_reply_to']?.event_id;
    return sender === talker.bot && to !== undefined && talker.pictures.includes(to);
  });
  const others = [...rooms].map(([room, events]) => {
    return [room, events.filter((event) => !aboutPictures.includes(event))] as const;
  });
  const about = aboutPictures.map(({ content }) => content['m.relates_to']?.['m.in_reply_to']?.event_id);
  const doubled = about.filter((id, n) => about.indexOf(id) !== n).map((id) => `${id} was answered twice`);
  const problems = judge(new Map(others), { bot: talker.bot, answers: talker.answers, messages });
  return [...(problems.length > 0 ? [tell(problems)] : []), ...doubled].join('\n');
}

interface Kept {
  chats: { id: string; agent: string; context: string }[];
  turns: { context: string; author: string | null; text: string }[];
}

/** What the platform keeps of conversations. */
async function transcripts(): Promise<Kept> {
  const platform = world.platforms[0]!;
  // It holds its database alone.
  await platform.stop();
  const dir = (platform.settings as Record<string, string>)['UNDERSTUDY_DATA_DIR'] ?? '';
  const database = new Sqlite(join(dir, 'platform.sqlite'));
  try {
    const all = (query: string): unknown => database.prepare(query).all([]);
    return {
      chats: all('select id, agent, context from chats') as Kept['chats'],
      turns: all(
        'select context, author, text from turns order by context, position, role desc',
      ) as Kept['turns'],
    };
  } finally {
    database.close();
    await platform.start();
  }
}

test(
  'two people in two rooms with two agents at the same time never see each other’s text',
  { timeout: 86_400_000 },
  async () => {
    tellTails();
    const begin = performance.now();
    let isOver = false;
    const strike = async () => {
      while (said() < FIRST / 2 && !isOver) await pause(10);
      await world.replica(1).kill();
      await world.replica(1).start();
    };
    await Promise.all([talk(FIRST).finally(() => (isOver = true)), strike()]);
    const seconds = (performance.now() - begin) / 1000;
    say('crowd', { prompts: said(), 'a second': (said() / seconds).toFixed(1), kills: 1 }, true);
    await isolated();
  },
);

/** Holds what each person, each transcript, document, log and metric shows against whose text may stand there. */
async function isolated(): Promise<void> {
  await atRest(world);
  const { chats, turns } = await transcripts();
  for (const talker of talkers()) {
    const [other] = talkers().filter((one) => one !== talker);
    const rooms = await roomsOf(talker);
    const seen = JSON.stringify([...rooms]);
    expect(seen).toContain(talker.secret);
    expect(seen.includes(other!.secret)).toBe(false);
    expect(problemsOf(talker, rooms)).toBe('');

    const bound = await field(world.replica(0), `matrix_room:${talker.room}`, 'platform_chat_id');
    const chat = chats.find(({ id }) => id === bound);
    expect(chat?.agent).toBe(talker.agent);
    const own = turns.filter(({ context }) => context === chat?.context);
    const asked = own.filter(({ author }) => author !== null);
    expect(new Set(asked.map(({ author }) => author))).toEqual(new Set([talker.person.userId]));
    expect(asked.filter(({ text }, n) => !text.startsWith(talker.prompts[n] ?? '?'))).toEqual([]);
    expect([asked.length, own.length]).toEqual([talker.prompts.length, 2 * talker.prompts.length]);
    const elsewhere = turns.filter(({ context }) => context !== chat?.context);
    expect(elsewhere.some(({ text }) => text.includes(talker.secret))).toBe(false);
  }
  for (const replica of world.replicas) {
    const args = ['inspect', '--json', '--data', replica.dir];
    const { code, stdout } = await understudy(args, { settings: { UNDERSTUDY_CLUSTER_ID: world.clusterId } });
    expect(code).toBe(0);
    expect(stdout).toContain(alice.room);
    expect(holdsSecret(stdout)).toBe(false);
  }
  for (const process of world.processes) {
    expect(process.lines.filter(({ text }) => holdsSecret(text))).toEqual([]);
    expect(holdsSecret((await process.page('/metrics'))?.text ?? '')).toBe(false);
  }
}

const holdsSecret = (text: string): boolean => talkers().some(({ secret }) => text.includes(secret));

/** Looks at the memory of each replica between rounds of prompts. */
class Watch {
  readonly #samples: [count: number, memory: Memory][][] = [];

  private constructor(readonly inspectors: readonly Inspector[]) {
    this.#samples = inspectors.map(() => []);
  }

  static async begin(): Promise<Watch> {
    return new Watch(await Promise.all(world.replicas.map((replica) => Inspector.attach(replica))));
  }

  /** Nothing is under way, and what is no longer needed has gone. */
  async look(): Promise<void> {
    await atRest(world);
    for (const [n, inspector] of this.inspectors.entries())
      this.#samples[n]?.push([said(), await inspector.memory()]);
  }

  /** Of each replica, whether its heap grows. */
  get verdicts(): ReturnType<typeof verdict>[] {
    return this.growth('heap').map((of) => verdict(of, MOST));
  }

  /** Of each replica, the growth of one figure. */
  growth(figure: keyof Memory): ReturnType<typeof growth>[] {
    return this.#samples.map((samples) =>
      growth(samples.map(([count, memory]): Sample => [count, memory[figure]])),
    );
  }

  tell(what: string): void {
    const last = this.#samples.map((samples) => samples.at(-1)?.[1]);
    const mb = (figure: keyof Memory) =>
      last.map((memory) => `${((memory?.[figure] ?? 0) / KB / KB).toFixed(1)} MB`).join(' and ');
    const each = (figure: keyof Memory) =>
      this.growth(figure)
        .map(({ each: of, low, high }) => [of, low, high].map((bytes) => (bytes / KB).toFixed(1)))
        .map(([of, low, high]) => `${of} (${low} to ${high})`)
        .join(' and ');
    const line = `${said()} prompts, ${talkers().reduce((sum, { pictures }) => sum + pictures.length, 0)} pictures, heap ${mb('heap')}, kB a prompt ${each('heap')}, buffers ${mb('external')}, kB a prompt ${each('external')}, RSS ${mb('rss')}, kB a prompt ${each('rss')}`;
    process.stdout.write(`${isSoak ? 'soak: ' : ''}${what}: ${line}\n`);
  }

  close(): void {
    for (const inspector of this.inspectors) inspector.close();
  }
}

/** Goes on until it can be told of every replica whether it grows, with more prompts than planned if it must. */
async function watched(prompts: number, afterRound: (watch: Watch) => Promise<unknown>): Promise<Watch> {
  const watch = await Watch.begin();
  try {
    await watch.look();
    const [enough, most] = [said() + prompts, said() + 3 * prompts];
    while (said() < enough || (watch.verdicts.includes('unclear') && said() < most)) {
      await talk(ROUND);
      await afterRound(watch);
      await watch.look();
    }
    return watch;
  } finally {
    watch.close();
  }
}

/** What the replicas' logs say: a count in memory goes with its process. */
const cuts = (): number =>
  world.replicas.flatMap(({ lines }) => lines).filter(({ text }) => text.includes('a generation was cut'))
    .length;

test(
  `${PROMPTS} prompts and ${PROMPTS / how.pictureEvery} pictures leave nothing in a replica’s memory`,
  { timeout: 86_400_000 },
  async () => {
    tellTails();
    const before = cuts();
    const watch = await watched(PROMPTS - said(), async (of) => isSoak && of.tell('memory'));
    watch.tell('memory');
    // So that what goes with a generation had gone several times.
    expect(cuts() - before).toBeGreaterThanOrEqual((PROMPTS - FIRST) / 100);
    expect(watch.verdicts).toEqual(world.replicas.map(() => 'steady'));
    expect(watch.growth('external').filter(({ each }) => each > MOST_BUFFERS)).toEqual([]);
    await isolated();
  },
);

test.runIf(isSoak)(
  'a leak of 20 kB a prompt, planted in one replica, is told from the other',
  { timeout: 86_400_000 },
  async () => {
    tellTails();
    const plant = `(globalThis.planted ??= []).push(Array.from({ length: ${ROUND} }, () => new Array(${PLANTED / 8}).fill(0.5)))`;
    const watch = await watched(10 * ROUND, ({ inspectors }) => inspectors[0]!.evaluate(plant));
    watch.tell('a planted leak');
    expect(watch.verdicts).toEqual(['grows', 'steady']);
  },
);
