import { join } from 'node:path';
import Sqlite from 'libsql';
import { expect, test } from 'vitest';
import { commands } from '../../src/bot/surface/commands/list.js';
import { cluster, type Cluster } from '../world/cluster.js';
import { records } from '../world/inside.js';
import { isSoak } from '../soak/time.js';
import { seeded } from '../storage/random.js';
import { everyRoomIsJudged } from '../world/watch.js';
import type { Boundary, Passage } from './killed/boundaries.js';
import { Performer } from './killed/performer.js';
import { type Decision, Stage, type Use } from './killed/stage.js';
import { type Row, rows } from './killed/table.js';

const PEOPLE = isSoak ? 8 : 4;
/** More at once are too much for a homeserver on a machine that does other things too. */
const MET_AT_ONCE = 2;
/** A use whose replica was not the one that was killed is done again. */
const MOST_ROUNDS = 30;
/** Which of the boundaries are drawn: said at the beginning, so that a red draw can be drawn again. */
const SEED = Number(process.env['KILLED_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** `KILLED_ONLY=yes,no`: the rows of these commands alone, at all of their boundaries. */
const ONLY = process.env['KILLED_ONLY']?.split(',');
const played = rows.filter(({ command }) => ONLY?.includes(command) ?? true);

interface Cell {
  row: Row;
  boundary: Boundary;
}

/** Both sides of each step; in each run of `npm test` so many of them as two rounds take, others each time. */
function cells(): Cell[] {
  const all = played.flatMap((row) =>
    row.steps.flatMap((step) =>
      (['before', 'after'] as const).map((when) => ({ row, boundary: { step, when } })),
    ),
  );
  if (isSoak || ONLY !== undefined) return all;
  const drawn = new Set<Cell>();
  const draw = seeded(SEED);
  while (drawn.size < 2 * PEOPLE) drawn.add(all[Math.floor(draw() * all.length)] as Cell);
  return [...drawn];
}

test(
  `every command, SIGKILL before and after ${isSoak ? 'each' : 'some'} of its steps, and taken over by the other replica`,
  { timeout: 1_800_000 },
  async () => {
    const named = new Set<string>(rows.map(({ command }) => command));
    expect(ONLY?.filter((name) => !named.has(name)) ?? []).toEqual([]);
    expect(commands.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);

    const world = await cluster({
      replicas: 2,
      proxies: true,
      platformProxies: true,
      gates: true,
      agents: {
        default: 'drill',
        agents: [
          { id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' },
          { id: 'echo', name: 'Echo', backend: 'echo', description: 'Says it again' },
        ],
      },
      lease: '2s',
      heartbeat: '300ms',
      patience: '4s',
    });
    const began = performance.now();
    const say = (what: string) =>
      process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1)} s: ${what}\n`);
    const people: Performer[] = [];
    while (people.length < PEOPLE) people.push(...(await meet(world, MET_AT_ONCE)));
    say(`everybody is ready; KILLED_SEED=${SEED}`);
    const stage = new Stage(world);
    for (const uses of inTurns(
      played.map((row) => ({ row })),
      people,
    ))
      await stage.play(uses);
    say('undisturbed');

    const killed = new Map<Cell, number>(cells().map((cell) => [cell, 0]));
    const open = [...killed.keys()];
    for (let round = 1; open.length > 0 && round <= MOST_ROUNDS; round += 1) {
      const now = open.splice(0, PEOPLE);
      const [uses = []] = inTurns(now, people);
      const struck = await killedAt(stage, world, uses);
      for (const [n, cell] of now.entries())
        if (struck[n]) killed.set(cell, (killed.get(cell) ?? 0) + 1);
        else open.push(cell);
      say(`round ${round}: ${struck.filter(Boolean).length} of ${now.length}`);
    }
    process.stdout.write(tableOf(killed));
    expect([...killed].filter(([, times]) => times === 0)).toEqual([]);

    for (const uses of inTurns(
      played.map((row) => ({ row })),
      people,
    ))
      await apart(stage, world, uses);
    say('apart');

    await nothingIsLeftOver(world, stage, people);
    for (const performer of people) await performer.watch('commands killed at each step');
    await world.watch('commands killed at each step');
  },
);

const meet = (world: Cluster, count: number): Promise<Performer[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const performer = await Performer.meet(world, world.replica(0).name);
      await performer.learnsOfTomatoes();
      return performer;
    }),
  );

/** As many at once as there are people. */
function inTurns<T extends { row: Row; boundary?: Boundary }>(
  all: readonly T[],
  people: readonly Performer[],
): Use[][] {
  const turns: Use[][] = [];
  for (let at = 0; at < all.length; at += people.length)
    turns.push(
      all.slice(at, at + people.length).map(({ row, boundary }, n) => ({
        row,
        performer: people[n] as Performer,
        ...(boundary && { boundary }),
      })),
    );
  return turns;
}

/** Kills the replica that most uses are held at; tells which of them it was killed in, and the other took over. */
async function killedAt(stage: Stage, world: Cluster, uses: readonly Use[]): Promise<boolean[]> {
  let victim = world.replica(0);
  const isStruck = ({ heldAt, passed }: Passage) =>
    heldAt === victim.name && !passed.some(({ by, step }) => by !== victim.name && step === 'answer');
  let struck: boolean[] = [];
  await stage.play(uses, {
    async strike(passages) {
      const at = (name: string) => passages.filter(({ heldAt }) => heldAt === name).length;
      victim = at(world.replica(1).name) > at(victim.name) ? world.replica(1) : victim;
      struck = passages.map(isStruck);
      await victim.kill();
      for (const passage of passages) if (passage.heldAt !== victim.name) passage.letGo();
    },
    mend: () => victim.start(),
  });
  return struck;
}

/** Both replicas have every command, and neither hears of the other. */
async function apart(stage: Stage, world: Cluster, uses: readonly Use[]): Promise<void> {
  const passages = await stage.play(uses, {
    together: true,
    async begin() {
      const before = world.replicas.map(({ turnedAway }) => turnedAway);
      for (const replica of world.replicas) replica.cutOff();
      const isAlone = () => world.replicas.every(({ turnedAway }, n) => turnedAway > (before[n] ?? 0));
      await expect.poll(isAlone).toBe(true);
    },
    async mend() {
      for (const replica of world.replicas) replica.rejoin();
      await Promise.all(world.replicas.map((replica) => replica.ready()));
    },
  });
  expect(uses.filter((_, n) => !passages[n]?.met).map(({ row }) => row.command)).toEqual([]);
}

/** No room that no record names, no context of the platform that no room ever had, and no decision but those of commands. */
async function nothingIsLeftOver(world: Cluster, stage: Stage, people: readonly Performer[]): Promise<void> {
  const rooms = new Set((await Promise.all(people.map((performer) => performer.rooms()))).flat());
  expect((await world.bot.joinedRooms()).filter((room) => !rooms.has(room))).toEqual([]);
  const bound = await records(world.replica(0), 'matrix_room:');
  const contexts = new Set([
    ...stage.contexts,
    ...bound.map(({ fields }) => fields['platform_chat_id']?.value),
  ]);
  const [platform] = world.platforms;
  await platform?.stop();
  const database = new Sqlite(join(world.dir, 'platform-0', 'platform.sqlite'));
  const chats = database.prepare('select id from chats').all([]) as { id: string }[];
  const decided = database
    .prepare(
      'select run_key, decision, decided_by, decided_key from approvals where decided_key is not null order by decided_key',
    )
    .all([]);
  database.close();
  expect(chats.map(({ id }) => id).filter((id) => !contexts.has(id))).toEqual([]);
  const byKey = ({ decided_key: one }: Decision, { decided_key: other }: Decision) => (one < other ? -1 : 1);
  expect(decided).toEqual(stage.decisions.toSorted(byKey));
  expect(world.crashes).toEqual([]);
}

function tableOf(killed: ReadonlyMap<Cell, number>): string {
  const lines = played.map((row) => {
    const of = [...killed].filter(([cell]) => cell.row === row);
    const marks = row.steps.map((step) => {
      const times = (when: Boundary['when']) =>
        of.find(([{ boundary }]) => boundary.step === step && boundary.when === when)?.[1] ?? '·';
      return `${times('before')} ${step} ${times('after')}`;
    });
    return `${row.says('NAME').padEnd(16)} ${marks.join(' | ')}\n`;
  });
  return `killed before STEP after:\n${lines.join('')}`;
}

everyRoomIsJudged();
