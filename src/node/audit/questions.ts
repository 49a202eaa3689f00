import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ActorError } from '../../actors/errors.js';
import type { HistoryEntry } from '../../actors/history.js';
import type { ActorSnapshot } from '../../actors/snapshot.js';
import type { StateNode } from '../state-node.js';
import type { HistorySegment } from './whole-history.js';

/** Actors folded in one go, so that a long list does not block the process. */
const SLICE = 200;

const segment = z.object({
  shard: z.int().nonnegative(),
  generation: z.int().nonnegative(),
  archived: z.boolean(),
});
const historyQuestion = z.object({ key: z.string(), segment: segment.optional() });
const atQuestion = z.object({ key: z.string(), time: z.number() });
const actorsQuestion = z.object({ machine: z.string().optional() });
const releaseQuestion = z.object({ key: z.string(), state: z.string().optional() });

export interface HistoryAnswer {
  segments: HistorySegment[];
  /** Of the segment that was asked for; null when it is out of reach. */
  entries?: readonly HistoryEntry[] | null;
}

/** What is shown of an actor in a list. */
export type ListedActor = Pick<ActorSnapshot, 'key' | 'machine' | 'version' | 'status' | 'value' | 'reason'>;

/**
 * What the holder of a data folder answers about actors over its control socket (`params` are hostile until parsed;
 * what is thrown goes back as code and message):
 *
 * - `history {key, segment?}`: the stretches of an actor's history, and the events of the one asked for.
 * - `at {key, time}`: where an actor stood at a time, milliseconds; null when it had no event yet.
 * - `actors {machine?}`: all actors, or those of a machine, quarantined ones first.
 * - `release {key, state?}`: lets a quarantined actor go on.
 */
export function actorQuestions(
  node: Pick<StateNode, 'actors' | 'histories'>,
): Record<string, (params: Record<string, unknown>) => unknown> {
  return {
    async history(params): Promise<HistoryAnswer> {
      const { key, segment: wanted } = historyQuestion.parse(params);
      const segments = node.histories.segments(key);
      if (wanted === undefined) return { segments };
      return { segments, entries: (await node.histories.segment(key, wanted)) ?? null };
    },
    async at(params): Promise<{ state: ActorSnapshot | null }> {
      const { key, time } = atQuestion.parse(params);
      return { state: (await node.histories.at(key, time)) ?? null };
    },
    async actors(params): Promise<{ actors: ListedActor[] }> {
      const { machine } = actorsQuestion.parse(params);
      return { actors: await listActors(node, machine) };
    },
    async release(params): Promise<{ actor: ActorSnapshot }> {
      const { key, state } = releaseQuestion.parse(params);
      const { status, value } = node.actors.get(key).snapshot();
      if (!node.actors.exists(key)) throw new ActorError('missing-actor', `there is no actor ${key}`);
      if (status !== 'quarantined') {
        throw new ActorError(
          'quarantined',
          `${key} is not quarantined, it stands in ${JSON.stringify(value)}: nothing was changed`,
        );
      }
      const cause = { id: `release:${randomUUID()}` };
      return { actor: await node.actors.release(key, { ...(state !== undefined && { state }), cause }) };
    },
  };
}

async function listActors(node: Pick<StateNode, 'actors'>, machine?: string): Promise<ListedActor[]> {
  const actors: ListedActor[] = [];
  for (const key of [...node.actors.keys(machine)]) {
    actors.push(listed(node.actors.snapshot(key)));
    if (actors.length % SLICE === 0) await new Promise((done) => setImmediate(done));
  }
  return actors.sort(byUrgency);
}

export function listed({ key, machine, version, status, value, reason }: ActorSnapshot): ListedActor {
  return { key, machine, version, status, value, ...(reason && { reason }) };
}

/** Quarantined ones first, then by key. */
export function byUrgency(a: ListedActor, b: ListedActor): number {
  const urgency = ({ status }: ListedActor): number => (status === 'quarantined' ? 0 : 1);
  return urgency(a) - urgency(b) || (a.key < b.key ? -1 : 1);
}
