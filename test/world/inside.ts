import { lookedAt, type LookedAtRecord } from '../../src/telemetry/look.js';
import { askControl, controlPath } from '../../src/telemetry/control.js';
import type { Cluster, Replica } from './cluster.js';
import type { ExpectedAnswer } from './judge.js';

/** Agents of a test that tells them how long to take. */
export const drill = {
  default: 'drill',
  agents: [{ id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' }],
};

/** The replica that says it is at work on something. */
export function atWork(world: Cluster): Promise<Replica> {
  return world.alice.eventually('a replica is at work', async () => {
    for (const replica of world.alive) {
      if (((await replica.metric('understudy_begun_sources')) ?? 0) > 0) return replica;
    }
    return undefined;
  });
}

/** Waits until the agents were asked so often since the platforms were made. */
export async function invoked(world: Cluster, times: number): Promise<void> {
  await world.alice.eventually('the agent is invoked', async () => (await world.invocations()) >= times);
}

/** The heads of every document on one replica, as one text that is the same exactly when they are. */
export async function heads(replica: Replica): Promise<string> {
  const answer = (await askControl(controlPath(replica.dir), 'heads')) as {
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

/** The records of one replica whose keys begin so, in the order of their keys. */
export async function records(replica: Replica, key: string): Promise<LookedAtRecord[]> {
  const answer = lookedAt.parse(await askControl(controlPath(replica.dir), 'inspect', { key }));
  return answer.records.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** One field of one record of one replica; undefined when it has none. */
export async function field(replica: Replica, key: string, name: string): Promise<unknown> {
  const [record] = await records(replica, key);
  return record?.fields[name]?.value;
}

/** The replica that sent the text which stands as the answer, by what the event says. */
export async function answeredBy(world: Cluster, { room, prompt }: ExpectedAnswer): Promise<string> {
  const marks = (await world.alice.history(room))
    .filter(({ sender }) => sender === world.bot.userId)
    .map(({ content }) => content['dev.understudy.delivery'] as Record<string, unknown> | undefined);
  return String(marks.findLast((mark) => mark?.['source'] === prompt && mark['final'] === true)?.['replica']);
}
