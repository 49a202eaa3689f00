import { lookedAt, type LookedAtRecord } from '../../src/telemetry/look.js';
import { askControl, controlPath } from '../../src/telemetry/control.js';
import type { Cluster, Replica } from './cluster.js';
import { isAnswered, type ExpectedAnswer } from './judge.js';

/** Agents of a test that tells them how long to take. */
export const drill = {
  default: 'drill',
  agents: [{ id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' }],
};

/** The replica that says it is at work on a prompt; undefined when the answer stands before one has said so. */
async function atWorkOn(world: Cluster, asked: ExpectedAnswer): Promise<Replica | undefined> {
  const [found] = await world.alice.eventually<[Replica?]>('a replica is at work, or has been', async () => {
    for (const replica of world.alive) {
      if (((await replica.metric('understudy_begun_sources')) ?? 0) > 0) return [replica];
    }
    return isAnswered(await world.alice.history(asked.room), world.bot.userId, asked) && [];
  });
  return found;
}

/** A replica that was struck while the platform ran the agent for a prompt. */
interface Struck {
  asked: ExpectedAnswer;
  owner: Replica;
  /** What `seconds` was in the prompt. */
  seconds: number;
  /** How often agents had been asked before the prompt. */
  invocations: number;
}

/**
 * Asks for something that takes the agent a while, and strikes the replica at work on it in the middle of the run: it
 * still goes on when `strike` has resolved. Where the machine was too slow for that, everything is mended and done
 * once more, with a longer run; every prompt is owed its answer all the same.
 */
export async function struckMidRun(
  world: Cluster,
  room: string,
  options: {
    /** The prompt; default `wait <seconds> <token>`. */
    prompt?: (seconds: number, token: string) => string;
    want?: Parameters<Cluster['ask']>[2];
    strike: (owner: Replica, asked: ExpectedAnswer) => Promise<unknown>;
    /** Takes the strike back. */
    mend: (owner: Replica) => Promise<unknown>;
  },
): Promise<Struck> {
  const { prompt = (seconds, token) => `wait ${seconds} ${token}`, want, strike, mend } = options;
  for (let seconds = 3; seconds < 100; seconds *= 2) {
    const invocations = await world.invocations();
    const asked = await world.ask(room, (token) => prompt(seconds, token), want);
    await invoked(world, invocations + 1);
    const owner = await atWorkOn(world, asked);
    if (owner !== undefined) {
      await strike(owner, asked);
      if ((await world.runsUnderWay()) > 0) return { asked, owner, seconds, invocations };
      await mend(owner);
    }
    await world.answered();
  }
  throw new Error('no run was long enough to strike in its middle');
}

/** Waits until the agents were asked so often since the platforms were made. */
export async function invoked(world: Cluster, times: number): Promise<void> {
  await world.alice.eventually('the agent is invoked', async () => (await world.invocations()) >= times);
}

const patiently = { deadlineMs: 60_000 };

/** The heads of every document on one replica, as one text that is the same exactly when they are. */
export async function heads(replica: Replica): Promise<string> {
  const answer = (await askControl(controlPath(replica.dir), 'heads', {}, patiently)) as {
    documents: { name: string; heads: string[] }[];
  };
  return answer.documents
    .map(({ name, heads: its }) => `${name} ${its.join(' ')}`)
    .toSorted()
    .join('\n');
}

/** Waits until all replicas hold the same changes. */
export async function sameHeads(world: Cluster): Promise<void> {
  await world.alice.eventually('all documents have the same heads on all replicas', async () => {
    const all = await Promise.all(world.replicas.map(heads));
    return new Set(all).size === 1;
  });
}

/** Waits until no replica that runs has anything left to do, all hold the same changes, and those are on their disks. */
export async function atRest(world: Cluster): Promise<void> {
  await world.alice.eventually('nothing is under way on any replica', async () => {
    for (const replica of world.alive) {
      if ((await replica.metric('understudy_pending_sources')) !== 0) return false;
      if ((await replica.metric('understudy_begun_sources')) !== 0) return false;
    }
    const before = await Promise.all(world.alive.map(heads));
    for (const replica of world.alive) {
      const status = await askControl(controlPath(replica.dir), 'status', {}, patiently);
      if ((status as { storage: string }).storage !== 'idle') return false;
    }
    const after = await Promise.all(world.alive.map(heads));
    return new Set([...before, ...after]).size === 1;
  });
}

/** The records of one replica whose keys begin so, in the order of their keys. */
export async function records(replica: Replica, key: string): Promise<LookedAtRecord[]> {
  const answer = lookedAt.parse(await askControl(controlPath(replica.dir), 'inspect', { key }, patiently));
  return answer.records.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** One field of one record of one replica; undefined when it has none. */
export async function field(replica: Replica, key: string, name: string): Promise<unknown> {
  const [record] = await records(replica, key);
  return record?.fields[name]?.value;
}

/** The same, once it has come there from whichever replica wrote it. */
export function fieldSoon(world: Cluster, replica: Replica, key: string, name: string): Promise<unknown> {
  return world.alice.eventually(
    `${replica.name} knows ${name} of ${key}`,
    async () => (await field(replica, key, name)) ?? undefined,
  );
}

/** The replica that sent the text which stands as the answer, by what the event says. */
export async function answeredBy(world: Cluster, { room, prompt }: ExpectedAnswer): Promise<string> {
  const marks = (await world.alice.history(room))
    .filter(({ sender }) => sender === world.bot.userId)
    .map(({ content }) => content['dev.understudy.delivery'] as Record<string, unknown> | undefined);
  return String(marks.findLast((mark) => mark?.['source'] === prompt && mark['final'] === true)?.['replica']);
}
