import { randomUUID } from 'node:crypto';
import { digest } from '../documents/digest.js';
import { kinds, type RecordOf } from '../documents/schemas/kinds.js';
import type { StateNode } from '../node/state-node.js';
import type { Clock } from '../time/clock.js';
import { SeedError } from './errors.js';

/** What became of a token: it may be carried out now, with the names it was first given, or it was, for ever. */
export type SeedTurn =
  | { readonly turn: 'go'; readonly names: readonly string[]; readonly resumed: boolean }
  | { readonly turn: 'done'; readonly at: number; readonly replica: string };

/** Which tokens were used, in the cluster's document: on every node alike. */
export interface SeedLedger {
  /**
   * Takes a token for this node, or resumes what this node had begun with it.
   *
   * @throws {SeedError} `bad-token`, `elsewhere`, `unreachable`.
   */
  begin(token: string, names: readonly string[]): Promise<SeedTurn>;
  /** From now on the token is used up. */
  finish(token: string): Promise<void>;
}

/** How long a relay may take to say what others did, and to store what this node does, milliseconds. */
const RELAY_MS = 10_000;

/** The ledger of a node. Without a relay in reach, where it has any, it takes no token: another may have used it. */
export function seedLedger(
  node: Pick<StateNode, 'read' | 'change' | 'relays' | 'synced' | 'replicated' | 'self'>,
  clock: Clock,
): SeedLedger {
  const self = node.self.replica;
  const hasRelays = (): boolean => node.relays().length > 0;
  const asked = async (): Promise<void> => {
    if (!hasRelays() || (await node.synced(RELAY_MS))) return;
    throw new SeedError(
      'unreachable',
      'no relay is in reach to say whether another node has used this token: nothing was seeded',
    );
  };
  return {
    async begin(token, names) {
      const key = keyOf(token);
      await asked();
      const before = turnOf(node.read('seed', key), self);
      if (before !== undefined) return before;
      const now = Math.floor(clock.now());
      const cause = { id: `seed:${self}:${randomUUID()}`, ts: now };
      await node.change(
        [{ kind: 'seed', key, fields: { names: [...names], replica: self, begun_at: now } }],
        cause,
      );
      // Another node may have begun at the same time: whoever the merge names carries it out.
      if (hasRelays() && !(await node.replicated(RELAY_MS))) {
        throw new SeedError('unreachable', 'no relay has stored that this token is in use: run it again');
      }
      await asked();
      const after = turnOf(node.read('seed', key), self) ?? { turn: 'go', names, resumed: false };
      return after.turn === 'go' ? { ...after, resumed: false } : after;
    },
    async finish(token) {
      const now = Math.floor(clock.now());
      await node.change([{ kind: 'seed', key: keyOf(token), fields: { done_at: now } }], {
        id: `seed:${self}:done`,
        ts: now,
      });
      // It is on this disk; a relay gets it at the latest when this node runs again.
      if (hasRelays()) await node.replicated(RELAY_MS);
    },
  };
}

function turnOf(record: RecordOf<'seed'> | undefined, self: string): SeedTurn | undefined {
  if (record?.begun_at === undefined) return undefined;
  const { replica = 'another node', names = [], begun_at, done_at } = record;
  if (done_at !== undefined) return { turn: 'done', at: done_at, replica };
  if (replica === self) return { turn: 'go', names, resumed: true };
  throw new SeedError(
    'elsewhere',
    `replica ${replica} began with this token at ${new Date(begun_at).toISOString()} and is not done: let it finish there, or give another token`,
  );
}

function keyOf(token: string): string {
  if (!/^[\x21-\x7e]{1,200}$/u.test(token)) {
    throw new SeedError('bad-token', 'a token is 1 to 200 letters, digits or signs, without spaces');
  }
  return kinds.seed.prefix + digest('understudy-seed', token).toString('base64url').slice(0, 22);
}
