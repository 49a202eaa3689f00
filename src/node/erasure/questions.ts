import { z } from 'zod';
import type { StateNode } from '../state-node.js';
import type { Found } from './found.js';

/** A relay says so long whether it has stored all of it, milliseconds. */
const RELAY_MS = 2_000;

const question = z.object({ user: z.string(), dryRun: z.boolean().optional() });
const statusQuestion = z.object({ user: z.string() });

const foundAnswer = z.object({
  user: z.boolean(),
  rooms: z.array(z.object({ room: z.string(), name: z.string().nullable() })),
  chats: z.int(),
  /** Records of actors: events, bases, done marks. */
  actor_records: z.int(),
  /** Contexts at the platform. */
  contexts: z.int(),
  /** Generations cut off before, whose audit documents may tell of them. */
  earlier_generations: z.int(),
});
export const forgetAnswer = z.object({ found: foundAnswer, status: statusShape() });
export const statusAnswer = statusShape();

function statusShape() {
  return z.object({
    forgotten_at: z.number().nullable(),
    rooms: z.int(),
    contexts: z.object({ owed: z.int(), deleted: z.int() }),
    shards: z.array(z.int()),
    session_logs: z.int(),
    /** Some relay has stored all of it; null without relays. */
    at_a_relay: z.boolean().nullable(),
  });
}

export type ForgetAnswer = z.infer<typeof forgetAnswer>;
type Node = Pick<StateNode, 'erasure' | 'histories' | 'cutIfDue' | 'relays' | 'replicated'>;

/**
 * What the holder of a data folder answers about forgetting over its control socket: `forget {user, dryRun?}` forgets,
 * and asks for the cuts that follow from it; `forgotten {user}` says how far that is.
 */
export function erasureQuestions(
  node: Node,
  failed: (error: unknown) => void,
): Record<string, (params: Record<string, unknown>) => Promise<unknown>> {
  return {
    async forget(params): Promise<ForgetAnswer> {
      const { user, dryRun = false } = question.parse(params);
      return dryRun
        ? { found: describe(node, node.erasure.find(user)), status: await statusOf(node, user) }
        : forget(node, user, failed);
    },
    forgotten: (params) => statusOf(node, statusQuestion.parse(params).user),
  };
}

/** Resolves when it is durable here; the cuts go on, and are made when they are due in any case. */
export async function forget(
  node: Node,
  user: string,
  failed: (error: unknown) => void,
): Promise<ForgetAnswer> {
  const before = describe(node, node.erasure.find(user));
  await node.erasure.forget(user);
  cutForgotten(node).catch(failed);
  return { found: before, status: await statusOf(node, user) };
}

/** Cuts the shards that hold something of anybody who was forgotten, now. */
function cutForgotten(node: Node): Promise<number> {
  const shards = new Set(node.erasure.dueShards());
  return node.cutIfDue({ mayCut: (shard) => shards.has(shard) });
}

async function statusOf(node: Node, user: string): Promise<z.infer<typeof statusAnswer>> {
  const status = node.erasure.status(user);
  return { ...status, at_a_relay: node.relays().length === 0 ? null : await node.replicated(RELAY_MS) };
}

function describe(node: Node, found: Found): z.infer<typeof foundAnswer> {
  const segments = [...found.actors.keys()].flatMap((place) =>
    node.histories.segments(`conversation/${place}`).filter(({ archived }) => archived),
  );
  const earlier = new Set(segments.map(({ shard, generation }) => `${shard} ${generation}`));
  const contexts = new Set([...found.contexts.values()].flatMap((chats) => [...chats]));
  return {
    user: found.user,
    rooms: [...found.rooms].map(([room, name]) => ({ room, name })),
    chats: found.chats.length,
    actor_records: [...found.actors.values()].reduce((sum, count) => sum + count, 0),
    contexts: contexts.size,
    earlier_generations: earlier.size,
  };
}
