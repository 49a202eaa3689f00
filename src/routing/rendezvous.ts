import { createHash } from 'node:crypto';

/**
 * Rendezvous (highest random weight) order of the members for one shard: the same on every replica that knows
 * the same members, and a member that leaves moves only its own shards (DESIGN §5, PROTOCOL O3).
 */
export function rendezvousOrder(shard: number, members: readonly string[]): string[] {
  return members
    .map((member) => ({ member, weight: weight(shard, member) }))
    .sort((a, b) => (a.weight === b.weight ? compare(a.member, b.member) : compare(b.weight, a.weight)))
    .map(({ member }) => member);
}

function weight(shard: number, member: string): string {
  return createHash('sha256')
    .update(JSON.stringify([shard, member]))
    .digest('hex');
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
